package render

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/hashicorp/golang-lru/v2/simplelru"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// ErrSource is wrapped by errors that only another commit or spec can heal.
var ErrSource = errors.New("cannot render")

// Manifests is what a source renders to. It is shared: do not change the objects.
type Manifests struct {
	Type    string
	Objects []*unstructured.Unstructured
	Reads   []Stamp // what was read outside of the source's folder
}

// Remote brings what is outside of all sources. It refuses what the project of the Application does not permit.
type Remote interface {
	// Chart returns the archive of a chart, and its version.
	Chart(ctx context.Context, c ChartRef) (data []byte, version string, err error)
	// Document returns what is at a URL.
	Document(ctx context.Context, url string) ([]byte, error)
	// Repository returns the tree of a commit.
	Repository(ctx context.Context, r Repository) (tree Tree, root string, err error)
}

// Input names what to render.
type Input struct {
	App         App
	Source      v1alpha1.ApplicationSource
	Tree        Tree
	Dir         string         // tree of the source's path
	Root        string         // tree of the repository
	Refs        map[string]Ref // sources that files may be taken from, by their names with the dollar sign
	Destination Destination
	Options     Options
	Disabled    []string // tools that are switched off: helm, kustomize, jsonnet
	Remote      Remote   // nil when nothing may be fetched
	Keys        Keys     // of files that SOPS encrypted
	Fresh       bool     // what is remembered does not count
}

// Ref is the tree of another source.
type Ref struct {
	Tree Tree
	Root string
}

// Renderer renders with a cache by content: what is read at the same paths is rendered once with the same parameters,
// whatever the commit. Safe for concurrent use.
type Renderer struct {
	cache    *cache
	listings *listings
	pool     *Pool
	// Plugins are those that sources may name; nil is none. It is set before the first render.
	Plugins *Plugins
	matched *simplelru.LRU[string, bool] // of trees: a plugin knows it
	mu      sync.Mutex
	counted func(kind string, err error)
}

// New makes a renderer that remembers results of about budget bytes and renders in the workers of a pool. counted is
// told of every render that was not remembered.
func New(budget int, pool *Pool, counted func(kind string, err error)) *Renderer {
	r := &Renderer{cache: newCache(budget), listings: newListings(), pool: pool, counted: counted}
	r.matched, _ = simplelru.NewLRU[string, bool](maxMatched, nil) // of a positive size it does not fail
	return r
}

// Render returns the manifests of a source.
func (r *Renderer) Render(ctx context.Context, in Input) (Manifests, error) {
	if err := check(in.Source); err != nil {
		return Manifests{}, err
	}
	job, k, err := r.prepare(ctx, in)
	if err != nil {
		return Manifests{}, err
	}
	also := []any(nil)
	if k.also != nil {
		also = append(also, k.also(job))
	}
	params, err := json.Marshal([]any{k.name, k.parameters(job.Source), also, job.Refs, in.Keys.id})
	if err != nil {
		return Manifests{}, fmt.Errorf("%w: parameters: %w", ErrSource, err)
	}
	key := bus.Key(in.Dir, string(params))
	if in.Fresh {
		r.cache.drop(key)
	}
	// Concurrent renders are shared when everything that they might read is the same.
	all := []string{key, in.Root, in.Source.Path}
	for _, name := range job.Refs {
		all = append(all, in.Refs[name].Root)
	}
	holds := func(reads []Stamp) (bool, error) { return r.hold(ctx, in, reads) }
	return r.cache.once(ctx, key, bus.Key(all...), holds, func(ctx context.Context) slot {
		m, size, err := r.make(ctx, in, job, k)
		if r.counted != nil {
			r.counted(k.name, err)
		}
		return slot{result: m, size: size, err: err}
	})
}

// prepare merges what the folder says over its source, finds out its kind and replaces variables.
func (r *Renderer) prepare(ctx context.Context, in Input) (*Job, kind, error) {
	list, err := r.listings.list(ctx, in.Tree, in.Dir)
	if err != nil {
		return nil, kind{}, err
	}
	names, programs := map[string]bool{}, false
	for name, e := range list {
		if !strings.Contains(name, "/") && e.Kind != Folder {
			names[name] = true
		}
		programs = programs || strings.EqualFold(path.Ext(name), ".jsonnet")
	}
	s := in.Source
	for _, name := range overrideNames(in.App.Name) {
		e := list[name]
		if e.Kind != File {
			continue
		}
		found, err := in.Tree.Blobs(ctx, []Entry{e})
		if err != nil {
			return nil, kind{}, err
		}
		if s, err = override(s, path.Join(in.Source.Path, name), found[e.ID]); err != nil {
			return nil, kind{}, err
		}
	}
	if err := check(s); err != nil {
		return nil, kind{}, err
	}
	k := kindOf(names, s, in.Disabled)
	if !explicit(s) {
		if k, err = r.discovered(ctx, in, k); err != nil {
			return nil, kind{}, err
		}
	}
	job := &Job{
		Kind: k.name, Dir: clean(in.Source.Path), App: in.App, Destination: in.Destination, Options: in.Options,
		Refs: sortedKeys(in.Refs),
		// Plain files are only read; everything else runs what others wrote.
		inProcess: (k.name == directory.name && !programs) || k.name == plugin.name,
	}
	if in.Dir == in.Root {
		job.Dir = ""
	}
	job.Source = environmentOf(in.App, s).source(s, job.Refs)
	return job, k, nil
}

// maxMatched bounds the trees of which it is known whether a plugin knows them.
const maxMatched = 100_000

// discovered is the kind of a source that names none: that of plugins, when one of them says that it knows the source.
func (r *Renderer) discovered(ctx context.Context, in Input, otherwise kind) (kind, error) {
	names := r.Plugins.names()
	if len(names) == 0 || in.Source.Chart != "" {
		return otherwise, nil
	}
	key := bus.Key(in.Root, in.Source.Path, strings.Join(names, "/"))
	r.mu.Lock()
	known, ok := r.matched.Get(key)
	r.mu.Unlock()
	if !ok {
		a := &answers{
			in: in, dir: clean(in.Source.Path), plugins: r.Plugins, listings: r.listings, views: map[string]*view{},
		}
		v, err := a.view(ctx, "")
		if err != nil {
			return otherwise, err
		}
		all, err := v.look(ctx, Look{Deep: true})
		if err != nil {
			return otherwise, err
		}
		_, err = r.Plugins.match(ctx, in.App.Name, a.dir, all.Files, PluginCall{})
		if known = err == nil; err != nil && !errors.Is(err, errUnmatched) {
			return otherwise, err
		}
		r.mu.Lock()
		r.matched.Add(key, known)
		r.mu.Unlock()
	}
	if known {
		return plugin, nil
	}
	return otherwise, nil
}

// make renders. It also returns about how many bytes the result takes.
func (r *Renderer) make(ctx context.Context, in Input, job *Job, k kind) (Manifests, int, error) {
	a := &answers{in: in, dir: job.Dir, plugins: r.Plugins, listings: r.listings, views: map[string]*view{}}
	var objects []*unstructured.Unstructured
	var reads []Read
	var err error
	if job.inProcess {
		objects, reads, err = run(ctx, job, a)
	} else {
		objects, reads, err = r.pool.run(ctx, job, a)
	}
	m := Manifests{Type: k.name, Objects: objects}
	if err == nil || errors.Is(err, ErrSource) {
		stamps, serr := a.stamps(ctx, reads)
		if serr != nil {
			return Manifests{}, 0, serr
		}
		m.Reads = stamps
	}
	return m, a.size + len(objects)*objectSize, err
}

// objectSize is about what an object takes in memory, in bytes, beside the files.
const objectSize = 4096

// hold reports whether what a result was made of is still there.
func (r *Renderer) hold(ctx context.Context, in Input, reads []Stamp) (bool, error) {
	listed := map[string]Listing{}
	for _, s := range reads {
		list, ok := listed[s.Tree]
		if !ok {
			tree, root := in.Tree, in.Root
			switch {
			case strings.HasPrefix(s.Tree, "$"):
				tree, root = in.Refs[s.Tree].Tree, in.Refs[s.Tree].Root
			case s.Tree != "":
				continue // what was fetched is remembered as long as the result is
			}
			if tree == nil {
				return false, nil
			}
			var err error
			if list, err = r.listings.list(ctx, tree, root); err != nil {
				return false, err
			}
			listed[s.Tree] = list
		}
		if !list.holds(s) {
			return false, nil
		}
	}
	return true, nil
}

// answers are those to what a render asks, from the trees of its input.
type answers struct {
	in       Input
	dir      string // of the source
	plugins  *Plugins
	listings *listings

	mu      sync.Mutex
	views   map[string]*view
	size    int // of what was read, in bytes
	trees   []Ref
	fetched []Stamp
}

// fetchedTree is the tree of stamps that tell what was fetched, in their paths and ids.
const fetchedTree = "fetched"

func (a *answers) note(what, id string) {
	a.fetched = append(a.fetched, Stamp{Read: Read{Tree: fetchedTree, Path: what}, ID: id})
}

var errNothingFetched = errors.New("nothing may be fetched here")

func (a *answers) view(ctx context.Context, tree string) (*view, error) {
	if v := a.views[tree]; v != nil {
		return v, nil
	}
	of := Ref{Tree: a.in.Tree, Root: a.in.Root}
	switch {
	case tree == "":
	case strings.HasPrefix(tree, "$"):
		of = a.in.Refs[tree]
	default:
		var i int
		if _, err := fmt.Sscanf(tree, fetchedTree+":%d", &i); err != nil || i < 0 || i >= len(a.trees) {
			return nil, fmt.Errorf("%w: there is no tree %q", ErrSource, tree)
		}
		of = a.trees[i]
	}
	if of.Tree == nil {
		return nil, fmt.Errorf("%w: there is no source with ref %q", ErrSource, strings.TrimPrefix(tree, "$"))
	}
	v, err := newView(ctx, of.Tree, of.Root, a.listings.list)
	if err == nil {
		a.views[tree] = v
	}
	return v, err
}

// Look answers from the trees.
func (a *answers) Look(ctx context.Context, l Look) (Looked, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	v, err := a.view(ctx, l.Tree)
	if err != nil {
		return Looked{}, err
	}
	before := v.bytes
	found, err := v.look(ctx, l)
	a.size += v.bytes - before
	if err != nil {
		return found, err
	}
	return found, a.open(l.Path, &found)
}

// open opens what SOPS encrypted.
func (a *answers) open(name string, found *Looked) (err error) {
	if found.Kind == File {
		found.Data, err = a.in.Keys.open(name, found.Data)
		return err
	}
	for below, text := range found.Files {
		plain, err := a.in.Keys.open(path.Join(name, below), text)
		switch {
		case err == nil:
			found.Files[below] = plain
		case found.Names != nil:
			delete(found.Files, below) // it was read ahead: whoever wants it is told
		default:
			return err
		}
	}
	return nil
}

// Fetch brings what is outside.
func (a *answers) Fetch(ctx context.Context, f Fetch) (Fetched, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if f.Plugin != nil {
		return a.generate(ctx, *f.Plugin)
	}
	if a.in.Remote == nil {
		return Fetched{}, fmt.Errorf("%w: %w", ErrSource, errNothingFetched)
	}
	switch {
	case f.Chart != nil:
		data, version, err := a.in.Remote.Chart(ctx, *f.Chart)
		a.note(f.Chart.Repo+"/"+f.Chart.Name, version)
		return Fetched{Data: data, Version: version}, err
	case f.Repository != nil:
		tree, root, err := a.in.Remote.Repository(ctx, *f.Repository)
		if err != nil {
			return Fetched{}, err
		}
		a.note(f.Repository.URL, root)
		a.trees = append(a.trees, Ref{Tree: tree, Root: root})
		return Fetched{Tree: fmt.Sprintf("%s:%d", fetchedTree, len(a.trees)-1)}, nil
	}
	data, err := a.in.Remote.Document(ctx, f.Document)
	a.note(f.Document, "")
	return Fetched{Data: data}, err
}

// generate has a plugin make manifests of the whole repository.
func (a *answers) generate(ctx context.Context, call PluginCall) (Fetched, error) {
	v, err := a.view(ctx, "")
	if err != nil {
		return Fetched{}, err
	}
	all, err := v.look(ctx, Look{Deep: true})
	if err != nil {
		return Fetched{}, err
	}
	a.size += v.bytes
	data, err := a.plugins.generate(ctx, call, a.in.App.Name, a.dir, all.Files)
	return Fetched{Data: data}, err
}

// stamps say what was there at what was read.
func (a *answers) stamps(ctx context.Context, reads []Read) ([]Stamp, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := slices.Clone(a.fetched)
	for _, r := range reads {
		if strings.HasPrefix(r.Tree, fetchedTree) {
			continue // the commit of the repository is noted
		}
		v, err := a.view(ctx, r.Tree)
		if errors.Is(err, ErrSource) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found, err := v.stamp(ctx, r)
		if err != nil && !errors.Is(err, ErrSource) {
			return nil, err
		}
		out = append(out, found)
	}
	for tree, v := range a.views {
		if !strings.HasPrefix(tree, fetchedTree) {
			out = append(out, v.followed(tree, clean(a.dir))...)
		}
	}
	slices.SortFunc(out, func(a, b Stamp) int {
		return cmp.Or(
			strings.Compare(a.Tree, b.Tree), strings.Compare(a.Path, b.Path), cmp.Compare(a.How, b.How),
			strings.Compare(a.ID, b.ID),
		)
	})
	return slices.Compact(out), nil
}
