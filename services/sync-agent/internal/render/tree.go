package render

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// Limits of what one render reads: generous for manifests, harmless for memory.
const (
	maxFiles = 20_000
	maxBytes = 64 << 20
	maxLinks = 40 // links that one path may lead through
)

// ErrLimit is wrapped by errors about a source that is too large to render.
var ErrLimit = errors.New("the source is too large")

// Entry is one entry of a tree.
type Entry struct {
	ID   string // of the content; equal ids are equal contents
	Kind EntryKind
	Size int // in bytes, of files and links
}

// EntryKind tells entries apart.
type EntryKind int

// The kinds of entries. There is nothing at a path of kind Absent.
const (
	Absent EntryKind = iota
	File
	Folder
	Link
)

// Listing is all that a tree holds, by path.
type Listing map[string]Entry

// Tree reads the objects of a repository by their ids.
type Tree interface {
	// List returns what is below a tree, folders too.
	List(ctx context.Context, tree string) (Listing, error)
	// Blobs returns the contents of files and links by id.
	Blobs(ctx context.Context, entries []Entry) (map[string][]byte, error)
}

// Memory is a Tree of files that are in memory: a chart, an artifact. Its only tree is Root.
type Memory struct {
	Root  string
	files map[string][]byte
	list  Listing
}

// NewMemory makes the tree of files, by their paths.
func NewMemory(files map[string][]byte) *Memory {
	m := &Memory{files: map[string][]byte{}, list: Listing{}}
	all := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		sum := sha256.Sum256(files[name])
		id := hex.EncodeToString(sum[:])
		fmt.Fprintf(all, "%s\x00%s\x00", name, id)
		m.files[id] = files[name]
		m.list[name] = Entry{ID: id, Kind: File, Size: len(files[name])}
		for dir := path.Dir(name); dir != "." && m.list[dir].Kind == Absent; dir = path.Dir(dir) {
			m.list[dir] = Entry{Kind: Folder}
		}
	}
	m.Root = "files:" + hex.EncodeToString(all.Sum(nil))
	for name, e := range m.list {
		if e.Kind == Folder {
			m.list[name] = Entry{ID: m.Root + "/" + name, Kind: Folder}
		}
	}
	return m
}

// Sub is the id of the tree at a path; false when there is no folder.
func (m *Memory) Sub(dir string) (string, bool) {
	if dir = clean(dir); dir == "" {
		return m.Root, true
	}
	e := m.list[dir]
	return e.ID, e.Kind == Folder
}

// List returns what is below a tree.
func (m *Memory) List(_ context.Context, tree string) (Listing, error) {
	if tree == m.Root {
		return m.list, nil
	}
	dir, ok := strings.CutPrefix(tree, m.Root+"/")
	if !ok {
		return nil, fmt.Errorf("there is no tree %s", tree)
	}
	out := Listing{}
	for name, e := range m.list {
		if rest, below := strings.CutPrefix(name, dir+"/"); below {
			out[rest] = e
		}
	}
	return out, nil
}

// Blobs returns contents.
func (m *Memory) Blobs(_ context.Context, entries []Entry) (map[string][]byte, error) {
	out := make(map[string][]byte, len(entries))
	for _, e := range entries {
		out[e.ID] = m.files[e.ID]
	}
	return out, nil
}

// clean makes a path relative to the root; it cannot leave it.
func clean(dir string) string { return strings.TrimPrefix(path.Clean("/"+dir), "/") }
