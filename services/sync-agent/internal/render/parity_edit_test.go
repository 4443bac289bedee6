package render

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// The options of an Application do what `kustomize edit` does to its kustomization.
func TestParityOfOptions(t *testing.T) {
	tools := os.Getenv("RENDER_PARITY_TOOLS")
	if tools == "" {
		t.Skip("make render-parity runs it: it builds kustomize")
	}
	files := map[string]string{
		"app/kustomization.yaml": "resources: [../base]\nnamePrefix: old-\n" +
			"images: [{name: registry/web, newName: mine, newTag: '9'}, {name: d, digest: 'sha256:0'}]\n" +
			"replicas: [{name: web, count: 2}]\nlabels: [{pairs: {one: a}}, {pairs: {two: a}, includeTemplates: true}]\n" +
			"commonAnnotations: {have: x}\n",
		"base/kustomization.yaml": "resources: [d.yaml, s.yaml]\n", "base/d.yaml": deployment,
		"base/s.yaml":                  "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}}\n",
		"component/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nnameSuffix: -c\n",
	}
	type options = v1alpha1.ApplicationSourceKustomize
	image := func(text string) options { return options{Images: []string{text}} }
	r := newRig(t)
	for name, c := range map[string]struct {
		options options
		edits   [][]string
	}{
		"nothing": {},
		"names": {
			options{NamePrefix: "p-", NameSuffix: "-s"},
			[][]string{{"set", "nameprefix", "--", "p-"}, {"set", "namesuffix", "--", "-s"}},
		},
		"name and tag": {image("registry/web:2"), [][]string{{"set", "image", "registry/web:2"}}},
		"kept name":    {image("registry/web=*:2"), [][]string{{"set", "image", "registry/web=*:2"}}},
		"kept tag":     {image("registry/web=other:*"), [][]string{{"set", "image", "registry/web=other:*"}}},
		"new name":     {image("registry/web=other"), [][]string{{"set", "image", "registry/web=other"}}},
		"tag and digest": {
			image("registry/web:2@sha256:24a0"), [][]string{{"set", "image", "registry/web:2@sha256:24a0"}},
		},
		"digest":          {image("d@sha256:24a0"), [][]string{{"set", "image", "d@sha256:24a0"}}},
		"kept digest":     {image("d=e@*"), [][]string{{"set", "image", "d=e@*"}}},
		"port":            {image("d=host:5000/d:1"), [][]string{{"set", "image", "d=host:5000/d:1"}}},
		"replaced digest": {image("d:3"), [][]string{{"set", "image", "d:3"}}},
		"two images": {
			options{Images: []string{"d:3", "registry/web=*:4"}},
			[][]string{{"set", "image", "d:3", "registry/web=*:4"}},
		},
		"image of no name": {image("none=x:1"), [][]string{{"set", "image", "none=x:1"}}},
		"replicas": {
			options{Replicas: []v1alpha1.KustomizeReplica{{Name: "web", Count: intstr.FromInt32(7)}}},
			[][]string{{"set", "replicas", "web=7"}},
		},
		"namespace": {options{Namespace: "there"}, [][]string{{"set", "namespace", "there"}}},
		"labels": {
			options{CommonLabels: map[string]string{"l": "v"}}, [][]string{{"add", "label", "l:v"}},
		},
		"labels alone": {
			options{
				CommonLabels: map[string]string{"one": "b", "l": "v"}, LabelWithoutSelector: true,
				ForceCommonLabels: true,
			},
			[][]string{{"add", "label", "--force", "--without-selector", "one:b", "l:v"}},
		},
		"labels of templates": {
			options{CommonLabels: map[string]string{"l": "v"}, LabelWithoutSelector: true, LabelIncludeTemplates: true},
			[][]string{{"add", "label", "--without-selector", "--include-templates", "l:v"}},
		},
		"annotations": {
			options{CommonAnnotations: map[string]string{"have": "y", "n": "z"}, ForceCommonAnnotations: true},
			[][]string{{"add", "annotation", "--force", "have:y", "n:z"}},
		},
		"component": {options{Components: []string{"../component"}}, [][]string{{"add", "component", "../component"}}},
	} {
		dir := toDisk(t, files)
		kustomize := func(args ...string) []byte {
			cmd := exec.Command(filepath.Join(tools, "kustomize"), args...)
			cmd.Dir = filepath.Join(dir, "app")
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%s: %v: %v", name, args, err)
			}
			return out
		}
		for _, e := range c.edits {
			kustomize(append([]string{"edit"}, e...)...)
		}
		want, err := decode(kustomize("build"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.Render(
			t.Context(), input(t, repository(files), v1alpha1.ApplicationSource{Path: "app", Kustomize: &c.options}),
		)
		if diff := cmp.Diff(canonical(t, want), canonical(t, got.Objects)); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
}

// toDisk writes files into a folder.
func toDisk(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// The options of an Application do what those of `helm template` do.
func TestParityOfValues(t *testing.T) {
	tools := os.Getenv("RENDER_PARITY_TOOLS")
	if tools == "" {
		t.Skip("make render-parity runs it: it builds helm")
	}
	files := with(webChart, "app/mine.yaml", "a: mine\nsub: {x: null}\nlist: []\nlarge: 1234567890\n")
	type options = v1alpha1.ApplicationSourceHelm
	set := func(name, value string, asString bool) options {
		return options{Parameters: []v1alpha1.HelmParameter{{
			Name: name, Value: v1alpha1.AnyString(value), ForceString: asString,
		}}}
	}
	r := newRig(t)
	for name, c := range map[string]struct {
		options options
		args    []string
	}{
		"nothing": {args: []string{"--include-crds"}},
		"files": {
			options{ValueFiles: []string{"values-prod.yaml", "mine.yaml"}},
			[]string{"-f", "values-prod.yaml", "-f", "mine.yaml"},
		},
		"text":          {options{Values: files["app/mine.yaml"]}, []string{"-f", "mine.yaml"}},
		"number":        {set("a", "5", false), []string{"--set", "a=5"}},
		"as text":       {set("a", "5", true), []string{"--set-string", "a=5"}},
		"list":          {set("list", "{a,b}", false), []string{"--set", "list={a,b}"}},
		"commas":        {set("a", "x,y", false), []string{"--set", `a=x\,y`}},
		"escaped comma": {set("a", `x\,y`, false), []string{"--set", `a=x\,y`}},
		"place":         {set("list[1].x", "5", false), []string{"--set", "list[1].x=5"}},
		"null":          {set("sub", "null", false), []string{"--set", "sub=null"}},
		"dots":          {set(`sub.a\.b`, "1", false), []string{"--set", `sub.a\.b=1`}},
		"file": {
			options{FileParameters: []v1alpha1.HelmFileParameter{{Name: "sub.t", Path: "token.txt"}}},
			[]string{"--set-file", "sub.t=token.txt"},
		},
		"cluster": {
			options{KubeVersion: "v1.30.1-gke.100", ApiVersions: []string{"example.org/v1/Thing"}},
			[]string{"--kube-version", "v1.30.1-gke.100", "--api-versions", "example.org/v1/Thing"},
		},
		"release": {
			options{ReleaseName: "other", Namespace: "there"},
			[]string{"--name-template", "other", "--namespace", "there"},
		},
		"no tests": {options{SkipTests: true}, []string{"--skip-tests"}},
	} {
		args := append(
			[]string{"template", ".", "--namespace", "prod", "--name-template", "web", "--include-crds"},
			c.args...)
		cmd := exec.Command(filepath.Join(tools, "helm"), args...)
		cmd.Dir = filepath.Join(toDisk(t, files), "app")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", name, err, out)
		}
		want, err := decode(out)
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.Render(
			t.Context(), input(t, repository(files), v1alpha1.ApplicationSource{Path: "app", Helm: &c.options}),
		)
		if diff := cmp.Diff(canonical(t, want), canonical(t, got.Objects)); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
}
