package git

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // the size of Git's ids
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/services/sync-agent/internal/render"
)

// Limits of what is read from one commit: generous for manifests, harmless for
// memory.
const (
	MaxEntries = 500_000
	MaxBytes   = 64 << 20
)

// ErrLimit is wrapped by errors about a tree that is too large to read.
var ErrLimit = errors.New("the tree is too large")

// Commit is what is known about a commit.
type Commit struct {
	SHA      string
	Message  string
	Root     string // tree of the whole repository
	Tree     string // tree of the path that was asked for
	Author   string // name <address>
	Authored time.Time
}

// Describe reads a commit and finds the tree of a path in it.
func (m *Mirror) Describe(ctx context.Context, commit, dir string) (Commit, error) {
	c := Commit{SHA: commit}
	spec := commit + "^{tree}"
	if dir = clean(dir); dir != "" {
		spec = commit + ":" + dir
	}
	read, err := m.objects.read(ctx, m.current(), true, []string{commit})
	if err != nil {
		return c, fmt.Errorf("read commit %s: %w", commit, err)
	}
	if read[0].Kind != "commit" {
		return c, fmt.Errorf("read commit %s: it is not there", commit)
	}
	folder, err := m.objects.read(ctx, m.current(), false, []string{spec})
	if err != nil {
		return c, fmt.Errorf("read commit %s: %w", commit, err)
	}
	head, message, _ := strings.Cut(string(read[0].Data), "\n\n")
	c.Message = message
	for line := range strings.Lines(head) {
		if tree, ok := strings.CutPrefix(line, "tree "); ok {
			c.Root = strings.TrimSpace(tree)
		}
		if author, ok := strings.CutPrefix(line, "author "); ok {
			var at string
			c.Author, at, _ = strings.Cut(author, "> ")
			c.Author += ">"
			c.Authored = authored(at)
		}
	}
	if folder[0].Kind != "tree" {
		return c, fmt.Errorf("path %q: %w at %s", dir, ErrNoPath, commit)
	}
	c.Tree = folder[0].ID
	return c, nil
}

// authored reads a time as commits have it: seconds and a zone.
func authored(text string) time.Time {
	seconds, zone, _ := strings.Cut(strings.TrimSpace(text), " ")
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return time.Time{}
	}
	at := time.Unix(n, 0).UTC()
	if offset, err := time.Parse("-0700", zone); err == nil {
		at = at.In(offset.Location())
	}
	return at
}

// ErrNoPath is wrapped by errors about a path that is not there.
var ErrNoPath = errors.New("there is no such directory")

// clean makes a path relative to the root; it cannot leave it.
func clean(dir string) string { return strings.TrimPrefix(path.Clean("/"+dir), "/") }

// smallTree is how many entries a tree may have to be read object by object; larger ones are listed by a process of
// their own, which is slower to start and faster to list.
const smallTree = 512

// List returns what is below a tree, folders too. Submodules are not followed.
func (m *Mirror) List(ctx context.Context, tree string) (render.Listing, error) {
	listing := render.Listing{}
	small, err := m.listSmall(ctx, tree, "", listing)
	if err != nil {
		return nil, fmt.Errorf("list tree %s: %w", tree, err)
	}
	if small {
		return listing, m.measure(ctx, tree, listing)
	}
	out, err := m.run(ctx, nil, nil, "ls-tree", "-r", "-t", "-z", "-l", "--full-tree", tree)
	if err != nil {
		return nil, fmt.Errorf("list tree %s: %w", tree, err)
	}
	if listing, err = parseTree(string(out)); err != nil {
		return nil, fmt.Errorf("tree %s: %w", tree, err)
	}
	return listing, nil
}

// listSmall reads a tree and those below it; false when there is too much of it.
func (m *Mirror) listSmall(ctx context.Context, tree, at string, into render.Listing) (bool, error) {
	read, err := m.objects.read(ctx, m.current(), true, []string{tree})
	if err != nil {
		return false, err
	}
	if read[0].Kind != "tree" {
		return false, fmt.Errorf("%s is no tree", tree)
	}
	var folders []string
	for rest := read[0].Data; len(rest) > 0; {
		head, after, ok := bytes.Cut(rest, []byte{0})
		mode, name, named := strings.Cut(string(head), " ")
		if !ok || !named || len(after) < sha1.Size {
			return false, fmt.Errorf("tree %s: entry is cut", tree)
		}
		e := render.Entry{ID: hex.EncodeToString(after[:sha1.Size])}
		rest = after[sha1.Size:]
		switch mode {
		case "40000":
			e.Kind = render.Folder
			folders = append(folders, at+name)
		case "120000":
			e.Kind = render.Link
		case "160000":
			continue // a submodule
		default:
			e.Kind = render.File
		}
		if len(into) >= smallTree {
			return false, nil
		}
		into[at+name] = e
	}
	for _, name := range folders {
		if small, err := m.listSmall(ctx, into[name].ID, name+"/", into); !small || err != nil {
			return false, err
		}
	}
	return true, nil
}

// measure fills in the sizes of files.
func (m *Mirror) measure(ctx context.Context, tree string, listing render.Listing) error {
	var names, ids []string
	for name, e := range listing {
		if e.Kind != render.Folder {
			names, ids = append(names, name), append(ids, e.ID)
		}
	}
	read, err := m.objects.read(ctx, m.current(), false, ids)
	if err != nil {
		return fmt.Errorf("list tree %s: %w", tree, err)
	}
	for i, name := range names {
		if read[i].Kind != "blob" {
			return fmt.Errorf("list tree %s: %s is not there", tree, name)
		}
		e := listing[name]
		e.Size = read[i].Size
		listing[name] = e
	}
	return nil
}

func parseTree(text string) (render.Listing, error) {
	out := render.Listing{}
	for record := range strings.SplitSeq(strings.TrimSuffix(text, "\x00"), "\x00") {
		meta, name, ok := strings.Cut(record, "\t")
		fields := strings.Fields(meta)
		if !ok || len(fields) != 4 {
			continue
		}
		e := render.Entry{ID: fields[2]}
		switch {
		case fields[1] == "tree":
			e.Kind = render.Folder
		case fields[1] != "blob":
			continue
		case fields[0] == "120000":
			e.Kind = render.Link
		default:
			e.Kind = render.File
		}
		if e.Kind != render.Folder {
			size, err := strconv.Atoi(fields[3])
			if err != nil {
				return nil, fmt.Errorf("size of %s: %w", name, err)
			}
			e.Size = size
		}
		if len(out) >= MaxEntries {
			return nil, fmt.Errorf("%w: over %d entries", ErrLimit, MaxEntries)
		}
		out[name] = e
	}
	return out, nil
}

// Blobs returns the contents of files and links by id.
func (m *Mirror) Blobs(ctx context.Context, entries []render.Entry) (map[string][]byte, error) {
	var ids []string
	total := 0
	for _, e := range entries {
		ids = append(ids, e.ID)
		total += e.Size
	}
	if len(ids) == 0 {
		return nil, nil
	}
	if total > MaxBytes {
		return nil, fmt.Errorf("%w: over %d bytes", ErrLimit, MaxBytes)
	}
	read, err := m.objects.read(ctx, m.current(), true, ids)
	if err != nil {
		return nil, err
	}
	contents := make(map[string][]byte, len(entries))
	for i, o := range read {
		if o.Kind != "blob" {
			return nil, fmt.Errorf("blob %s is not there", ids[i])
		}
		contents[ids[i]] = o.Data
	}
	return contents, nil
}
