package git

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/services/sync-agent/internal/render"
)

// Change is one commit to be made on a branch.
type Change struct {
	Branch string // full ref
	// Base is the branch that Branch begins with where it does not exist; "" has it exist.
	Base   string
	Author string // name <address>
	// Edit says what the commit is to change. It is asked again when the branch moved meanwhile.
	Edit func(head Head) (Edit, error)
}

// Head is where a change goes on from.
type Head struct {
	Commit
	// Read returns a file; the error wraps [ErrNoFile] when there is none.
	Read func(name string) ([]byte, error)
	// List returns what is below a folder, by its name from there.
	List func(dir string) (render.Listing, error)
	// Blobs returns contents of what was listed.
	Blobs func(entries []render.Entry) (map[string][]byte, error)
}

// Edit is the contents of a commit.
type Edit struct {
	Files   map[string][]byte // whole files by name; those that stay as they are do not count
	Message string
}

// ErrNoFile is wrapped by errors about a file that is not there.
var ErrNoFile = errors.New("there is no such file")

// ErrMoved is wrapped when the branch moved between reading and writing, as often
// as it was tried.
var ErrMoved = errors.New("the branch moved")

// attempts bounds how often a lost race is run again.
const attempts = 5

// Apply commits a change on top of its branch and pushes it, if the branch is
// still where it was read; otherwise everything is done again on the new head. It
// returns the head's commit and whether a commit was made.
func (m *Mirror) Apply(ctx context.Context, c Change) (head Commit, made bool, err error) {
	for range attempts {
		head, made, err = m.applyOnce(ctx, c)
		if !errors.Is(err, ErrMoved) {
			return head, made, err
		}
	}
	return head, made, err
}

func (m *Mirror) applyOnce(ctx context.Context, c Change) (Commit, bool, error) {
	t := m.tracked(c.Branch)
	t.mu.Lock()
	defer t.mu.Unlock()
	parent, lease, err := m.parent(ctx, c, t)
	if err != nil {
		return Commit{}, false, err
	}
	head, err := m.Describe(ctx, parent, "")
	if err != nil {
		return head, false, err
	}
	edit, err := c.Edit(m.head(ctx, head))
	if err != nil {
		return head, false, err
	}
	changed := map[string][]byte{}
	for name, fresh := range edit.Files {
		old, err := m.File(ctx, parent, name)
		if err != nil && !errors.Is(err, ErrNoFile) {
			return head, false, err
		}
		if err != nil || !bytes.Equal(old, fresh) {
			changed[clean(name)] = fresh
		}
	}
	if len(changed) == 0 {
		return head, false, nil
	}
	next, err := m.build(ctx, c.Author, edit.Message, parent, changed)
	if err != nil {
		return head, false, fmt.Errorf("commit to %s: %w", c.Branch, err)
	}
	if err := m.push(ctx, c.Branch, lease, next); err != nil {
		return head, false, err
	}
	t.sha = next
	head, err = m.Describe(ctx, next, "")
	return head, true, err
}

// parent is the commit that a change goes on from, and what the branch must point to when it is pushed: nothing, where
// it is new.
func (m *Mirror) parent(ctx context.Context, c Change, t *tracked) (parent, lease string, err error) {
	if c.Base == "" || c.Base == c.Branch {
		parent, err = m.fetch(ctx, c.Branch, t)
		return parent, parent, err
	}
	out, err := m.run(ctx, nil, nil, "ls-remote", "--end-of-options", m.url, c.Branch)
	if err != nil {
		return "", "", fmt.Errorf("list refs of %s: %w", redact(m.url), err)
	}
	if refIn(string(out), strings.TrimPrefix(c.Branch, "refs/heads/")) != "" {
		parent, err = m.fetch(ctx, c.Branch, t)
		return parent, parent, err
	}
	base := m.tracked(c.Base)
	base.mu.Lock()
	defer base.mu.Unlock()
	parent, err = m.fetch(ctx, c.Base, base)
	return parent, "", err
}

func (m *Mirror) head(ctx context.Context, c Commit) Head {
	return Head{
		Commit: c,
		Read:   func(name string) ([]byte, error) { return m.File(ctx, c.SHA, name) },
		List: func(dir string) (render.Listing, error) {
			at, err := m.Describe(ctx, c.SHA, dir)
			if err != nil {
				return nil, err
			}
			return m.List(ctx, at.Tree)
		},
		Blobs: func(entries []render.Entry) (map[string][]byte, error) { return m.Blobs(ctx, entries) },
	}
}

// File reads one file of a commit; the error wraps [ErrNoFile] when there is none.
func (m *Mirror) File(ctx context.Context, commit, name string) ([]byte, error) {
	mode, err := m.mode(ctx, commit, name)
	if err == nil && mode == "" {
		err = ErrNoFile
	}
	if err != nil {
		return nil, fmt.Errorf("read %s at %s: %w", name, commit, err)
	}
	out, err := m.run(ctx, nil, nil, "cat-file", "blob", commit+":"+clean(name))
	if err != nil {
		return nil, fmt.Errorf("read %s at %s: %w", name, commit, err)
	}
	return out, nil
}

// build makes the commit beside the store, with an index of its own.
func (m *Mirror) build(
	ctx context.Context, author, message, parent string, files map[string][]byte,
) (string, error) {
	scratch, err := os.MkdirTemp("", "argosy-index-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(scratch) }() // a leftover index does no harm
	name, address, _ := strings.Cut(strings.TrimSuffix(author, ">"), " <")
	env := []string{
		"GIT_INDEX_FILE=" + filepath.Join(scratch, "index"),
		"GIT_AUTHOR_NAME=" + name,
		"GIT_AUTHOR_EMAIL=" + address,
		"GIT_COMMITTER_NAME=" + name,
		"GIT_COMMITTER_EMAIL=" + address,
	}
	if _, err := m.run(ctx, nil, env, "read-tree", parent); err != nil {
		return "", err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		blob, err := m.line(ctx, files[name], env, "hash-object", "-w", "--stdin")
		if err != nil {
			return "", err
		}
		mode, err := m.mode(ctx, parent, name)
		if err != nil {
			return "", err
		}
		entry := cmp.Or(mode, "100644") + "," + blob + "," + name
		if _, err := m.run(ctx, nil, env, "update-index", "--add", "--cacheinfo", entry); err != nil {
			return "", err
		}
	}
	tree, err := m.line(ctx, nil, env, "write-tree")
	if err != nil {
		return "", err
	}
	return m.line(ctx, []byte(message), env, "commit-tree", tree, "-p", parent, "-F", "-")
}

// mode is that of a plain file, "" where there is none. Links and folders are not to be written through.
func (m *Mirror) mode(ctx context.Context, commit, name string) (string, error) {
	out, err := m.run(ctx, nil, nil, "ls-tree", "-z", "--full-tree", commit, "--", clean(name))
	if err != nil || len(out) == 0 {
		return "", err
	}
	mode, _, _ := strings.Cut(string(out), " ")
	if mode != "100644" && mode != "100755" {
		return "", fmt.Errorf("%s is not a plain file", name)
	}
	return mode, nil
}

func (m *Mirror) line(ctx context.Context, input []byte, env []string, args ...string) (string, error) {
	out, err := m.run(ctx, bytes.NewReader(input), env, args...)
	return strings.TrimSpace(string(out)), err
}

// push moves the branch from where it was to next, or not at all; "" has it not exist before.
func (m *Mirror) push(ctx context.Context, branch, was, next string) error {
	_, err := m.run(
		ctx, nil, nil, "push", "--quiet", "--force-with-lease="+branch+":"+was, "--end-of-options", m.url,
		next+":"+branch,
	)
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, sign := range []string{
		"stale info", "non-fast-forward", "fetch first", "cannot lock ref", "reference already exists",
		"failed to update ref",
	} {
		if strings.Contains(text, sign) {
			return fmt.Errorf("push %s of %s: %w: %w", branch, redact(m.url), ErrMoved, err)
		}
	}
	return fmt.Errorf("push %s of %s: %w", branch, redact(m.url), err)
}
