package operation

import (
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/health"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
	"github.com/google/go-cmp/cmp"
)

// annotated is a ConfigMap with sync options of its own.
func annotated(t testing.TB, name, wave, options string) *track.Object {
	o := simple(t, "ConfigMap", name, wave)
	a := o.GetAnnotations()
	a[OptionsAnnotation] = options
	o.SetAnnotations(a)
	return o
}

// The options of an application and of its objects, one row each: what was there, what Git says then, and the steps.
func TestOptions(t *testing.T) {
	const done = "Succeeded: successfully synced (all tasks run)"
	type objects = []*track.Object
	a, b, c := simple(t, "ConfigMap", "a", "0"), simple(t, "ConfigMap", "b", "0"), simple(t, "ConfigMap", "c", "5")
	changed := func(o *track.Object) *track.Object {
		o = o.DeepCopy()
		o.Object["spec"] = map[string]any{"x": int64(2)}
		return o
	}
	for name, row := range map[string]struct {
		options []string
		before  objects
		after   objects
		world   func(*World)
		want    []string
	}{
		"nothing": {nil, objects{a, b}, objects{a}, nil, []string{"prune ConfigMap/b", done}},
		"Prune=false of the application": {
			[]string{"Prune=false"}, objects{a, b}, objects{changed(a)}, nil, []string{"update ConfigMap/a", done},
		},
		"Prune=false of the object": {
			nil, objects{a, annotated(t, "b", "0", "Prune=false")}, objects{changed(a)}, nil,
			[]string{"update ConfigMap/a", done},
		},
		"the object's word counts": {
			[]string{"Prune=false"}, objects{a, annotated(t, "b", "0", "Prune=true")}, objects{a}, nil,
			[]string{"prune ConfigMap/b", done},
		},
		"Prune=confirm waits": {
			[]string{"Prune=confirm"}, objects{a, b}, objects{a}, nil,
			[]string{"waiting for approval to prune ConfigMap ns/b"},
		},
		"Prune=confirm, approved": {
			[]string{"Prune=confirm"}, objects{a, b}, objects{a}, func(w *World) { w.Approved = w.Now.Add(time.Hour) },
			[]string{"prune ConfigMap/b", done},
		},
		"Prune=confirm, approved too early": {
			[]string{"Prune=confirm"}, objects{a, b}, objects{a}, func(w *World) { w.Approved = w.Now.Add(-time.Hour) },
			[]string{"waiting for approval to prune ConfigMap ns/b"},
		},
		"an option that is spelled otherwise": {
			[]string{"prune=false"}, objects{a, b}, objects{a}, nil, []string{"prune ConfigMap/b", done},
		},
		"what goes, goes first": {
			nil, objects{a, b}, objects{a, c}, nil, []string{"prune ConfigMap/b", "create ConfigMap/c", done},
		},
		"PruneLast": {
			[]string{"PruneLast=true"}, objects{a, b}, objects{a, c}, nil,
			[]string{"create ConfigMap/c", "prune ConfigMap/b", done},
		},
		"PruneLast of the object": {
			nil, objects{a, annotated(t, "b", "0", "PruneLast=true")}, objects{a, c}, nil,
			[]string{"create ConfigMap/c", "prune ConfigMap/b", done},
		},
		"CreateNamespace": {
			[]string{"CreateNamespace=true"}, objects{a}, objects{a, c}, nil,
			[]string{"create ConfigMap/c", done},
		},
		"FailOnSharedResource": {
			[]string{"FailOnSharedResource=true"}, objects{a}, objects{b, c}, func(w *World) {
				shared, id := b.DeepCopy(), track.TrackingID("other", track.KeyOf(b), "ns")
				shared.SetAnnotations(map[string]string{track.TrackingAnnotation: id})
				w.Live[track.KeyOf(b)], w.Others = shared, map[string]bool{"other": true}
			},
			[]string{"Failed: shared resource found: ConfigMap ns/b belongs to application other"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := world(auto(true, true), row.before...)
			w.Policy.SyncOptions = row.options
			w.Policy.Retry = &v1alpha1.SyncRetryStrategy{Limit: new(int64(0))}
			if steps, last := run(t, &w); last.Phase != v1alpha1.OperationSucceeded {
				t.Fatal(steps, last.Wait)
			}
			w.Target.Revision, w.Desired, w.Now = "r2", row.after, w.Now.Add(time.Minute)
			if row.world != nil {
				row.world(&w)
			}
			steps, last := run(t, &w)
			if last.Phase != "" {
				steps = append(steps, string(last.Phase)+": "+last.Message)
			} else if last.Wait != "" {
				steps = append(steps, last.Wait)
			}
			if d := cmp.Diff(row.want, steps); d != "" {
				t.Error(d)
			}
		})
	}
}

// An operation of chosen objects runs no hooks and touches nothing else; one that only applies runs none either.
func TestSelectiveSync(t *testing.T) {
	for name, c := range map[string]struct {
		sync v1alpha1.SyncOperation
		want []string
	}{
		"chosen": {
			v1alpha1.SyncOperation{Resources: []v1alpha1.SyncOperationResource{{Kind: "ConfigMap", Name: "b"}}},
			[]string{"create ConfigMap/b"},
		},
		"apply": {
			v1alpha1.SyncOperation{SyncStrategy: &v1alpha1.SyncStrategy{Apply: &v1alpha1.SyncStrategyApply{}}},
			[]string{"create ConfigMap/a, create ConfigMap/b"},
		},
		"dry run": {v1alpha1.SyncOperation{DryRun: true}, nil},
	} {
		w := world(v1alpha1.SyncPolicy{}, simple(t, "ConfigMap", "a", "0"), simple(t, "ConfigMap", "b", "0"))
		w.Hooks = []*track.Object{job(t, "pre", "argocd.argoproj.io/hook: PreSync")}
		w.Request = &v1alpha1.Operation{Sync: &c.sync}
		steps, last := run(t, &w)
		if d := cmp.Diff(c.want, steps); d != "" || last.Phase != v1alpha1.OperationSucceeded {
			t.Errorf("%s: %s %s %s", name, d, last.Phase, last.Wait)
		}
	}
}

// Between two waves there is time for controllers to see what changed; a degraded wave stops the rest.
func TestWaves(t *testing.T) {
	w := world(auto(true, true), simple(t, "ConfigMap", "a", "0"), simple(t, "ConfigMap", "b", "1"))
	w.Delay = 2 * time.Second
	steps, last := run(t, &w)
	if last.Wait != "waiting between waves" || last.Wake != w.Now.Add(w.Delay) {
		t.Fatalf("%v %+v", steps, last)
	}
	w.Now = w.Now.Add(w.Delay)
	if steps, last = run(t, &w); last.Phase != v1alpha1.OperationSucceeded || len(steps) != 1 {
		t.Errorf("%v %+v", steps, last)
	}

	w = world(auto(true, true), simple(t, "ConfigMap", "a", "0"), simple(t, "ConfigMap", "b", "1"))
	w.Policy.Retry = &v1alpha1.SyncRetryStrategy{Limit: new(int64(0))}
	w.Assess = func(*track.Object) health.Health { return health.Health{Status: health.Degraded, Message: "broken"} }
	steps, last = run(t, &w)
	if len(steps) != 1 || last.Phase != v1alpha1.OperationFailed ||
		!strings.Contains(last.Message, "ConfigMap a: broken") {
		t.Errorf("%v %+v", steps, last)
	}
}

// What holds an operation back: before it begins, when it was asked for, and once it runs.
func TestHeld(t *testing.T) {
	w := world(auto(true, true), simple(t, "ConfigMap", "a", "0"))
	w.Held.Automated = "denied"
	if p := Decide(w); p.Operation != nil || p.Problem != "denied" {
		t.Errorf("%+v", p)
	}
	w.Request = &v1alpha1.Operation{Sync: &v1alpha1.SyncOperation{}}
	if p := Decide(w); !p.Requested {
		t.Errorf("what was asked for is held: %+v", p)
	}
	w.Held.Requested = "denied"
	if p := Decide(w); p.Operation != nil || !strings.Contains(p.Problem, "denied") {
		t.Errorf("%+v", p)
	}
	w.Held = Held{Running: "denied"}
	if p := Decide(w); p.Operation == nil || len(p.Step) > 0 || p.Wait != "denied" {
		t.Errorf("%+v", p)
	}
}
