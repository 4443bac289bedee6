package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Change is one file to be changed in a commit of its own.
type Change struct {
	Branch  string // full ref
	Path    string
	Author  string // name <address>
	Message string
	// Edit returns the new content; the same content means that there is nothing
	// to do. commit is the head that the content comes from.
	Edit func(content []byte, head Commit) ([]byte, error)
}

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
	parent, err := m.fetch(ctx, c.Branch, t)
	if err != nil {
		return Commit{}, false, err
	}
	head, err := m.Describe(ctx, parent, "")
	if err != nil {
		return head, false, err
	}
	old, err := m.File(ctx, parent, c.Path)
	if err != nil {
		return head, false, err
	}
	fresh, err := c.Edit(old, head)
	if err != nil || bytes.Equal(old, fresh) {
		return head, false, err
	}
	next, err := m.build(ctx, c, parent, fresh)
	if err != nil {
		return head, false, fmt.Errorf("commit %s: %w", c.Path, err)
	}
	if err := m.push(ctx, c.Branch, parent, next); err != nil {
		return head, false, err
	}
	t.sha = next
	head, err = m.Describe(ctx, next, "")
	return head, true, err
}

// File reads one file of a commit.
func (m *Mirror) File(ctx context.Context, commit, name string) ([]byte, error) {
	out, err := m.run(ctx, nil, nil, "cat-file", "blob", commit+":"+clean(name))
	if err != nil {
		return nil, fmt.Errorf("read %s at %s: %w", name, commit, err)
	}
	return out, nil
}

// build makes the commit beside the store, with an index of its own.
func (m *Mirror) build(ctx context.Context, c Change, parent string, content []byte) (string, error) {
	scratch, err := os.MkdirTemp("", "argosy-index-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(scratch) }() // a leftover index does no harm
	name, address, _ := strings.Cut(strings.TrimSuffix(c.Author, ">"), " <")
	env := []string{
		"GIT_INDEX_FILE=" + filepath.Join(scratch, "index"),
		"GIT_AUTHOR_NAME=" + name,
		"GIT_AUTHOR_EMAIL=" + address,
		"GIT_COMMITTER_NAME=" + name,
		"GIT_COMMITTER_EMAIL=" + address,
	}
	blob, err := m.line(ctx, content, env, "hash-object", "-w", "--stdin")
	if err != nil {
		return "", err
	}
	mode, err := m.mode(ctx, parent, c.Path)
	if err != nil {
		return "", err
	}
	if _, err := m.run(ctx, nil, env, "read-tree", parent); err != nil {
		return "", err
	}
	if _, err := m.run(ctx, nil, env, "update-index", "--cacheinfo", mode+","+blob+","+clean(c.Path)); err != nil {
		return "", err
	}
	tree, err := m.line(ctx, nil, env, "write-tree")
	if err != nil {
		return "", err
	}
	return m.line(ctx, []byte(c.Message), env, "commit-tree", tree, "-p", parent, "-F", "-")
}

func (m *Mirror) mode(ctx context.Context, commit, name string) (string, error) {
	out, err := m.run(ctx, nil, nil, "ls-tree", "--full-tree", commit, "--", clean(name))
	if err != nil {
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

// push moves the branch from parent to next, or not at all.
func (m *Mirror) push(ctx context.Context, branch, parent, next string) error {
	_, err := m.run(
		ctx, nil, nil, "push", "--quiet", "--force-with-lease="+branch+":"+parent, "--end-of-options", m.url,
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
