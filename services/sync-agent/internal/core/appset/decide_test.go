package appset

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// installation is an API server in memory: it keeps what decisions say.
type installation struct {
	testing.TB
	set      *v1alpha1.ApplicationSet
	settings Settings
	now      time.Time
	live     map[string]*track.Object
}

func newInstallation(t testing.TB, spec string) *installation {
	t.Helper()
	set := &v1alpha1.ApplicationSet{ObjectMeta: metav1.ObjectMeta{Name: "set", Namespace: "argocd", UID: "u"}}
	if err := yaml.Unmarshal([]byte(spec), &set.Spec); err != nil {
		t.Fatal(err)
	}
	return &installation{TB: t, set: set, now: noon, live: map[string]*track.Object{}}
}

// app is a wanted Application, with the labels and the path that are given.
func app(name string, labels map[string]string, path string) Application {
	o := &track.Object{Object: map[string]any{
		"apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
		"metadata": map[string]any{"name": name, "namespace": "argocd"},
		"spec": map[string]any{
			"source":      map[string]any{"repoURL": "u", "path": path},
			"destination": map[string]any{"server": "https://x"},
			"syncPolicy":  map[string]any{"automated": map[string]any{"prune": true}},
		},
	}}
	o.SetLabels(labels)
	o.SetFinalizers([]string{resourcesFinalizer})
	return Application{Object: o}
}

// pass decides once and keeps what was decided. It says what that was.
func (i *installation) pass(wanted ...Application) string {
	i.Helper()
	w := World{Set: i.set, Wanted: wanted, Settings: i.settings, Now: i.now}
	for _, name := range slices.Sorted(keysOf(i.live)) {
		w.Existing = append(w.Existing, i.live[name].DeepCopy())
	}
	d := Decide(w)
	var said []string
	for _, o := range d.Create {
		said = append(said, "create "+o.GetName())
		i.live[o.GetName()] = o
	}
	for _, o := range d.Update {
		said = append(said, "update "+o.GetName())
		i.live[o.GetName()] = o
	}
	for _, o := range d.Release {
		said = append(said, "release "+o.GetName())
		i.live[o.GetName()] = o
	}
	for _, o := range d.Delete {
		said = append(said, "delete "+o.GetName())
		delete(i.live, o.GetName())
	}
	if d.Gone {
		said = append(said, "gone")
	}
	i.set.Status = d.Status
	return strings.Join(said, ", ")
}

func keysOf(m map[string]*track.Object) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func TestPoliciesSayWhatMayBeDone(t *testing.T) {
	for _, c := range []struct {
		own, all string
		override bool
		want     string
	}{
		{"", "", false, "update b, delete a"},
		{"sync", "", false, "update b, delete a"},
		{"create-only", "", false, ""},
		{"create-update", "", false, "update b"},
		{"create-delete", "", false, "delete a"},
		{"sync", "create-only", false, ""},
		{"sync", "create-only", true, "update b, delete a"},
		{"", "create-only", true, ""},
		{"nonsense", "", false, ""},
	} {
		i := newInstallation(t, "syncPolicy: {applicationsSync: "+c.own+"}")
		i.settings = Settings{}
		i.set.Spec.SyncPolicy.ApplicationsSync = ""
		if got := i.pass(app("a", nil, "p"), app("b", nil, "p")); got != "create a, create b" {
			t.Fatal(got)
		}
		i.set.Spec.SyncPolicy.ApplicationsSync, i.settings = c.own, Settings{Policy: c.all, Override: c.override}
		if got := i.pass(app("b", nil, "q")); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

func TestNothingChangesTwice(t *testing.T) {
	i := newInstallation(t, "{}")
	i.pass(app("a", map[string]string{"l": "v"}, "p"))
	if got := i.pass(app("a", map[string]string{"l": "v"}, "p")); got != "" {
		t.Error(got)
	}
	if h := i.set.Status.Health; h.Status != "Healthy" {
		t.Errorf("health %+v", h)
	}
	before := i.set.Status
	i.now = noon.Add(time.Hour)
	i.pass(app("a", map[string]string{"l": "v"}, "p"))
	if !same(before, i.set.Status) {
		t.Errorf("the status changes: %+v", i.set.Status)
	}
}

func TestAFailureChangesOnlyTheStatus(t *testing.T) {
	i := newInstallation(t, "{}")
	i.pass(app("a", nil, "p"))
	d := Decide(World{
		Set: i.set, Existing: []*track.Object{i.live["a"]}, Now: noon,
		Failed: &GenerateError{Reason: ReasonParams, Err: errors.New("no Git")},
	})
	if len(d.Create)+len(d.Update)+len(d.Delete) > 0 || d.Status.Health.Status != "Degraded" ||
		d.Status.ResourcesCount != 1 || d.Status.Conditions[0].Message != "no Git" {
		t.Errorf("%+v", d)
	}
}

func TestWhatBelongsToAnotherSetStays(t *testing.T) {
	i := newInstallation(t, "{}")
	i.pass(app("a", nil, "p"))
	other := newInstallation(t, "{}")
	other.set.UID, other.set.Name, other.live = "v", "other", i.live
	if got := other.pass(app("a", nil, "q")); got != "" {
		t.Error(got)
	}
	if got := other.set.Status.Conditions[0].Message; got !=
		"application a belongs to ApplicationSet set already: give one of the two another name" {
		t.Error(got)
	}
	// One that belongs to nobody is taken.
	i.live["a"].SetOwnerReferences(nil)
	if got := other.pass(app("a", nil, "q")); got != "update a" || !Owns(other.set, i.live["a"]) {
		t.Error(got)
	}
}

func TestAProblemOfOneLetsTheOthersPass(t *testing.T) {
	i := newInstallation(t, "{}")
	i.pass(app("a", nil, "p"), app("b", nil, "p"))
	bad := app("a", nil, "q")
	bad.Problem = errors.New("no destination")
	if got := i.pass(bad, app("b", nil, "q")); got != "update b" {
		t.Error(got)
	}
	if c := i.set.Status.Conditions[0]; c.Status != "True" || c.Reason != ReasonValidation {
		t.Errorf("%+v", c)
	}
}

func TestWhatOthersPutThereStays(t *testing.T) {
	i := newInstallation(t, `
preservedFields: {annotations: [mine], labels: [team]}
ignoreApplicationDifferences:
- jqPathExpressions: ['.spec.sources[] | select(.repoURL == "u2") | .targetRevision']
- name: other
  jsonPointers: [/spec/project]
- jsonPointers: [/spec/source/path, /spec/syncPolicy/automated, nonsense]
`)
	wanted := func() Application {
		a := app("a", map[string]string{"team": "x", "l": "v"}, "p")
		a.Object.SetAnnotations(map[string]string{"t": "1"})
		a.Object.Object["spec"].(map[string]any)["sources"] = []any{
			map[string]any{"repoURL": "u1", "targetRevision": "main"},
			map[string]any{"repoURL": "u2", "targetRevision": "main"},
		}
		return a
	}
	i.pass(wanted())
	o := i.live["a"]
	o.SetLabels(map[string]string{"team": "y", "l": "w", "z": "z"})
	o.SetAnnotations(map[string]string{
		"t": "2", "mine": "1", "argosy.dev/refresh": "e", "argocd.argoproj.io/refresh": "x", "z": "z",
	})
	o.SetFinalizers([]string{resourcesFinalizer, "post-delete-finalizer.argocd.argoproj.io"})
	spec := o.Object["spec"].(map[string]any)
	spec["project"] = "drift"
	spec["source"].(map[string]any)["path"] = "theirs"
	delete(spec["syncPolicy"].(map[string]any), "automated")
	for _, s := range spec["sources"].([]any) {
		s.(map[string]any)["targetRevision"] = "v2"
	}
	if got := i.pass(wanted()); got != "update a" {
		t.Fatal(got)
	}
	got, _ := yaml.Marshal(map[string]any{
		"l": i.live["a"].GetLabels(), "a": i.live["a"].GetAnnotations(), "f": i.live["a"].GetFinalizers(),
		"s": i.live["a"].Object["spec"],
	})
	want := `a:
  argocd.argoproj.io/refresh: x
  argosy.dev/refresh: e
  mine: "1"
  t: "1"
f:
- resources-finalizer.argocd.argoproj.io
- post-delete-finalizer.argocd.argoproj.io
l:
  l: v
  team: "y"
s:
  destination:
    server: https://x
  source:
    path: theirs
    repoURL: u
  sources:
  - repoURL: u1
    targetRevision: main
  - repoURL: u2
    targetRevision: v2
  syncPolicy: {}
`
	if string(got) != want {
		t.Errorf("got\n%s", got)
	}
	if c := i.set.Status.Conditions[0]; !strings.Contains(c.Message, `"nonsense" does not begin with /`) {
		t.Errorf("%+v", c)
	}
	if got := i.pass(wanted()); got != "" {
		t.Error(got)
	}
}

func TestTheStatusListsAtMostItsMost(t *testing.T) {
	i := newInstallation(t, "{}")
	var all []Application
	for n := range maxResources + 10 {
		all = append(all, app(fmt.Sprintf("a-%05d", n), nil, "p"))
	}
	i.pass(all...)
	i.pass(all...)
	if s := i.set.Status; s.ResourcesCount != maxResources+10 || len(s.Resources) != maxResources {
		t.Errorf("%d of %d", len(s.Resources), s.ResourcesCount)
	}
}

func TestMaxUpdate(t *testing.T) {
	for _, c := range []struct {
		limit string
		n     int
		want  int
	}{
		{"", 7, 7}, {"3", 7, 3}, {"0", 7, 0}, {"50%", 7, 3}, {"1%", 7, 1}, {"0%", 7, 0}, {"100%", 7, 7}, {"30%", 3, 1},
	} {
		var limit *intstr.IntOrString
		if c.limit != "" {
			v := intstr.Parse(c.limit)
			limit = &v
		}
		if got, err := maxUpdate(limit, c.n); got != c.want || err != nil {
			t.Errorf("%s of %d: %d %v", c.limit, c.n, got, err)
		}
	}
}

func TestStrategicPatches(t *testing.T) {
	for _, c := range []struct{ patch, want string }{
		{`spec: {a: null, c: {f: 1}}`, `{"spec":{"b":["x","y"],"c":{"d":"e","f":1}}}`},
		{`spec: {b: [z]}`, `{"spec":{"a":"1","b":["z"],"c":{"d":"e"}}}`},
		{`spec: {c: {$patch: replace, f: 1}}`, `{"spec":{"a":"1","b":["x","y"],"c":{"f":1}}}`},
		{`spec: {c: {$patch: delete}}`, `{"spec":{"a":"1","b":["x","y"],"c":{}}}`},
		{`spec: {$retainKeys: [a], a: "2"}`, `{"spec":{"a":"2"}}`},
		{`spec: {$deleteFromPrimitiveList/b: [x], $setElementOrder/b: [y]}`, `{"spec":{"a":"1","b":["y"],"c":{"d":"e"}}}`},
		{`spec: {$patch: other}`, `spec: $patch: other: there is merge, replace and delete`},
	} {
		o := map[string]any{"spec": map[string]any{"a": "1", "b": []any{"x", "y"}, "c": map[string]any{"d": "e"}}}
		out, err := applyPatch(o, c.patch)
		got := fmt.Sprint(err)
		if err == nil {
			raw, _ := json.Marshal(out)
			got = string(raw)
		}
		if got != c.want {
			t.Errorf("%s: %s", c.patch, got)
		}
	}
}

// BenchmarkThousand generates a thousand Applications, and decides that nothing is to be done.
func BenchmarkThousand(b *testing.B) {
	var elements []any
	for n := range 1000 {
		elements = append(elements, map[string]any{"name": fmt.Sprintf("a-%04d", n)})
	}
	set := map[string]any{"metadata": map[string]any{"namespace": "argocd"}, "spec": map[string]any{
		"goTemplate": true,
		"generators": []any{map[string]any{"list": map[string]any{"elements": elements}}},
		"template": map[string]any{
			"metadata": map[string]any{"name": "{{.name}}", "labels": map[string]any{"n": "{{.name | upper}}"}},
			"spec": map[string]any{
				"source":      map[string]any{"repoURL": "u", "path": "apps/{{.name}}"},
				"destination": map[string]any{"server": "https://x", "namespace": "{{.name}}"},
			},
		},
	}}
	i := newInstallation(b, "{}")
	out, err := Generate(Input{Set: set})
	if err != nil {
		b.Fatal(err)
	}
	i.pass(out.Applications...)
	b.Run("generate", func(b *testing.B) {
		for b.Loop() {
			if _, err := Generate(Input{Set: set}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decide", func(b *testing.B) {
		for b.Loop() {
			if said := i.pass(out.Applications...); said != "" {
				b.Fatal(said)
			}
		}
	})
}
