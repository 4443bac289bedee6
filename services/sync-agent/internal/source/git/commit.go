package git

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/argosy-mesh/argosy/services/sync-agent/internal/render"
)

// Change is one commit to be made on a branch.
type Change struct {
	Branch string // full ref
	// Base is the branch that Branch begins with where it does not exist; "" has it exist.
	Base string
	// Root has the branch begin with nothing where neither it nor its base exists.
	Root   bool
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
	// Differ returns the names of those of the files that it does not have so.
	Differ func(files map[string][]byte) ([]string, error)
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
	var head Commit
	if parent != "" {
		if head, err = m.Describe(ctx, parent, ""); err != nil {
			return head, false, err
		}
	}
	edit, err := c.Edit(m.head(ctx, head))
	if err != nil {
		return head, false, err
	}
	changed, err := m.changed(ctx, parent, edit.Files)
	if err != nil || len(changed) == 0 {
		return head, false, err
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
	if c.Base == "" {
		c.Base = c.Branch
	}
	if c.Base == c.Branch && !c.Root {
		parent, err = m.fetch(ctx, c.Branch, t)
		return parent, parent, err
	}
	out, err := m.run(ctx, nil, nil, "ls-remote", "--end-of-options", m.url, c.Branch, c.Base)
	if err != nil {
		return "", "", fmt.Errorf("list refs of %s: %w", redact(m.url), err)
	}
	there := func(ref string) bool { return refIn(string(out), strings.TrimPrefix(ref, "refs/heads/")) != "" }
	if there(c.Branch) {
		parent, err = m.fetch(ctx, c.Branch, t)
		return parent, parent, err
	}
	if c.Root && !there(c.Base) {
		return "", "", nil
	}
	base := m.tracked(c.Base)
	base.mu.Lock()
	defer base.mu.Unlock()
	parent, err = m.fetch(ctx, c.Base, base)
	return parent, "", err
}

// head is a commit to go on from; that of a branch which begins with nothing has no files.
func (m *Mirror) head(ctx context.Context, c Commit) Head {
	if c.SHA == "" {
		return Head{
			Read: func(name string) ([]byte, error) { return nil, fmt.Errorf("read %s: %w", name, ErrNoFile) },
			List: func(string) (render.Listing, error) { return render.Listing{}, nil },
			Differ: func(files map[string][]byte) ([]string, error) {
				return slices.Sorted(maps.Keys(files)), nil
			},
			Blobs: func([]render.Entry) (map[string][]byte, error) { return nil, nil },
		}
	}
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
		Differ: func(files map[string][]byte) ([]string, error) {
			changed, err := m.changed(ctx, c.SHA, files)
			return slices.Sorted(maps.Keys(changed)), err
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

// blob is a file of a commit.
type blob struct{ mode, id string }

// changed writes the contents of files into the store, and returns those that a commit does not have so.
func (m *Mirror) changed(ctx context.Context, parent string, files map[string][]byte) (map[string]blob, error) {
	names := slices.Sorted(maps.Keys(files))
	ids, err := m.hash(ctx, names, files)
	if err != nil {
		return nil, err
	}
	out := map[string]blob{}
	for at := 0; at < len(names); at += listedAtOnce {
		some := names[at:min(at+listedAtOnce, len(names))]
		old := map[string]blob{}
		if parent != "" {
			if old, err = m.plainFiles(ctx, parent, some); err != nil {
				return nil, err
			}
		}
		for i, name := range some {
			was, fresh := old[clean(name)], ids[at+i]
			if was.id != fresh {
				out[clean(name)] = blob{cmp.Or(was.mode, "100644"), fresh}
			}
		}
	}
	return out, nil
}

// listedAtOnce bounds the names on one command line.
const listedAtOnce = 500

// hash writes contents into the store with one process, and returns their ids in the order of the names.
func (m *Mirror) hash(ctx context.Context, names []string, files map[string][]byte) ([]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	scratch, err := os.MkdirTemp("", "argosy-files-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(scratch) }() // leftovers do no harm
	var list strings.Builder
	for i, name := range names {
		at := filepath.Join(scratch, strconv.Itoa(i))
		if err := os.WriteFile(at, files[name], 0o600); err != nil {
			return nil, err
		}
		list.WriteString(at + "\n")
	}
	out, err := m.run(ctx, strings.NewReader(list.String()), nil, "hash-object", "-w", "--no-filters", "--stdin-paths")
	if err != nil {
		return nil, err
	}
	ids := strings.Fields(string(out))
	if len(ids) != len(names) {
		return nil, fmt.Errorf("git hash-object: %d ids for %d files", len(ids), len(names))
	}
	return ids, nil
}

// plainFiles are those of the names that a commit has. Links and folders are not to be written through.
func (m *Mirror) plainFiles(ctx context.Context, commit string, names []string) (map[string]blob, error) {
	args, folders := []string{"ls-tree", "-z", "-t", "--full-tree", commit, "--"}, map[string]bool{}
	asked := map[string]bool{}
	for _, name := range names {
		name = clean(name)
		args, asked[name] = append(args, name), true
		for dir := path.Dir(name); dir != "." && !folders[dir]; dir = path.Dir(dir) {
			args, folders[dir] = append(args, dir), true
		}
	}
	out, err := m.run(ctx, nil, nil, args...)
	if err != nil {
		return nil, err
	}
	files := map[string]blob{}
	for record := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		about, name, ok := strings.Cut(record, "\t")
		fields := strings.Fields(about)
		switch {
		case !ok || len(fields) != 3 || (!asked[name] && !folders[name]):
			continue // a folder that is asked for brings what is in it
		case folders[name] != (fields[1] == "tree"):
			return nil, fmt.Errorf("%s is in the way of what is to be written", name)
		case folders[name]:
			continue
		case fields[0] != "100644" && fields[0] != "100755":
			return nil, fmt.Errorf("%s is not a plain file", name)
		}
		files[name] = blob{fields[0], fields[2]}
	}
	return files, nil
}

// build makes the commit beside the store, with an index of its own.
func (m *Mirror) build(
	ctx context.Context, author, message, parent string, files map[string]blob,
) (string, error) {
	scratch, err := os.MkdirTemp("", "argosy-index-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(scratch) }() // a leftover index does no harm
	env := append(identity(author), "GIT_INDEX_FILE="+filepath.Join(scratch, "index"))
	commit := []string{"commit-tree"}
	var list strings.Builder
	if parent != "" {
		if _, err := m.run(ctx, nil, env, "read-tree", parent); err != nil {
			return "", err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&list, "%s %s\t%s\x00", files[name].mode, files[name].id, name)
	}
	if _, err := m.run(
		ctx, strings.NewReader(list.String()), env, "update-index", "--add", "-z", "--index-info",
	); err != nil {
		return "", err
	}
	tree, err := m.line(ctx, nil, env, "write-tree")
	if err != nil {
		return "", err
	}
	commit = append(commit, tree)
	if parent != "" {
		commit = append(commit, "-p", parent)
	}
	return m.line(ctx, []byte(message), env, append(commit, "-F", "-")...)
}

// identity is who commits, as git is told.
func identity(author string) []string {
	name, address, _ := strings.Cut(strings.TrimSuffix(author, ">"), " <")
	return []string{
		"GIT_AUTHOR_NAME=" + name, "GIT_AUTHOR_EMAIL=" + address,
		"GIT_COMMITTER_NAME=" + name, "GIT_COMMITTER_EMAIL=" + address,
	}
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
