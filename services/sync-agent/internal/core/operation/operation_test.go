package operation

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/diff"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/health"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track/tracktest"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func simple(t testing.TB, kind, name, wave string) *track.Object {
	api := "v1"
	if kind == "Deployment" {
		api = "apps/v1"
	}
	return tracktest.Object(
		t,
		fmt.Sprintf(
			"apiVersion: %s\nkind: %s\nmetadata: {name: %s, namespace: ns, annotations: {argocd.argoproj.io/sync-wave: %q}}\nspec: {x: 1}\n",
			api, kind, name, wave,
		),
	)
}

func auto(prune, heal bool) v1alpha1.SyncPolicy {
	return v1alpha1.SyncPolicy{Automated: &v1alpha1.SyncPolicyAutomated{Prune: prune, SelfHeal: heal}}
}

func world(policy v1alpha1.SyncPolicy, desired ...*track.Object) World {
	return World{
		Instance:        "app",
		Destination:     "ns",
		Policy:          policy,
		Target:          Target{Revision: "r1"},
		Assess:          health.Assess,
		Desired:         desired,
		Live:            map[track.Key]*track.Object{},
		NormalizedDiffs: map[track.Key]NormalizedDiff{},
		Now:             noon,
	}
}

// perform does to the world what the shell would.
func perform(w *World, step []Task) {
	for _, t := range step {
		var r v1alpha1.ResourceResult
		switch t.Action {
		case Prune, Delete:
			delete(w.Live, t.Key)
			r = t.Result(ResultPruned, v1alpha1.OperationSucceeded, "pruned")
		case Release:
			w.Live[t.Key].SetFinalizers(nil)
		default:
			o := t.Desired.DeepCopy()
			a := o.GetAnnotations()
			if a == nil {
				a = map[string]string{}
			}
			if !t.Untracked {
				a[track.TrackingAnnotation] = track.TrackingID(w.Instance, t.Key, w.Destination)
			}
			if t.Hook {
				a[OperationAnnotation] = HookID(w.Instance, w.State, t.Phase)
				o.SetFinalizers([]string{HookFinalizer})
			} else if !t.Untracked {
				a[track.AppliedAnnotation] = t.Fingerprint
			}
			o.SetAnnotations(a)
			w.Live[t.Key] = o
			r = t.Result(ResultSynced, v1alpha1.OperationRunning, t.Describe())
		}
		if t.Action != Release && t.Action != Delete {
			merge(w, []v1alpha1.ResourceResult{r})
		}
	}
}

func merge(w *World, results []v1alpha1.ResourceResult) {
	if w.State != nil && w.State.SyncResult != nil {
		w.State.SyncResult.Resources = MergeResults(w.State.SyncResult.Resources, results)
	}
}

// run plans and performs until nothing is left, and returns the steps.
func run(t testing.TB, w *World) (steps []string, last Plan) {
	t.Helper()
	for range 100 {
		p := Decide(*w)
		if p.Ends != "" {
			w.State = Supersede(*w, p)
		}
		if p.Begins {
			w.State, w.Refused, w.Progressed = Begin(*w, p), nil, time.Time{}
			if p.Requested {
				w.Request = nil
			}
		}
		merge(w, p.Results)
		switch {
		case len(p.Ask) > 0:
			for _, i := range p.Ask {
				w.NormalizedDiffs[i.Key] = Answer(*w, i, i.Desired)
			}
		case len(p.DryRun) > 0:
			w.Refused = map[track.Key]string{}
		case len(p.Step) > 0:
			var names []string
			for _, i := range p.Step {
				names = append(names, string(i.Action)+" "+i.Key.Kind+"/"+i.Key.Name)
			}
			steps = append(steps, strings.Join(names, ", "))
			perform(w, p.Step)
			w.Progressed = w.Now
		case p.Phase == "" && len(p.Results) > 0:
		default:
			if p.Phase != "" {
				w.State = End(*w, p, w.Now)
			}
			return steps, p
		}
	}
	t.Fatal("does not end")
	return nil, Plan{}
}

func TestOrder(t *testing.T) {
	w := world(
		auto(true, true), simple(t, "Deployment", "d", "0"), simple(t, "ConfigMap", "late", "5"),
		simple(t, "ConfigMap", "c", "0"), simple(t, "Secret", "s", "-1"),
		tracktest.Object(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: ns}\n"),
	)
	steps, last := run(t, &w)
	want := []string{"create Namespace/ns, create Secret/s", "create ConfigMap/c, create Deployment/d"}
	if diff := cmp.Diff(want, steps); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(last.Wait, "Deployment ns/d") {
		t.Errorf("wait: %q", last.Wait)
	}
	d := w.Live[track.Key{Group: "apps", Kind: "Deployment", Namespace: "ns", Name: "d"}]
	d.Object["status"] = map[string]any{
		"updatedReplicas":   int64(1),
		"replicas":          int64(1),
		"availableReplicas": int64(1),
	}
	steps, last = run(t, &w)
	if diff := cmp.Diff(
		[]string{"create ConfigMap/late"}, steps,
	); diff != "" || last.Phase != v1alpha1.OperationSucceeded ||
		!last.Synced {
		t.Errorf("%s %+v", diff, last)
	}
}

func TestPruneGoesBackwardsAndOnlyForOurs(t *testing.T) {
	all := []*track.Object{
		simple(t, "ConfigMap", "a", "0"), simple(t, "ConfigMap", "b", "1"), simple(t, "Secret", "b", "1"),
		simple(t, "ConfigMap", "kept", "0"),
	}
	w := world(auto(true, true), all...)
	all[3].SetAnnotations(map[string]string{OptionsAnnotation: "Prune=false"})
	run(t, &w)
	w.Live[track.Key{Group: "", Kind: "ConfigMap", Namespace: "ns", Name: "foreign"}] = simple(
		t, "ConfigMap", "foreign", "0",
	)
	w.Target.Revision, w.Desired = "r2", nil
	if p := Decide(w); p.Operation != nil || p.Problem == "" {
		t.Errorf("everything would have been pruned: %+v", p)
	}
	w.Policy.Automated.AllowEmpty = true
	steps, last := run(t, &w)
	if diff := cmp.Diff([]string{"prune ConfigMap/b, prune Secret/b", "prune ConfigMap/a"}, steps); diff != "" {
		t.Error(diff)
	}
	if last.Synced || len(w.Live) != 2 {
		t.Errorf("kept objects stay out of sync: %+v", w.Live)
	}
}

func TestGate(t *testing.T) {
	heal := func(count int64, ago time.Duration) *v1alpha1.OperationState {
		at := metav1.NewTime(noon.Add(-ago))
		return &v1alpha1.OperationState{
			Phase:      v1alpha1.OperationSucceeded,
			FinishedAt: &at,
			SyncResult: &v1alpha1.SyncOperationResult{Revision: "r1"},
			Operation:  v1alpha1.Operation{Sync: &v1alpha1.SyncOperation{AutoHealAttemptsCount: count}},
		}
	}
	failed := func(count int64, ago time.Duration) *v1alpha1.OperationState {
		s := heal(0, ago)
		s.Phase, s.RetryCount = v1alpha1.OperationFailed, count
		return s
	}
	off := auto(true, true)
	off.Automated.Enabled = new(bool)
	for name, c := range map[string]struct {
		policy  v1alpha1.SyncPolicy
		state   *v1alpha1.OperationState
		request *v1alpha1.Operation
		begins  bool
		wake    time.Duration
		problem bool
	}{
		"manual": {v1alpha1.SyncPolicy{}, nil, nil, false, 0, false},
		"manual, asked": {
			v1alpha1.SyncPolicy{}, nil, &v1alpha1.Operation{Sync: &v1alpha1.SyncOperation{}}, true, 0, false,
		},
		"disabled":           {off, nil, nil, false, 0, false},
		"new revision":       {auto(false, false), nil, nil, true, 0, false},
		"drift, no heal":     {auto(true, false), heal(0, 0), nil, false, 0, false},
		"drift, first heal":  {auto(true, true), heal(0, 0), nil, true, 0, false},
		"drift, second heal": {auto(true, true), heal(1, time.Second), nil, false, time.Second, false},
		"drift, third heal":  {auto(true, true), heal(2, time.Second), nil, false, 5 * time.Second, false},
		"drift, 50th heal":   {auto(true, true), heal(50, 0), nil, false, 300 * time.Second, false},
		"drift, long ago":    {auto(true, true), heal(50, time.Hour), nil, true, 0, false},
		"failed just now":    {auto(true, true), failed(0, 0), nil, false, 5 * time.Second, false},
		"failed before":      {auto(true, true), failed(0, 6*time.Second), nil, true, 0, false},
		"failed too often":   {auto(true, true), failed(5, time.Hour), nil, false, 0, true},
	} {
		w := world(c.policy, simple(t, "ConfigMap", "a", "0"))
		w.State, w.Request = c.state, c.request
		p := Decide(w)
		wake := time.Duration(0)
		if !p.Wake.IsZero() {
			wake = p.Wake.Sub(noon)
		}
		if p.Begins != c.begins || wake != c.wake || (p.Problem != "") != c.problem {
			t.Errorf("%s: begins %v, wake %s, problem %q", name, p.Begins, wake, p.Problem)
		}
	}
}

func TestWhatTheServerMadeOfItIsNoDrift(t *testing.T) {
	w := world(auto(true, true), simple(t, "ConfigMap", "a", "0"))
	run(t, &w)
	key := track.KeyOf(w.Desired[0])
	w.Live[key].Object["spec"] = map[string]any{"x": "normalised"}
	if Decide(w).Synced {
		t.Fatal("drift was not seen")
	}
	w.NormalizedDiffs[key] = Applied(
		w, Item{Key: key, Desired: w.Desired[0], Fingerprint: diff.Fingerprint(w.Desired[0])}, w.Live[key],
	)
	if p := Decide(w); !p.Synced {
		t.Errorf("%+v", p.Items)
	}
	w.Live[key].Object["spec"] = map[string]any{"x": "other"}
	if Decide(w).Synced {
		t.Error("drift after that was not seen")
	}
}

func TestIgnoredAndForeign(t *testing.T) {
	w := world(auto(true, true), simple(t, "Deployment", "d", "0"))
	w.Ignore, _ = diff.NewRules([]v1alpha1.ResourceIgnoreDifferences{
		{Group: "*", Kind: "Deploy*", JSONPointers: []string{"/spec/x"}},
	})
	run(t, &w)
	key := track.KeyOf(w.Desired[0])
	w.Live[key].Object["spec"] = map[string]any{"x": int64(9)}
	if !Decide(w).Synced {
		t.Error("an ignored field counted")
	}
	w.Live[key].SetAnnotations(map[string]string{track.TrackingAnnotation: track.TrackingID("other", key, "ns")})
	w.Others = map[string]bool{"other": true}
	if p := Decide(w); p.Items[0].Action != Skip || p.Items[0].Reason == "" {
		t.Errorf("stolen from a live application: %+v", p.Items[0])
	}
	w.Others = nil
	if p := Decide(w); p.Items[0].Action != Update {
		t.Errorf("not taken over from one that is gone: %+v", p.Items[0])
	}
}

// Whatever is desired and live: what was applied and planned again is no action.
func TestAppliedIsSynced(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	kinds := []string{"ConfigMap", "Secret", "Role", "Widget"}
	for round := range 300 {
		some := func(n int) (out []*track.Object) {
			taken := map[track.Key]bool{}
			for range n {
				o := simple(t, kinds[r.IntN(len(kinds))], fmt.Sprint("n", r.IntN(5)), fmt.Sprint(r.IntN(3)-1))
				o.Object["spec"] = map[string]any{
					"x": int64(r.IntN(3)),
					"l": []any{map[string]any{"name": "a", "v": int64(r.IntN(2))}},
				}
				if key := track.KeyOf(o); !taken[key] {
					taken[key] = true
					out = append(out, o)
				}
			}
			return out
		}
		w := world(auto(true, true), some(1+r.IntN(6))...)
		run(t, &w)
		w.Target.Revision, w.Desired = "r2", some(1+r.IntN(6))
		run(t, &w)
		p := Decide(w)
		if !p.Synced || p.Operation != nil || len(w.Live) != len(w.Desired) {
			t.Fatalf("round %d: %+v", round, p)
		}
		if !slices.IsSortedFunc(p.Items, compareItems) {
			t.Fatalf("round %d: order", round)
		}
	}
}
