package render

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/google/go-cmp/cmp"
)

// A chart whose ConfigMap tells what its templates see.
var webChart = map[string]string{
	"app/Chart.yaml":  "apiVersion: v2\nname: web\nversion: 1.2.3\n",
	"app/values.yaml": "a: chart\nb: chart\nlist: [1]\nsub: {x: 1, z: 2}\n",
	"app/templates/cm.yaml": `apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}, namespace: {{ .Release.Namespace }}}
data:
  values: {{ omit .Values "global" | toJson | quote }}
  kube: {{ .Capabilities.KubeVersion.Version }} {{ .Capabilities.KubeVersion.Minor }}
  has: "{{ .Capabilities.APIVersions.Has "example.org/v1/Thing" }} {{ .Capabilities.APIVersions.Has "apps/v1" }}"
  looked: {{ lookup "v1" "Namespace" "" "x" | toJson | quote }}
`,
	"app/templates/NOTES.txt":     "welcome to {{ .Release.Name }}",
	"app/templates/_helpers.tpl":  `{{ define "x" }}x{{ end }}`,
	"app/templates/hook.yaml":     "apiVersion: batch/v1\nkind: Job\nmetadata: {name: hook, annotations: {helm.sh/hook: pre-install}}\n",
	"app/templates/test.yaml":     "apiVersion: v1\nkind: Pod\nmetadata: {name: test, annotations: {helm.sh/hook: test}}\n",
	"app/crds/crd.yaml":           "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: crd}\n",
	"app/values-prod.yaml":        "a: prod\nb: prod\n",
	"app/envs/1.yaml":             "a: one\n",
	"app/envs/2.yaml":             "a: two\n",
	"shared.yaml":                 "b: shared\n",
	"app/.helmignore":             "ignored/\n",
	"app/ignored/templates/x":     "{{ fail \"ignored\" }}",
	"app/token.txt":               "secret,with=signs\n",
	"app/templates/empty.yaml":    "{{ if false }}x{{ end }}",
	"app/templates/comments.yaml": "# nothing\n",
}

func with(files map[string]string, more ...string) map[string]string {
	out := maps.Clone(files)
	for i := 0; i < len(more); i += 2 {
		out[more[i]] = more[i+1]
	}
	return out
}

func helmSource(h v1alpha1.ApplicationSourceHelm) v1alpha1.ApplicationSource {
	return v1alpha1.ApplicationSource{Helm: &h}
}

func TestHelm(t *testing.T) {
	r := newRig(t)
	all := []string{"CustomResourceDefinition/crd", "ConfigMap/web", "Pod/test", "Job/hook"}
	for name, c := range map[string]struct {
		helm v1alpha1.ApplicationSourceHelm
		want []string
	}{
		"plain": {want: all},
		"release name": {
			v1alpha1.ApplicationSourceHelm{ReleaseName: "other"}, []string{all[0], "ConfigMap/other", all[2], all[3]},
		},
		"skipCrds":  {v1alpha1.ApplicationSourceHelm{SkipCrds: true}, all[1:]},
		"skipTests": {v1alpha1.ApplicationSourceHelm{SkipTests: true}, []string{all[0], all[1], all[3]}},
	} {
		got, err := r.names(webChart, helmSource(c.helm))
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
}

// data is that of the ConfigMap of the chart.
func (r *rig) data(files map[string]string, source v1alpha1.ApplicationSource) (map[string]string, error) {
	r.Helper()
	source.Path = "app"
	got, err := r.Render(r.Context(), input(r.T, repository(files), source))
	for _, o := range got.Objects {
		if o.GetKind() != "ConfigMap" {
			continue
		}
		out := map[string]string{"namespace": o.GetNamespace()}
		data, _ := o.Object["data"].(map[string]any)
		for k, v := range data {
			out[k], _ = v.(string)
		}
		return out, err
	}
	return nil, err
}

func TestHelmValues(t *testing.T) {
	r := newRig(t)
	type helmOptions = v1alpha1.ApplicationSourceHelm
	parameter := func(name, value string, asString bool) v1alpha1.HelmParameter {
		return v1alpha1.HelmParameter{Name: name, Value: v1alpha1.AnyString(value), ForceString: asString}
	}
	for name, c := range map[string]struct {
		helm helmOptions
		want string
	}{
		"chart":       {want: `{"a":"chart","b":"chart","list":[1],"sub":{"x":1,"z":2}}`},
		"value files": {helmOptions{ValueFiles: []string{"values-prod.yaml", "/shared.yaml"}}, `{"a":"prod","b":"shared","list":[1],"sub":{"x":1,"z":2}}`},
		"patterns":    {helmOptions{ValueFiles: []string{"envs/1.yaml", "envs/*.yaml"}}, `{"a":"two","b":"chart","list":[1],"sub":{"x":1,"z":2}}`},
		"a named file is where it is named": {
			helmOptions{ValueFiles: []string{"envs/*.yaml", "envs/1.yaml"}}, `{"a":"one","b":"chart","list":[1],"sub":{"x":1,"z":2}}`,
		},
		"variables": {helmOptions{ValueFiles: []string{"values-$ENV.yaml", "envs/${ARGOCD_APP_REVISION_SHORT}.yaml"}, IgnoreMissingValueFiles: true}, `{"a":"chart","b":"chart","list":[1],"sub":{"x":1,"z":2}}`},
		"values":    {helmOptions{ValueFiles: []string{"values-prod.yaml"}, Values: "a: mine\nsub: {x: null}"}, `{"a":"mine","b":"prod","list":[1],"sub":{"z":2}}`},
		"an object replaces values": {
			helmOptions{Values: "a: text", ValuesObject: []byte(`{"b":"object"}`)}, `{"a":"chart","b":"object","list":[1],"sub":{"x":1,"z":2}}`,
		},
		"parameters": {
			helmOptions{Values: "a: v", Parameters: []v1alpha1.HelmParameter{
				parameter("a", "1,2", false), parameter("b", "1", true), parameter("sub.x", "5", false),
				parameter("list", "{x,y}", false), parameter("sub.name", "$ARGOCD_APP_NAME-$$", false),
			}}, `{"a":"1,2","b":"1","list":["x","y"],"sub":{"name":"web-$","x":5,"z":2}}`,
		},
		"file parameters": {
			helmOptions{FileParameters: []v1alpha1.HelmFileParameter{{Name: "a", Path: "token.txt"}}},
			`{"a":"secret,with=signs\n","b":"chart","list":[1],"sub":{"x":1,"z":2}}`,
		},
	} {
		got, err := r.data(webChart, helmSource(c.helm))
		if diff := cmp.Diff(c.want, got["values"]); diff != "" || err != nil {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
}

func TestHelmCapabilities(t *testing.T) {
	r := newRig(t)
	for name, c := range map[string]struct {
		helm      v1alpha1.ApplicationSourceHelm
		kube, has string
	}{
		"default": {kube: kubeVersion + " 36", has: "false true"},
		"given": {
			v1alpha1.ApplicationSourceHelm{KubeVersion: "1.29.3", ApiVersions: []string{"example.org/v1/Thing"}},
			"v1.29.3 29", "true true",
		},
	} {
		got, err := r.data(webChart, helmSource(c.helm))
		if err != nil || got["kube"] != c.kube || got["has"] != c.has || got["looked"] != "{}" ||
			got["namespace"] != "prod" {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestHelmRefuses(t *testing.T) {
	r := newRig(t)
	type helmOptions = v1alpha1.ApplicationSourceHelm
	for name, c := range map[string]struct {
		files map[string]string
		helm  helmOptions
		want  string
	}{
		"missing value file": {webChart, helmOptions{ValueFiles: []string{"none.yaml"}}, "ignoreMissingValueFiles"},
		"outside":            {webChart, helmOptions{ValueFiles: []string{"../../x.yaml"}}, "outside of the repository"},
		"scheme":             {webChart, helmOptions{ValueFiles: []string{"ftp://example.org/x.yaml"}}, "http, https"},
		"fetched": {
			webChart, helmOptions{ValueFiles: []string{"https://example.org/x.yaml"}}, "nothing may be fetched",
		},
		"release name": {webChart, helmOptions{ReleaseName: strings.Repeat("x", 54)}, "releaseName"},
		"kubernetes": {
			with(webChart, "app/Chart.yaml", webChart["app/Chart.yaml"]+"kubeVersion: '>=99'\n"), helmOptions{},
			"requires Kubernetes",
		},
		"library": {
			with(webChart, "app/Chart.yaml", webChart["app/Chart.yaml"]+"type: library\n"), helmOptions{}, "library",
		},
		"dependency": {with(webChart, "app/Chart.yaml", webChart["app/Chart.yaml"]+"dependencies: [{name: d, version: 1.0.0}]\n"), helmOptions{}, "names no repository"},
		"schema":     {with(webChart, "app/values.schema.json", `{"properties":{"a":{"type":"integer"}}}`), helmOptions{}, "/a"},
		"schema of a file": {
			with(webChart, "app/values.schema.json", `{"$ref":"file:///etc/passwd"}`), helmOptions{},
			"outside of the chart",
		},
		"schema by a path": {
			with(webChart, "app/values.schema.json", `{"$ref":"../../etc/x.json"}`), helmOptions{},
			"outside of the chart",
		},
		"fails": {with(webChart, "app/templates/f.yaml", `{{ fail "on purpose" }}`), helmOptions{}, "on purpose"},
		"reads the service": {
			with(webChart, "app/templates/f.yaml", `{{ env "PATH" }}`), helmOptions{}, `"env" not defined`,
		},
		"asks DNS":             {with(webChart, "app/templates/f.yaml", "a: [{{ getHostByName \"localhost\" }}]"), helmOptions{}, "no apiVersion"},
		"includes itself":      {with(webChart, "app/templates/_r.tpl", `{{ define "r" }}{{ template "r" . }}{{ end }}`, "app/templates/r.yaml", `{{ template "r" . }}`), helmOptions{}, "exceeded maximum template depth"},
		"Chart.yaml is absent": {map[string]string{"app/x": ""}, helmOptions{}, "no Chart.yaml"},
	} {
		_, err := r.names(c.files, helmSource(c.helm))
		if !errors.Is(err, ErrSource) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHelmDependencies(t *testing.T) {
	r := newRig(t)
	files := with(
		webChart,
		"app/Chart.yaml",
		webChart["app/Chart.yaml"]+"dependencies:\n- {name: lib, version: 1.0.0, repository: 'file://../lib'}\n"+
			"- {name: sub, version: 1.0.0, alias: again}\n",
		"lib/Chart.yaml",
		"apiVersion: v2\nname: lib\nversion: 1.0.0\n",
		"lib/templates/cm.yaml",
		cm("lib"),
		"app/charts/sub/Chart.yaml",
		"apiVersion: v2\nname: sub\nversion: 1.0.0\n",
		"app/charts/sub/templates/cm.yaml",
		cm("{{ .Chart.Name }}"),
	)
	got, err := r.names(files, helmSource(v1alpha1.ApplicationSourceHelm{SkipCrds: true, SkipTests: true}))
	want := []string{"ConfigMap/web", "ConfigMap/again", "ConfigMap/lib", "Job/hook"}
	if diff := cmp.Diff(sorted(want), sorted(got)); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
}

// What a template does to its worker is an error of its source alone.
func TestAWorkerIsBounded(t *testing.T) {
	for name, c := range map[string]struct {
		limit          time.Duration
		template, want string
	}{
		"time": {
			time.Second, `{{ range until 100000 }}{{ range until 100000 }}{{ sha256sum "x" }}{{ end }}{{ end }}`, "more than 1s",
		},
		"memory": {time.Minute, `{{ $x := repeat 400000000 "x" }}{{ $y := cat $x $x $x }}{{ len $y }}`, "more than 512 MiB"},
	} {
		pool, err := NewPool(Limits{Workers: 1, Time: c.limit, Memory: 512 << 20, Renders: 50, Idle: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pool.Close)
		r := &rig{T: t, Renderer: New(1<<20, pool, nil)}
		if _, err := r.names(
			with(webChart, "app/templates/bad.yaml", c.template), v1alpha1.ApplicationSource{},
		); !errors.Is(err, ErrSource) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if got, err := r.names(webChart, v1alpha1.ApplicationSource{}); err != nil || len(got) != 4 {
			t.Errorf("after %s: %v, %v", name, got, err)
		}
	}
}

func TestAnIdleWorkerThatWentAwayIsReplaced(t *testing.T) {
	r := newRig(t)
	if _, err := r.names(webChart, v1alpha1.ApplicationSource{}); err != nil {
		t.Fatal(err)
	}
	if len(r.pool.idle) != 1 {
		t.Fatalf("%d workers are idle", len(r.pool.idle))
	}
	w := r.pool.idle[0]
	if err := w.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if got, err := r.names(
		with(webChart, "app/templates/more.yaml", cm("more")), v1alpha1.ApplicationSource{},
	); err != nil || len(got) != 5 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestIdleWorkersEnd(t *testing.T) {
	pool, err := NewPool(Limits{Workers: 1, Time: time.Minute, Memory: 1 << 30, Renders: 50, Idle: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{T: t, Renderer: New(1<<20, pool, nil)}
	w, err := pool.take()
	if err != nil {
		t.Fatal(err)
	}
	pool.give(w, 0)
	<-w.gone
	if _, err := r.names(webChart, v1alpha1.ApplicationSource{}); err != nil {
		t.Error(err)
	}
}
