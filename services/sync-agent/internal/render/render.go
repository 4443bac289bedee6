package render

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// ErrSource is wrapped by errors that only another commit or spec can heal.
var ErrSource = errors.New("cannot render")

// Manifests is what a source renders to. It is shared: do not change the objects.
type Manifests struct {
	Type    string
	Objects []*unstructured.Unstructured
}

// Tree reads one commit.
type Tree interface {
	// Files returns the wanted files of a tree by path.
	Files(ctx context.Context, tree string, wanted func(path string) bool) (map[string][]byte, error)
}

// Input names what to render.
type Input struct {
	Source v1alpha1.ApplicationSource
	Dir    string // tree of the source's path
	Root   string // tree of the repository
}

// Renderer renders with a cache by content: the same tree with the same
// parameters is rendered once, whatever the commit. Safe for concurrent use.
type Renderer struct {
	cache *cache
}

// New makes a renderer that remembers results of about budget bytes.
func New(budget int) *Renderer { return &Renderer{cache: newCache(budget)} }

// Render returns the manifests of a source.
func (r *Renderer) Render(ctx context.Context, tree Tree, in Input) (Manifests, error) {
	if err := check(in.Source); err != nil {
		return Manifests{}, err
	}
	params, err := json.Marshal(parametersOf(in.Source))
	if err != nil {
		return Manifests{}, fmt.Errorf("%w: parameters: %w", ErrSource, err)
	}
	// Until it is known that the tree stays in its folder, the whole repository counts: two of the same tree in
	// different repositories may mean different things.
	narrow, all := bus.Key(in.Dir, string(params)), bus.Key(in.Dir, in.Root, in.Source.Path, string(params))
	key := all
	if wide, known := r.cache.wide(narrow); known && !wide {
		key = narrow
	}
	return r.cache.once(ctx, key, func(ctx context.Context) (string, slot) {
		m, size, wide, err := r.make(ctx, tree, in)
		under := all
		if !wide {
			under = narrow
		}
		if err == nil || errors.Is(err, ErrSource) {
			r.cache.setWide(narrow, wide)
		}
		return under, slot{result: m, size: size, err: err}
	})
}

// make renders. It also returns about how many bytes that takes, and whether it depended on what is above the folder.
func (r *Renderer) make(ctx context.Context, tree Tree, in Input) (m Manifests, size int, wide bool, err error) {
	files, err := tree.Files(ctx, in.Dir, func(string) bool { return true })
	if err != nil {
		return Manifests{}, 0, true, err
	}
	for _, text := range files {
		size += len(text)
	}
	k := kindOf(files, in.Source)
	if k.render == nil {
		return Manifests{}, 0, false, k.refusal()
	}
	dir := "/"
	if k.reachesOut != nil {
		if wide = k.reachesOut(files, in.Source); wide && in.Dir != in.Root {
			if files, err = tree.Files(ctx, in.Root, func(string) bool { return true }); err != nil {
				return Manifests{}, 0, true, err
			}
			dir = path.Clean("/" + in.Source.Path)
		}
	}
	objects, err := k.render(files, dir, in.Source)
	return Manifests{Type: k.name, Objects: objects}, size + len(objects)*objectSize, wide, err
}

// objectSize is about what an object takes in memory, in bytes, beside the files.
const objectSize = 4096
