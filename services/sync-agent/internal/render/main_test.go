package render

import (
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestMain(m *testing.M) {
	if IsWorker(os.Args) {
		os.Exit(Work(os.Args, os.Stdin, os.Stdout))
	}
	os.Exit(m.Run())
}

const configMap = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %}\n"

func cm(name string) string { return strings.ReplaceAll(configMap, "%", name) }

// repository is a Memory of texts.
func repository(files map[string]string) *Memory {
	bytes := map[string][]byte{}
	for name, text := range files {
		bytes[name] = []byte(text)
	}
	return NewMemory(bytes)
}

// link makes an entry of a repository a symbolic link to what it holds.
func link(m *Memory, name string) {
	e := m.list[name]
	e.Kind = Link
	m.list[name] = e
}

// rig renders, and counts how often.
type rig struct {
	*Renderer
	*testing.T

	mu      sync.Mutex
	renders int // read it when nothing renders
}

func newRig(t *testing.T) *rig {
	t.Helper()
	pool, err := NewPool(Limits{Workers: 1, Time: 20 * time.Second, Memory: 1 << 30, Renders: 50, Idle: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	r := &rig{T: t}
	r.Renderer = New(1<<20, pool, func(string, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.renders++
	})
	return r
}

// input is the source at a path of a repository.
func input(t *testing.T, m *Memory, source v1alpha1.ApplicationSource) Input {
	t.Helper()
	dir, ok := m.Sub(source.Path)
	if !ok {
		t.Fatalf("there is no %q", source.Path)
	}
	return Input{
		App: App{Name: "web", Namespace: "argocd", Project: "default", Revision: "0123456789abcdef"}, Source: source,
		Tree: m, Dir: dir, Root: m.Root, Destination: Destination{Namespace: "prod"},
	}
}

// names of what a source in the folder app renders to.
func (r *rig) names(files map[string]string, source v1alpha1.ApplicationSource) ([]string, error) {
	r.Helper()
	source.Path = "app"
	got, err := r.Render(r.Context(), input(r.T, repository(files), source))
	return namesOf(got.Objects), err
}

func namesOf(objects []*unstructured.Unstructured) []string {
	var names []string
	for _, o := range objects {
		names = append(names, o.GetKind()+"/"+o.GetName())
	}
	return names
}

func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }
