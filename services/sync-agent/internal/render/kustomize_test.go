package render

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/kustomize/api/types"
)

const deployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {template: {spec: {containers: [{name: c, image: "registry/web:1"}, {name: d, image: "d:1"}]}}}
`

// overlay is a base and what lies over it.
var overlay = map[string]string{
	"app/kustomization.yaml": "resources: [../base]\nimages: [{name: registry/web, newTag: '9'}]\n",
	"base/kustomization.yml": "resources: [d.yaml]\n", "base/d.yaml": deployment,
}

func kustomizeSource(k v1alpha1.ApplicationSourceKustomize) v1alpha1.ApplicationSource {
	return v1alpha1.ApplicationSource{Kustomize: &k}
}

// texts of what a source in the folder app renders to.
func (r *rig) text(files map[string]string, source v1alpha1.ApplicationSource) (string, error) {
	r.Helper()
	source.Path = "app"
	got, err := r.Render(r.Context(), input(r.T, repository(files), source))
	var out strings.Builder
	for _, o := range got.Objects {
		text, err := o.MarshalJSON()
		if err != nil {
			r.Fatal(err)
		}
		out.Write(text)
	}
	return out.String(), err
}

func TestKustomize(t *testing.T) {
	r := newRig(t)
	type options = v1alpha1.ApplicationSourceKustomize
	for name, c := range map[string]struct {
		options options
		want    []string
	}{
		"plain":     {want: []string{`"name":"web"`, `"registry/web:9"`}},
		"names":     {options{NamePrefix: "p-", NameSuffix: "-s"}, []string{`"name":"p-web-s"`}},
		"image":     {options{Images: []string{"registry/web=other/web:2"}}, []string{`"other/web:2"`}},
		"variables": {options{Images: []string{"registry/web:$ARGOCD_APP_REVISION_SHORT"}}, []string{`"registry/web:0123456"`}},
		"replicas": {
			options{Replicas: []v1alpha1.KustomizeReplica{{Name: "web", Count: intstr.FromString("7")}}},
			[]string{`"replicas":7`},
		},
		"labels": {
			options{CommonLabels: map[string]string{"a": "$ARGOCD_APP_NAME"}},
			[]string{`"labels":{"a":"web"}`, `"matchLabels":{"a":"web"}`},
		},
		"annotations": {
			options{CommonAnnotations: map[string]string{"a": "$ARGOCD_APP_NAME"}}, []string{`"a":"$ARGOCD_APP_NAME"`},
		},
		"annotations with variables": {
			options{CommonAnnotations: map[string]string{"a": "$ARGOCD_APP_NAME"}, CommonAnnotationsEnvsubst: true},
			[]string{`"a":"web"`},
		},
		"namespace": {options{Namespace: "there"}, []string{`"namespace":"there"`}},
		"patch": {
			options{Patches: []v1alpha1.KustomizePatch{{
				Patch: `[{"op":"replace","path":"/metadata/name","value":"other"}]`, Target: &v1alpha1.KustomizeSelector{Kind: "Deployment"},
				Options: map[string]bool{"allowNameChange": true},
			}}}, []string{`"name":"other"`},
		},
		"missing component": {
			options{Components: []string{"../none"}, IgnoreMissingComponents: true}, []string{`"name":"web"`},
		},
	} {
		got, err := r.text(overlay, kustomizeSource(c.options))
		for _, want := range c.want {
			if err != nil || !strings.Contains(got, want) {
				t.Errorf("%s: %v: %s has no %s", name, err, got, want)
			}
		}
	}
	without, err := r.text(
		overlay,
		kustomizeSource(options{CommonLabels: map[string]string{"a": "b"}, LabelWithoutSelector: true}),
	)
	if err != nil || !strings.Contains(without, `"a":"b"`) || strings.Contains(without, "matchLabels") {
		t.Errorf("labels without selectors: %v: %s", err, without)
	}
}

func TestKustomizeRefuses(t *testing.T) {
	r := newRig(t)
	type options = v1alpha1.ApplicationSourceKustomize
	labelled := with(
		overlay,
		"app/kustomization.yaml",
		"resources: [../base]\ncommonLabels: {a: x}\ncommonAnnotations: {b: v}\n",
	)
	for name, c := range map[string]struct {
		files   map[string]string
		options options
		want    string
	}{
		"taken label": {labelled, options{CommonLabels: map[string]string{"a": "b"}}, "forceCommonLabels"},
		"taken annotation": {
			labelled, options{CommonAnnotations: map[string]string{"b": "b"}}, "forceCommonAnnotations",
		},
		"templates alone": {
			overlay, options{CommonLabels: map[string]string{"a": "b"}, LabelIncludeTemplates: true},
			"labelWithoutSelector",
		},
		"image": {overlay, options{Images: []string{"web"}}, `"web" is no override`},
		"count": {
			overlay, options{Replicas: []v1alpha1.KustomizeReplica{{Name: "web", Count: intstr.FromString("x")}}},
			`"x" is no count`,
		},
		"missing component": {overlay, options{Components: []string{"../none"}}, "none"},
		"none":              {map[string]string{"app/x": ""}, options{NamePrefix: "x"}, "no kustomization.yaml"},
	} {
		if _, err := r.text(c.files, kustomizeSource(c.options)); !errors.Is(err, ErrSource) ||
			!strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a kustomization may not read is refused by file, field and value.
func TestKustomizeStaysInside(t *testing.T) {
	r := newRig(t)
	for name, c := range map[string]struct{ kustomization, want string }{
		"http resource": {"resources: ['https://example.org/x.yaml']", "nothing may be fetched"},
		"git resource":  {"resources: ['github.com/a/b']", "nothing may be fetched"},
		"ssh resource":  {"resources: ['git@example.org:a/b']", "nothing may be fetched"},
		"patch":         {"resources: [d.yaml]\npatches: [{path: 'http://example.org/p.yaml'}]", `app/kustomization.yaml: path: "http://example.org/p.yaml": remote files`},
		"generator":     {"configMapGenerator: [{name: x, files: ['a=http://example.org/p']}]", "app/kustomization.yaml: files"},
		"inline":        {"resources: [d.yaml]\ntransformers:\n- |-\n  apiVersion: builtin\n  kind: PatchTransformer\n  path: http://example.org/p\n", "app/kustomization.yaml: transformers"},
		"helm":          {"helmCharts: [{name: x}]", "--enable-helm"},
		"escape":        {"resources: [../../../etc/passwd]", `resources: "../../../etc/passwd": leaves the repository`},
		"file outside":  {"resources: [../secret.yaml]", "secret.yaml"},
		"hidden":        {"resources: [d.yaml]\ntransformers: [t.yaml]", "nothing is fetched from here"},
	} {
		_, err := r.text(map[string]string{
			"app/kustomization.yaml": c.kustomization, "app/d.yaml": deployment, "secret.yaml": deployment,
			"app/t.yaml": "apiVersion: builtin\nkind: PatchTransformer\nmetadata: {name: x}\npath: http://example.org/p\n",
		}, v1alpha1.ApplicationSource{})
		if !errors.Is(err, ErrSource) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A build that brings a schema of its own does not change the merging of the next.
func TestASchemaIsOfOneBuild(t *testing.T) {
	r := newRig(t)
	patched := map[string]string{
		"app/kustomization.yaml": "resources: [d.yaml]\npatches: [{path: p.yaml}]\n", "app/d.yaml": deployment,
		"app/p.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {template: {spec: {containers: [{name: c, tty: true}]}}}\n",
	}
	schema := with(
		patched,
		"app/kustomization.yaml",
		patched["app/kustomization.yaml"]+"openapi: {path: s.json}\n",
		"app/s.json",
		`{"definitions":{"x":{"type":"object","x-kubernetes-group-version-kind":[{"group":"apps","kind":"Deployment","version":"v1"}]}}}`,
	)
	broken, err := r.text(schema, v1alpha1.ApplicationSource{})
	if err != nil || strings.Contains(broken, `"d:1"`) {
		t.Fatalf("the schema has no effect, so this test has none: %v %s", err, broken)
	}
	got, err := r.text(patched, v1alpha1.ApplicationSource{})
	if err != nil || !strings.Contains(got, `"d:1"`) || !strings.Contains(got, `"tty":true`) {
		t.Errorf("%v %s", err, got)
	}
}

// The expected values are what `kustomize edit set image` writes.
func TestImageOverrides(t *testing.T) {
	for _, c := range []struct {
		have, override string
		want           types.Image
	}{
		{`{}`, "nginx:2", types.Image{Name: "nginx", NewTag: "2"}},
		{`{"newName":"mine","newTag":"1"}`, "nginx:2", types.Image{Name: "nginx", NewTag: "2"}},
		{`{"newName":"mine","newTag":"1"}`, "nginx=*:2", types.Image{Name: "nginx", NewName: "mine", NewTag: "2"}},
		{`{"newName":"mine","newTag":"1"}`, "nginx=other:*", types.Image{Name: "nginx", NewName: "other", NewTag: "1"}},
		{`{"digest":"sha256:0"}`, "nginx=other@*", types.Image{Name: "nginx", NewName: "other", Digest: "sha256:0"}},
		{`{}`, "nginx=*:*", types.Image{Name: "nginx"}},
		{`{}`, "nginx:1.2@sha256:24a0", types.Image{Name: "nginx", NewTag: "1.2", Digest: "sha256:24a0"}},
		{
			`{}`, "nginx=host:5000/n/m:1.2@sha256:24a0",
			types.Image{Name: "nginx", NewName: "host:5000/n/m", NewTag: "1.2", Digest: "sha256:24a0"},
		},
		{`{}`, "nginx@sha256:24a0", types.Image{Name: "nginx", Digest: "sha256:24a0"}},
		{`{}`, "nginx=other", types.Image{Name: "nginx", NewName: "other"}},
	} {
		var have types.Image
		if err := json.Unmarshal([]byte(c.have), &have); err != nil {
			t.Fatal(err)
		}
		have.Name = "nginx"
		k := types.Kustomization{Images: []types.Image{have}}
		err := setImages(&k, []string{c.override})
		if diff := cmp.Diff([]types.Image{c.want}, k.Images); diff != "" || err != nil {
			t.Errorf("%s over %s: %v %s", c.override, c.have, err, diff)
		}
	}
}

func FuzzParseImage(f *testing.F) {
	for _, seed := range []string{"nginx:2", "a=b:c@d", "a=*:*", "=", "@", ":", "host:5000/a", "a=b=c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		image, err := parseImage(text)
		if err == nil && image.Name == "" {
			t.Errorf("%q has no name", text)
		}
	})
}

func FuzzParseRemote(f *testing.F) {
	for _, seed := range []string{
		"github.com/a/b/c?ref=v1", "https://host/a/b.git//x?ref=main", "git@host:a/b.git", "git::https://h/a//b",
		"https://dev.azure.com/o/p/_git/r/x", "file:///x//y", "https://", "//", "a@b:c//../..",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, sub, err := parseRemote(text)
		if err == nil && (r.URL == "" || leaves("", sub)) {
			t.Errorf("%q: %+v %q", text, r, sub)
		}
	})
}

func TestParseRemote(t *testing.T) {
	for text, want := range map[string][3]string{
		"github.com/a/b/c/d?ref=v1":               {"https://github.com/a/b", "c/d", "v1"},
		"https://github.com/a/b//c?ref=v1":        {"https://github.com/a/b", "c", "v1"},
		"https://host/x/y/z.git//c?version=v2":    {"https://host/x/y/z.git", "c", "v2"},
		"https://host/x/y.git/c":                  {"https://host/x/y.git", "c", ""},
		"git@host:a/b.git//c?ref=x":               {"git@host:a/b.git", "c", "x"},
		"ssh://git@host/a/b//c":                   {"ssh://git@host/a/b", "c", ""},
		"https://dev.azure.com/o/p/_git/r/c?ref=": {"https://dev.azure.com/o/p/_git/r", "c", ""},
		"git::https://host/a/b.git?timeout=90s":   {"https://host/a/b.git", "", ""},
		"file:///srv/x.git//c":                    {"file:///srv/x.git", "c", ""},
	} {
		r, sub, err := parseRemote(text)
		if got := [3]string{r.URL, sub, r.Revision}; got != want || err != nil {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
}
