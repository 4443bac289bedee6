package source

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/render"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source/git"
)

// Bounds of submodules. Each is a repository that is fetched.
const (
	maxSubmoduleDepth = 8
	maxSubmodules     = 100 // of one commit, those of its submodules included
	partsKnown        = 1 << 14
)

// part is a repository as one of those that a tree is put together of. Parts are found again by their ids, since what
// was listed is remembered longer than who listed it.
type part struct {
	location string
	large    bool // Git LFS keeps files of it
	depth    int  // of how many repositories it is a submodule
	children map[string]child
}

// child is a submodule at a commit.
type child struct {
	id   string // of its part
	root string // its tree
}

// composed is a tree of several repositories. Its ids are those of Git with the id of the part before them, which is
// made of all that decides what the part holds: what one project may read, another's render does not have.
type composed struct {
	s *Sources
	q Request
}

// partEnd is what separates the id of a part from that of Git.
const partEnd = ":"

// builder puts together the parts of one commit.
type builder struct {
	composed
	dir  string // of the source
	left int    // submodules that may still come
}

// compose returns how a commit of a repository is read, and the ids of its root and of a folder: by its mirror, unless
// it has submodules or large files.
func (s *Sources) compose(
	ctx context.Context, q Request, m *git.Mirror, commit, dir string,
) (tree render.Tree, c git.Commit, err error) {
	b := builder{composed: composed{s, q}, dir: clean(dir), left: maxSubmodules}
	p, root, err := b.part(ctx, m, commit, 0, "")
	if err != nil {
		return nil, root, err
	}
	c, err = m.Describe(ctx, commit, dir)
	if len(p.children) == 0 && !p.large {
		return m, c, err
	}
	id := b.keep(p)
	switch {
	case errors.Is(err, git.ErrNoPath):
		c = root
		found, ferr := b.within(ctx, id, root.Root, b.dir)
		if ferr != nil || found == "" {
			return nil, c, errors.Join(err, ferr)
		}
		c.Tree = found
	case err != nil:
		return nil, c, err
	default:
		c.Tree = id + partEnd + c.Tree
	}
	c.Root = id + partEnd + c.Root
	return b.composed, c, nil
}

// part finds out what a repository is made of at a commit; at is where it stands in the first of them.
func (b *builder) part(
	ctx context.Context, m *git.Mirror, commit string, depth int, at string,
) (part, git.Commit, error) {
	p := part{location: m.URL(), depth: depth, children: map[string]child{}}
	r, err := b.s.repositories.find(ctx, p.location, b.q.App.Project)
	if err != nil {
		return p, git.Commit{}, err
	}
	p.large = r.LFS
	root, err := m.Describe(ctx, commit, "")
	if err != nil {
		return p, root, err
	}
	modules, err := m.Modules(ctx, commit)
	if err != nil || len(modules) == 0 {
		return p, root, err
	}
	links, err := m.Links(ctx, root.Root)
	if err != nil {
		return p, root, err
	}
	for _, name := range slices.Sorted(maps.Keys(links)) {
		full, location := path.Join(at, name), modules[name]
		if location == "" {
			continue // nothing says where it is: git leaves such a folder empty
		}
		if err := b.q.permit(location); err != nil {
			if b.concerns(full) {
				return p, root, fmt.Errorf("submodule %s: %w", full, err)
			}
			continue
		}
		made, err := b.enter(ctx, full, location, links[name], depth+1)
		if err != nil {
			return p, root, fmt.Errorf("submodule %s: %w", full, err)
		}
		p.children[links[name]] = made
	}
	return p, root, nil
}

// concerns reports whether a submodule is in the folder of the source, or the other way round.
func (b *builder) concerns(at string) bool {
	return b.dir == "" || strings.HasPrefix(at+"/", b.dir+"/") || strings.HasPrefix(b.dir+"/", at+"/")
}

// enter fetches a submodule, opened by what is known of its own repository alone.
func (b *builder) enter(ctx context.Context, at, location, commit string, depth int) (child, error) {
	if depth > maxSubmoduleDepth {
		return child{}, fmt.Errorf("%w: submodules in submodules, over %d deep", render.ErrSource, maxSubmoduleDepth)
	}
	if b.left--; b.left < 0 {
		return child{}, fmt.Errorf("%w: over %d submodules", render.ErrLimit, maxSubmodules)
	}
	m, err := b.s.mirror(ctx, location, b.q.App.Project)
	if err != nil {
		return child{}, fmt.Errorf("%w: %w", render.ErrSource, err)
	}
	if _, err := m.Resolve(ctx, commit, git.Want{}); err != nil {
		return child{}, err
	}
	if err := b.s.verify(ctx, b.q, m, Signed{Repository: location, Revision: commit, Commit: commit}); err != nil {
		return child{}, err
	}
	p, root, err := b.part(ctx, m, commit, depth, at)
	return child{b.keep(p), root.Root}, err
}

// keep remembers a part and returns its id.
func (t composed) keep(p part) string {
	of := []string{t.q.App.Project, t.q.Permits, p.location, fmt.Sprint(p.large, p.depth)}
	for _, commit := range slices.Sorted(maps.Keys(p.children)) {
		of = append(of, commit, p.children[commit].id)
	}
	id := bus.Key(of...)
	t.s.parts.Add(id, p)
	return id
}

// errForgotten is about a tree that was listed so long ago that nobody knows any more of which repository.
var errForgotten = errors.New("the tree was forgotten; it is listed again")

// find is the part of an id, its mirror and what follows. It is asked anew whether it may be read.
func (t composed) find(ctx context.Context, id string) (p part, m *git.Mirror, rest string, err error) {
	of, rest, _ := strings.Cut(id, partEnd)
	p, is := t.s.parts.Get(of)
	if !is {
		return p, nil, "", errForgotten
	}
	if p.depth > 0 {
		if err := t.q.permit(p.location); err != nil {
			return p, nil, "", fmt.Errorf("submodule: %w", err)
		}
	}
	m, err = t.s.mirror(ctx, p.location, t.q.App.Project)
	return p, m, rest, err
}

// within is the tree of a folder that is in a submodule, "" when there is none.
func (t composed) within(ctx context.Context, id, root, dir string) (string, error) {
	p, m, _, err := t.find(ctx, id)
	if err != nil {
		return "", err
	}
	links, err := m.Links(ctx, root)
	if err != nil {
		return "", err
	}
	for at, commit := range links {
		rest, below := strings.CutPrefix(dir+"/", at+"/")
		sub, is := p.children[commit]
		if !below || !is {
			continue
		}
		_, of, _, err := t.find(ctx, sub.id)
		if err != nil {
			return "", err
		}
		c, err := of.Describe(ctx, commit, rest)
		if errors.Is(err, git.ErrNoPath) {
			return t.within(ctx, sub.id, sub.root, clean(rest))
		}
		return sub.id + partEnd + c.Tree, err
	}
	return "", nil
}

// List returns what is below a tree, that of submodules included.
func (t composed) List(ctx context.Context, tree string) (render.Listing, error) {
	p, m, id, err := t.find(ctx, tree)
	if err != nil {
		return nil, err
	}
	of, _, _ := strings.Cut(tree, partEnd)
	own, err := m.List(ctx, id)
	if err != nil {
		return nil, err
	}
	out := make(render.Listing, len(own))
	for name, e := range own {
		e.ID = of + partEnd + e.ID
		out[name] = e
	}
	if len(p.children) == 0 {
		return out, nil
	}
	links, err := m.Links(ctx, id)
	if err != nil {
		return nil, err
	}
	for at, commit := range links {
		sub, is := p.children[commit]
		if !is {
			continue
		}
		root := sub.id + partEnd + sub.root
		below, err := t.List(ctx, root)
		if err != nil {
			return nil, fmt.Errorf("submodule %s: %w", at, err)
		}
		if len(out)+len(below) > git.MaxEntries {
			return nil, fmt.Errorf("%w: over %d entries", git.ErrLimit, git.MaxEntries)
		}
		out[at] = render.Entry{ID: root, Kind: render.Folder}
		for name, e := range below {
			out[path.Join(at, name)] = e
		}
	}
	return out, nil
}

// Blobs returns contents, those of large files instead of their pointers.
func (t composed) Blobs(ctx context.Context, entries []render.Entry) (map[string][]byte, error) {
	by := map[string][]render.Entry{}
	for _, e := range entries {
		of, id, _ := strings.Cut(e.ID, partEnd)
		e.ID = id
		by[of] = append(by[of], e)
	}
	out := make(map[string][]byte, len(entries))
	total := 0
	for _, of := range slices.Sorted(maps.Keys(by)) {
		p, m, _, err := t.find(ctx, of)
		if err != nil {
			return nil, err
		}
		found, err := m.Blobs(ctx, by[of])
		if err == nil && p.large {
			err = t.s.large(ctx, m, t.q.App.Project, found)
		}
		if err != nil {
			return nil, err
		}
		for id, text := range found {
			out[of+partEnd+id] = text
			if total += len(text); total > git.MaxBytes {
				return nil, fmt.Errorf("%w: over %d bytes", git.ErrLimit, git.MaxBytes)
			}
		}
	}
	return out, nil
}
