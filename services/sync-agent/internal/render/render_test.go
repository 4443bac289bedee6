package render

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/google/go-cmp/cmp"
)

// memory is a Tree whose trees are folders of a map, and that counts reads.
type memory struct {
	files map[string]string
	reads int
}

func (m *memory) Files(_ context.Context, tree string, wanted func(string) bool) (map[string][]byte, error) {
	m.reads++
	out := map[string][]byte{}
	for name, text := range m.files {
		if rest, ok := strings.CutPrefix(name, tree); ok && wanted(rest) {
			out[rest] = []byte(text)
		}
	}
	return out, nil
}

const configMap = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %}\n"

func cm(name string) string { return strings.ReplaceAll(configMap, "%", name) }

func render(t *testing.T, files map[string]string, source v1alpha1.ApplicationSource) ([]string, error) {
	t.Helper()
	in := Input{Source: source, Dir: "app/", Root: ""}
	in.Source.Path = "app"
	got, err := New(1<<20).Render(t.Context(), &memory{files: files}, in)
	var names []string
	for _, o := range got.Objects {
		names = append(names, o.GetKind()+"/"+o.GetName())
	}
	return names, err
}

func TestDirectory(t *testing.T) {
	deep := &v1alpha1.ApplicationSourceDirectory{Recurse: true}
	files := map[string]string{
		"app/b.yaml": cm("b") + "---\n" + cm("c") + "---\n# nothing\n",
		"app/a.json": `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}`, "app/sub/d.yml": cm("d"),
		"app/values.yaml": "x: 1\n", "app/readme.md": "x",
		"app/skip.yaml": "# +argocd:skip-file-rendering\n" + cm("s"),
		"app/list.yaml": "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: l}}\n",
	}
	for name, c := range map[string]struct {
		options *v1alpha1.ApplicationSourceDirectory
		want    []string
	}{
		"flat":    {nil, []string{"ConfigMap/a", "ConfigMap/b", "ConfigMap/c", "ConfigMap/l"}},
		"recurse": {deep, []string{"ConfigMap/a", "ConfigMap/b", "ConfigMap/c", "ConfigMap/l", "ConfigMap/d"}},
		"include": {
			&v1alpha1.ApplicationSourceDirectory{Include: "{a.json,l*}"}, []string{"ConfigMap/a", "ConfigMap/l"},
		},
		"exclude": {&v1alpha1.ApplicationSourceDirectory{Recurse: true, Exclude: "*.y*ml"}, []string{"ConfigMap/a"}},
	} {
		got, err := render(t, files, v1alpha1.ApplicationSource{Directory: c.options})
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
	if _, err := render(
		t, map[string]string{"app/x.yaml": cm("x") + "\t bad"}, v1alpha1.ApplicationSource{},
	); !errors.Is(err, ErrSource) {
		t.Errorf("a broken manifest: %v", err)
	}
}

const deployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {template: {spec: {containers: [{name: c, image: "registry/web:1"}]}}}
`

func TestKustomize(t *testing.T) {
	in := Input{
		Dir:  "app/",
		Root: "",
		Source: v1alpha1.ApplicationSource{Path: "app", Kustomize: &v1alpha1.ApplicationSourceKustomize{
			NamePrefix: "p-", Images: []string{"registry/web=other/web:2"},
		}},
	}
	tree := &memory{files: map[string]string{
		"app/kustomization.yaml": "resources: [../base]\nimages: [{name: registry/web, newTag: '9'}]\n",
		"base/kustomization.yml": "resources: [d.yaml]\n", "base/d.yaml": deployment,
	}}
	r := New(1 << 20)
	for range 2 {
		got, err := r.Render(t.Context(), tree, in)
		if err != nil || len(got.Objects) != 1 || got.Objects[0].GetName() != "p-web" {
			t.Fatalf("%+v, %v", got, err)
		}
		if text, _ := got.Objects[0].MarshalJSON(); !strings.Contains(string(text), "other/web:2") {
			t.Errorf("image: %s", text)
		}
	}
	if tree.reads > 4 {
		t.Errorf("%d reads", tree.reads)
	}
}

func TestKustomizeStaysLocal(t *testing.T) {
	for name, k := range map[string]string{
		"http resource": "resources: ['https://example.org/x.yaml']",
		"git resource":  "resources: ['github.com/a/b']",
		"ssh resource":  "resources: ['git@example.org:a/b']",
		"patch":         "resources: [d.yaml]\npatches: [{path: 'http://example.org/p.yaml'}]",
		"generator":     "configMapGenerator: [{name: x, files: ['a=http://example.org/p']}]",
		"inline":        "resources: [d.yaml]\ntransformers:\n- |-\n  apiVersion: builtin\n  kind: PatchTransformer\n  path: http://example.org/p\n",
		"helm":          "helmCharts: [{name: x}]",
		"escape":        "resources: [../../../etc/passwd]",
		"file outside":  "resources: [../secret.yaml]",
	} {
		_, err := render(
			t, map[string]string{"app/kustomization.yaml": k, "app/d.yaml": deployment, "secret.yaml": deployment},
			v1alpha1.ApplicationSource{},
		)
		if !errors.Is(err, ErrSource) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUnsupported(t *testing.T) {
	for _, s := range []v1alpha1.ApplicationSource{{Chart: "x"}, {Plugin: &v1alpha1.ApplicationSourcePlugin{}}} {
		if _, err := render(t, nil, s); !errors.Is(err, ErrSource) {
			t.Errorf("%+v: %v", s, err)
		}
	}
}

func TestCacheForgetsTheOldest(t *testing.T) {
	c := newCache(10)
	made := 0
	get := func(key string) {
		if _, err := c.once(
			t.Context(),
			key,
			func(context.Context) (string, slot) { made++; return key, slot{size: 6} },
		); err != nil {
			t.Fatal(err)
		}
	}
	get("a")
	get("a")
	get("b")
	get("a")
	if made != 3 || c.slots.Len() != 1 || c.used != 6 {
		t.Errorf("made %d, kept %d of %d bytes", made, c.slots.Len(), c.used)
	}
}

func TestFailuresAreForgottenAndCostNothing(t *testing.T) {
	c := newCache(10)
	now := time.Now()
	c.now = func() time.Time { return now }
	made := 0
	get := func(err error) error {
		_, got := c.once(
			t.Context(),
			"k",
			func(context.Context) (string, slot) { made++; return "k", slot{size: 4, err: err} },
		)
		return got
	}
	for range 3 {
		if err := get(ErrSource); !errors.Is(err, ErrSource) {
			t.Fatal(err)
		}
	}
	if made != 1 {
		t.Errorf("a broken tree was made %d times", made)
	}
	for range 5 {
		now = now.Add(failureMemory)
		_ = get(ErrSource)
	}
	if made != 6 || c.used != 4 {
		t.Errorf("made %d times, %d bytes are used", made, c.used)
	}
	now = now.Add(failureMemory)
	if err := get(io.ErrUnexpectedEOF); err == nil || c.used != 0 || c.slots.Len() != 0 {
		t.Errorf("%v: a hiccup is remembered, %d bytes", err, c.used)
	}
	if err := get(nil); err != nil {
		t.Error(err)
	}
}

func TestOneWhoGivesUpTakesNothingFromOthers(t *testing.T) {
	c := newCache(10)
	begun, end := make(chan struct{}), make(chan struct{})
	work := func(ctx context.Context) (string, slot) {
		close(begun)
		<-end
		return "k", slot{result: Manifests{Type: "made"}, err: ctx.Err()}
	}
	ctx, cancel := context.WithCancel(t.Context())
	first, second := make(chan error, 1), make(chan Manifests, 1)
	go func() { _, err := c.once(ctx, "k", work); first <- err }()
	<-begun
	go func() { m, _ := c.once(t.Context(), "k", work); second <- m }()
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	close(end)
	if m := <-second; m.Type != "made" {
		t.Errorf("%+v", m)
	}
}

// The same overlay in two repositories reads what is above it: what one renders to is not what the other does.
func TestATreeThatReachesOutIsOfItsRepository(t *testing.T) {
	overlay := "resources: [../base]\n"
	one := &memory{
		files: map[string]string{
			"tree/kustomization.yaml": overlay, "root1/app/kustomization.yaml": overlay,
			"root1/base/kustomization.yaml": "resources: [a.yaml]\n", "root1/base/a.yaml": cm("one"),
		},
	}
	two := &memory{
		files: map[string]string{
			"tree/kustomization.yaml": overlay, "root2/app/kustomization.yaml": overlay,
			"root2/base/kustomization.yaml": "resources: [a.yaml]\n", "root2/base/a.yaml": cm("two"),
		},
	}
	r := New(1 << 20)
	source := v1alpha1.ApplicationSource{Path: "app"}
	// At the same time, when nobody knows yet what the tree is like.
	names := make(chan string, 2)
	for root, tree := range map[string]*memory{"root1/": one, "root2/": two} {
		go func() {
			m, err := r.Render(t.Context(), tree, Input{Source: source, Dir: "tree/", Root: root})
			if err != nil || len(m.Objects) != 1 {
				t.Errorf("%s: %v", root, err)
				names <- ""
				return
			}
			names <- root + m.Objects[0].GetName()
		}()
	}
	got := []string{<-names, <-names}
	slices.Sort(got)
	if strings.Join(got, " ") != "root1/one root2/two" {
		t.Errorf("%v", got)
	}
}

func TestATreeThatStaysInItsFolderIsRenderedOnce(t *testing.T) {
	tree := &memory{files: map[string]string{"tree/a.yaml": cm("a")}}
	r := New(1 << 20)
	for _, root := range []string{"root1/", "root2/", "root3/"} {
		if _, err := r.Render(t.Context(), tree, Input{Dir: "tree/", Root: root}); err != nil {
			t.Fatal(err)
		}
	}
	if tree.reads != 1 {
		t.Errorf("read %d times", tree.reads)
	}
}

// What the parameters add may reach out where the tree does not.
func TestComponentsAboveTheFolderAreOfTheRepository(t *testing.T) {
	r := New(1 << 20)
	for _, root := range []string{"root1/", "root2/"} {
		files := map[string]string{"tree/kustomization.yaml": "resources: [a.yaml]\n", "tree/a.yaml": cm("a")}
		for name, text := range map[string]string{
			"app/kustomization.yaml": "resources: [a.yaml]\n", "app/a.yaml": cm("a"),
			"extra/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nnamePrefix: " + root[:5] + "-\n"} {
			files[root+name] = text
		}
		tree := &memory{files: files}
		if _, err := r.Render(
			t.Context(), tree, Input{Source: v1alpha1.ApplicationSource{Path: "app"}, Dir: "tree/", Root: root},
		); err != nil {
			t.Fatal(err)
		}
		source := v1alpha1.ApplicationSource{
			Path:      "app",
			Kustomize: &v1alpha1.ApplicationSourceKustomize{Components: []string{"../extra"}},
		}
		m, err := r.Render(t.Context(), tree, Input{Source: source, Dir: "tree/", Root: root})
		if err != nil || len(m.Objects) != 1 || m.Objects[0].GetName() != root[:5]+"-a" {
			t.Errorf("%s: %+v, %v", root, m.Objects, err)
		}
	}
}
