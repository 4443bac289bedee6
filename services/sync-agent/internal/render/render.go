package render

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// The types of sources, as status.sourceType names them.
const (
	Directory = "Directory"
	Kustomize = "Kustomize"
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
	if err := supported(in.Source); err != nil {
		return Manifests{}, err
	}
	params, err := json.Marshal([]any{in.Source.Kustomize, in.Source.Directory})
	if err != nil {
		return Manifests{}, fmt.Errorf("%w: parameters: %w", ErrSource, err)
	}
	// Until it is known that the tree stays in its folder, the whole repository counts: two of the same tree in different
	// repositories may mean different things.
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

func supported(s v1alpha1.ApplicationSource) error {
	switch {
	case s.Helm != nil || s.Chart != "":
		return fmt.Errorf("%w: Helm sources are not supported by this version", ErrSource)
	case s.Plugin != nil:
		return fmt.Errorf("%w: plugins are not supported", ErrSource)
	case s.Kustomize != nil && s.Directory != nil:
		return fmt.Errorf("%w: multiple application sources defined: Kustomize, Directory", ErrSource)
	}
	return nil
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
	dir := "/"
	if in.Source.Directory == nil && (in.Source.Kustomize != nil || kustomization(files) != "") {
		if wide = reachesOut(files, in.Source.Kustomize); wide && in.Dir != in.Root {
			if files, err = tree.Files(ctx, in.Root, func(string) bool { return true }); err != nil {
				return Manifests{}, 0, true, err
			}
			dir = path.Clean("/" + in.Source.Path)
		}
		objects, err := build(files, dir, in.Source.Kustomize)
		return Manifests{Type: Kustomize, Objects: objects}, size + len(objects)*4096, wide, err
	}
	if chart := files["Chart.yaml"]; chart != nil && in.Source.Directory == nil {
		return Manifests{}, 0, false, fmt.Errorf("%w: Helm sources are not supported by this version", ErrSource)
	}
	objects, err := plain(files, in.Source.Directory)
	return Manifests{Type: Directory, Objects: objects}, size, false, err
}

var kustomizationNames = []string{"kustomization.yaml", "kustomization.yml", "Kustomization"}

func kustomization(files map[string][]byte) string {
	i := slices.IndexFunc(kustomizationNames, func(n string) bool { return files[n] != nil })
	if i < 0 {
		return ""
	}
	return kustomizationNames[i]
}

// reachesOut reports whether some kustomization refers above its folder. It may
// say yes too often, which costs only reuse of the result.
func reachesOut(files map[string][]byte, k *v1alpha1.ApplicationSourceKustomize) bool {
	for name, text := range files {
		if slices.Contains(kustomizationNames, path.Base(name)) && strings.Contains(string(text), "..") {
			return true
		}
	}
	return k != nil && slices.ContainsFunc(k.Components, func(c string) bool { return strings.Contains(c, "..") })
}
