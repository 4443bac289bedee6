package git

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

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
	SHA     string
	Message string
	Root    string // tree of the whole repository
	Tree    string // tree of the path that was asked for
	Author  string // name <address>
}

// Describe reads a commit and finds the tree of a path in it.
func (m *Mirror) Describe(ctx context.Context, commit, dir string) (Commit, error) {
	c := Commit{SHA: commit}
	spec := commit + "^{tree}"
	if dir = clean(dir); dir != "" {
		spec = commit + ":" + dir
	}
	out, err := m.run(
		ctx, strings.NewReader("contents "+commit+"\ninfo "+spec+"\n"), nil, "cat-file", "--batch-command",
	)
	if err != nil {
		return c, fmt.Errorf("read commit %s: %w", commit, err)
	}
	header, rest, _ := bytes.Cut(out, []byte("\n"))
	fields := strings.Fields(string(header))
	if len(fields) != 3 || fields[1] != "commit" {
		return c, fmt.Errorf("read commit %s: %s", commit, header)
	}
	size, err := strconv.Atoi(fields[2])
	if err != nil || size+1 > len(rest) {
		return c, fmt.Errorf("read commit %s: answer is cut", commit)
	}
	head, message, _ := strings.Cut(string(rest[:size]), "\n\n")
	c.Message = message
	for line := range strings.Lines(head) {
		if tree, ok := strings.CutPrefix(line, "tree "); ok {
			c.Root = strings.TrimSpace(tree)
		}
		if author, ok := strings.CutPrefix(line, "author "); ok {
			c.Author, _, _ = strings.Cut(author, "> ")
			c.Author += ">"
		}
	}
	info := strings.Fields(string(rest[size+1:]))
	if len(info) != 3 || info[1] != "tree" {
		return c, fmt.Errorf("path %q: %w at %s", dir, ErrNoPath, commit)
	}
	c.Tree = info[0]
	return c, nil
}

// ErrNoPath is wrapped by errors about a path that is not there.
var ErrNoPath = errors.New("there is no such directory")

// clean makes a path relative to the root; it cannot leave it.
func clean(dir string) string { return strings.TrimPrefix(path.Clean("/"+dir), "/") }

// List returns what is below a tree, folders too. Submodules are not followed.
func (m *Mirror) List(ctx context.Context, tree string) (render.Listing, error) {
	out, err := m.run(ctx, nil, nil, "ls-tree", "-r", "-t", "-z", "-l", "--full-tree", tree)
	if err != nil {
		return nil, fmt.Errorf("list tree %s: %w", tree, err)
	}
	listing, err := parseTree(string(out))
	if err != nil {
		return nil, fmt.Errorf("tree %s: %w", tree, err)
	}
	return listing, nil
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
	var ask strings.Builder
	total := 0
	for _, e := range entries {
		ask.WriteString(e.ID + "\n")
		total += e.Size
	}
	if ask.Len() == 0 {
		return nil, nil
	}
	if total > MaxBytes {
		return nil, fmt.Errorf("%w: over %d bytes", ErrLimit, MaxBytes)
	}
	out, err := m.run(ctx, strings.NewReader(ask.String()), nil, "cat-file", "--batch", "--buffer")
	if err != nil {
		return nil, err
	}
	contents := make(map[string][]byte, len(entries))
	r := bufio.NewReader(bytes.NewReader(out))
	for _, e := range entries {
		if _, err := r.ReadString('\n'); err != nil {
			return nil, fmt.Errorf("blob %s: %w", e.ID, err)
		}
		text := make([]byte, e.Size+1)
		if _, err := io.ReadFull(r, text); err != nil {
			return nil, fmt.Errorf("blob %s: %w", e.ID, err)
		}
		contents[e.ID] = text[:e.Size]
	}
	return contents, nil
}
