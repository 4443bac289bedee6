package render

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// Look asks for what is at a path.
type Look struct {
	Tree string // "" is the source's own, "$name" that of another source, "chart:..." and "git:..." what was fetched
	Path string // relative to the root of the tree
	Deep bool   // all that is below a folder, with contents
}

// Looked is what is at a path. Links have been followed.
type Looked struct {
	Kind  EntryKind         // File, Folder or Absent
	Data  []byte            // of a file
	Names []string          // of a folder; those of folders end in a slash
	Files map[string][]byte // of a folder: what is below when Deep, else small files in it, likely asked for next
}

// Read is one thing that a render looked at outside of its folder, by which its result is known to hold still.
type Read struct {
	Tree string
	Path string
	How  How
}

// How much of a path was looked at.
type How int

// A kind is whether something is there; a content is all of a file or folder.
const (
	OfKind How = iota
	OfContent
)

// Stamp is what was there when it was read.
type Stamp struct {
	Read

	ID string
}

// view is a tree as a render sees it: links are followed within it, and what is read is counted.
type view struct {
	tree  Tree
	list  Listing
	files int
	bytes int
	blobs map[string][]byte
	links map[string]bool // that were followed, and what they led to
}

func newView(ctx context.Context, tree Tree, root string, list lister) (*view, error) {
	found, err := list(ctx, tree, root)
	if err != nil {
		return nil, err
	}
	return &view{tree: tree, list: found, blobs: map[string][]byte{}, links: map[string]bool{}}, nil
}

// lister lists a tree, or remembers it. The tree itself has the path "".
type lister func(ctx context.Context, tree Tree, root string) (Listing, error)

// resolve follows links. through are the links that led there.
func (v *view) resolve(ctx context.Context, name string) (final string, e Entry, through []string, err error) {
	final, e, through, err = v.follow(ctx, name)
	for _, link := range through {
		v.links[link], v.links[final] = true, true
	}
	return final, e, through, err
}

func (v *view) follow(ctx context.Context, name string) (final string, e Entry, through []string, err error) {
	rest := strings.Split(clean(name), "/")
	if rest[0] == "" {
		return "", v.list[""], nil, nil
	}
	at := ""
	for len(rest) > 0 {
		next := path.Join(at, rest[0])
		rest = rest[1:]
		e = v.list[next]
		switch {
		case e.Kind == Absent:
			return path.Join(append([]string{next}, rest...)...), Entry{}, through, nil
		case e.Kind == File && len(rest) > 0:
			return path.Join(append([]string{next}, rest...)...), Entry{}, through, nil
		case e.Kind != Link:
			at = next
			continue
		}
		if through = append(through, next); len(through) > maxLinks {
			return "", Entry{}, through, fmt.Errorf("%w: %s: the link leads in circles", ErrSource, name)
		}
		target, err := v.read(ctx, e)
		if err != nil {
			return "", Entry{}, through, err
		}
		to := path.Join("/", path.Dir(next), string(target))
		if path.IsAbs(string(target)) || leaves(path.Dir(next), string(target)) {
			return "", Entry{}, through, fmt.Errorf(
				"%w: %s: the link to %q leaves the repository; make it point to a file in it", ErrSource, next, target,
			)
		}
		rest = append(strings.Split(strings.TrimPrefix(to, "/"), "/"), rest...)
		if at = ""; rest[0] == "" {
			rest = rest[1:]
			e = v.list[""]
		}
	}
	return at, e, through, nil
}

// leaves reports whether a relative path leads above the root.
func leaves(dir, target string) bool {
	joined := path.Join(dir, target)
	return joined == ".." || strings.HasPrefix(joined, "../")
}

func (v *view) read(ctx context.Context, e Entry) ([]byte, error) {
	if err := v.fetch(ctx, []Entry{e}); err != nil {
		return nil, err
	}
	return v.blobs[e.ID], nil
}

// fetch brings contents that are not there yet, within the limits of a render.
func (v *view) fetch(ctx context.Context, entries []Entry) error {
	var missing []Entry
	seen := map[string]bool{}
	for _, e := range entries {
		if _, ok := v.blobs[e.ID]; ok || seen[e.ID] {
			continue
		}
		seen[e.ID] = true
		missing = append(missing, e)
		v.files++
		v.bytes += e.Size
	}
	if v.files > maxFiles || v.bytes > maxBytes {
		return fmt.Errorf("%w: %w: over %d files or %d bytes are read", ErrSource, ErrLimit, maxFiles, maxBytes)
	}
	if len(missing) == 0 {
		return nil
	}
	found, err := v.tree.Blobs(ctx, missing)
	if err != nil {
		return err
	}
	maps.Copy(v.blobs, found)
	return nil
}

// What is read along with the names of a folder, since it is likely asked for next.
const (
	aheadFiles = 100
	aheadBytes = 1 << 20
)

// look answers a question about the tree.
func (v *view) look(ctx context.Context, l Look) (Looked, error) {
	final, e, _, err := v.resolve(ctx, l.Path)
	if err != nil {
		return Looked{}, err
	}
	switch e.Kind {
	case Absent, Link:
		return Looked{}, nil
	case File:
		data, err := v.read(ctx, e)
		return Looked{Kind: File, Data: data}, err
	case Folder:
	}
	out := Looked{Kind: Folder, Files: map[string][]byte{}}
	if l.Deep {
		return out, v.deep(ctx, final, "", out.Files, 0)
	}
	ahead := map[string]Entry{}
	size := 0
	for name, entry := range v.children(final) {
		kind := entry.Kind
		if kind == Link {
			_, target, _, err := v.resolve(ctx, path.Join(final, name))
			if err != nil {
				continue // whoever reads it is told
			}
			kind = target.Kind
		}
		switch kind {
		case Folder:
			name += "/"
		case File:
			if entry.Kind == File && len(ahead) < aheadFiles && size+entry.Size < aheadBytes {
				ahead[name] = entry
				size += entry.Size
			}
		case Absent, Link:
			continue
		}
		out.Names = append(out.Names, name)
	}
	slices.Sort(out.Names)
	if err := v.fetch(ctx, slices.Collect(maps.Values(ahead))); err != nil {
		return Looked{}, err
	}
	for name, entry := range ahead {
		out.Files[name] = v.blobs[entry.ID]
	}
	return out, nil
}

// children are the entries right in a folder.
func (v *view) children(dir string) map[string]Entry {
	out := map[string]Entry{}
	for name, e := range v.list {
		if rest, ok := below(name, dir); ok && name != "" && !strings.Contains(rest, "/") {
			out[rest] = e
		}
	}
	return out
}

// below is a path relative to a folder that it is in.
func below(name, dir string) (string, bool) {
	if dir == "" {
		return name, true
	}
	return strings.CutPrefix(name, dir+"/")
}

// deep collects the files below a folder into out; links to folders are followed.
func (v *view) deep(ctx context.Context, dir, as string, out map[string][]byte, hops int) error {
	if hops > maxLinks {
		return fmt.Errorf("%w: %s: links lead in circles", ErrSource, as)
	}
	plain, links := map[string]Entry{}, []string(nil)
	for name, e := range v.list {
		rest, ok := below(name, dir)
		switch {
		case !ok || e.Kind == Folder:
		case e.Kind == Link:
			links = append(links, rest)
		default:
			plain[rest] = e
		}
	}
	if err := v.fetch(ctx, slices.Collect(maps.Values(plain))); err != nil {
		return err
	}
	for name, e := range plain {
		out[path.Join(as, name)] = v.blobs[e.ID]
	}
	if len(out) > maxFiles {
		return fmt.Errorf("%w: %w: over %d files", ErrSource, ErrLimit, maxFiles)
	}
	slices.Sort(links)
	for _, name := range links {
		final, e, _, err := v.resolve(ctx, path.Join(dir, name))
		if err != nil {
			return err
		}
		switch e.Kind {
		case File:
			data, err := v.read(ctx, e)
			if err != nil {
				return err
			}
			out[path.Join(as, name)] = data
		case Folder:
			if _, inside := below(path.Join(dir, name), final); inside || final == "" {
				continue // a link to a folder that it is in has no end
			}
			if err := v.deep(ctx, final, path.Join(as, name), out, hops+1); err != nil {
				return err
			}
		case Absent, Link:
		}
	}
	return nil
}

// stamp says what is there now.
func (v *view) stamp(ctx context.Context, r Read) (Stamp, error) {
	final, e, _, err := v.resolve(ctx, r.Path)
	return Stamp{Read: Read{Tree: r.Tree, Path: final, How: r.How}, ID: idOf(e, r.How)}, err
}

// followed are stamps of the links that were followed and of what they led to, as far as it is not in the folder dir.
func (v *view) followed(tree, dir string) []Stamp {
	var out []Stamp
	for name := range v.links {
		if _, in := below(name, dir); !in || tree != "" {
			out = append(
				out, Stamp{Read: Read{Tree: tree, Path: name, How: OfContent}, ID: idOf(v.list[name], OfContent)},
			)
		}
	}
	return out
}

// idOf is what a stamp holds of an entry.
func idOf(e Entry, how How) string {
	switch {
	case e.Kind == Absent:
		return ""
	case how == OfContent && e.ID != "":
		return e.ID
	case e.Kind == Folder:
		return "folder"
	case e.Kind == Link:
		return "link"
	}
	return "file"
}

// holds reports whether a listing still has what a stamp says.
func (l Listing) holds(s Stamp) bool {
	e := l[s.Path]
	return idOf(e, s.How) == s.ID
}
