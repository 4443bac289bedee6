package remote

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/project"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"
)

func tree(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &o.Object); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestAServerNamesAnAgent(t *testing.T) {
	for server, want := range map[string]struct {
		agent   string
		is, bad bool
	}{
		"https://10.0.0.1:6443": {}, "": {}, "argosy-agent://east": {agent: "east", is: true},
		" " + Server("east") + "/\n": {agent: "east", is: true}, "argosy-agent://": {is: true, bad: true},
		"argosy-agent://East": {agent: "East", is: true, bad: true},
		"argosy-agent://a.b":  {agent: "a.b", is: true, bad: true},
		"argosy-agent://a>":   {agent: "a>", is: true, bad: true}, "argosy-agent://*": {agent: "*", is: true, bad: true},
	} {
		agent, is, err := AgentOf(server)
		if agent != want.agent || is != want.is || (err != nil) != want.bad {
			t.Errorf("%q: %q %v %v", server, agent, is, err)
		}
	}
}

func TestKeysNameApplications(t *testing.T) {
	for key, want := range map[string]struct {
		k  Key
		is bool
	}{
		"down.app._.shop":       {Key{"", "shop"}, true},
		"down.app.team.my.shop": {Key{"team", "my.shop"}, true},
		"down.app._":            {}, "down.app..x": {}, "down.project.x": {}, "up.app._.shop": {}, "down.app._.": {},
	} {
		k, is := ParseApp(key, Down)
		if k != want.k || is != want.is {
			t.Errorf("%s: %v %v", key, k, is)
		}
		if is && k.Down() != key {
			t.Errorf("%s became %s", key, k.Down())
		}
	}
	k := KeyOf("argocd", "a", "argocd")
	if got := k.In("other"); got != (types.NamespacedName{Namespace: "other", Name: "a"}) {
		t.Errorf("%v", got)
	}
}

const asked = `
metadata:
  name: shop
  namespace: argocd
  uid: u1
  resourceVersion: "7"
  labels: {team: a, argosy.dev/agent: forged}
  annotations:
    argosy.dev/agent-operation: id1
    argosy.dev/agent-operation-taken: forged
    argocd.argoproj.io/refresh: hard
    kubectl.kubernetes.io/last-applied-configuration: "{}"
    notifications.argoproj.io/subscribe.on-x.slack: "y"
    argosy.dev/refresh: push-1
spec: {project: p, destination: {name: east}}
operation: {sync: {prune: true}}
status: {operationState: {phase: Terminating, startedAt: "2026-01-01T00:00:00Z"}}
`

func TestWhatIsHandedOver(t *testing.T) {
	got := Assign(tree(t, asked), "east")
	want := Assignment{
		UID: "u1", Cluster: "east", Labels: map[string]string{"team": "a"},
		Annotations: map[string]string{"argosy.dev/refresh": "push-1"},
		Spec:        map[string]any{"project": "p", "destination": map[string]any{"name": "east"}},
		Operation:   &Order{ID: "id1", Operation: map[string]any{"sync": map[string]any{"prune": true}}},
		Refresh:     &Refresh{ID: "7", Kind: "hard"},
		Terminate:   "2026-01-01T00:00:00Z",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\n%+v", got, want)
	}
	unnamed := tree(t, asked)
	unnamed.SetAnnotations(nil)
	if a := Assign(unnamed, "east"); a.Operation != nil {
		t.Error("an operation without an id was handed over")
	}
	later := tree(t, strings.Replace(asked, "    argocd.argoproj.io/refresh: hard\n", "", 1))
	if a := Assign(later, "east").After(&got); !reflect.DeepEqual(a.Refresh, got.Refresh) {
		t.Errorf("the refresh was forgotten: %+v", a.Refresh)
	}
	big := got
	big.Annotations = map[string]string{"x": strings.Repeat("x", MaxAssignment)}
	if _, err := big.Encode(); !errors.Is(err, ErrTooLarge) {
		t.Errorf("%v", err)
	}
}

func TestWhatBecomesOfACopy(t *testing.T) {
	name := types.NamespacedName{Namespace: "argocd", Name: "shop"}
	given := Assign(tree(t, asked), "east")
	first := Copy("east", name, given, nil, nil)
	if first.Action != Create || first.Next.GetLabels()[Label] != "east" || first.Next.Object["operation"] == nil ||
		first.Next.GetAnnotations()[refresh] != "hard" || CopyUID(first.Next) != "u1" ||
		ClusterName(first.Next) != "east" {
		t.Fatalf("%s %v", first.Action, first.Next)
	}
	settled := first.Next.DeepCopy()
	delete(settled.Object, "operation") // the controller took it
	annotations := settled.GetAnnotations()
	delete(annotations, refresh)
	settled.SetAnnotations(annotations)
	change := func(do func(*unstructured.Unstructured)) *unstructured.Unstructured {
		o := settled.DeepCopy()
		do(o)
		return o
	}
	with := func(do func(*Assignment)) Assignment {
		a := given
		do(&a)
		return a
	}
	deleting := func(o *unstructured.Unstructured) { now := metav1.Now(); o.SetDeletionTimestamp(&now) }
	for what, c := range map[string]struct {
		a    Assignment
		live *unstructured.Unstructured
		last *Report
		want Action
		also func(Step) bool
	}{
		"nothing to do":           {a: given, live: settled, want: None},
		"an operation comes once": {a: given, live: settled, want: None},
		"another operation": {
			a: with(func(a *Assignment) { a.Operation = &Order{ID: "id2"} }), live: settled, want: Update,
			also: func(s Step) bool { return s.Next.GetAnnotations()[takenAnnotation] == "id2" },
		},
		"another refresh": {
			a: with(func(a *Assignment) { a.Refresh = &Refresh{ID: "8", Kind: "normal"} }), live: settled, want: Update,
			also: func(s Step) bool { return s.Next.GetAnnotations()[refresh] == "normal" },
		},
		"drift of the spec": {
			a: given, want: Update,
			live: change(func(o *unstructured.Unstructured) { o.Object["spec"] = map[string]any{} }),
			also: func(s Step) bool { return reflect.DeepEqual(s.Next.Object["spec"], given.Spec) },
		},
		"drift of annotations": {
			a: given, want: Update, live: change(func(o *unstructured.Unstructured) {
				a := o.GetAnnotations()
				a["argosy.dev/hold"] = "x"
				o.SetAnnotations(a)
			}),
		},
		"it is made again, with its past, and does nothing twice": {
			a: given, last: &Report{UID: "u1", Taken: "id1", Status: v1alpha1.ApplicationStatus{
				Sync: v1alpha1.SyncStatus{Status: "Synced"}, History: []v1alpha1.RevisionHistory{{ID: 4}},
			}}, want: Create,
			also: func(s Step) bool {
				history, _, _ := unstructured.NestedSlice(s.Next.Object, "status", "history")
				return s.Next.Object["operation"] == nil && len(history) == 1
			},
		},
		"the past of another is not its": {
			a: given, last: &Report{UID: "u0", Taken: "id1"}, want: Create,
			also: func(s Step) bool { return s.Next.Object["operation"] != nil },
		},
		"one of the cluster's own": {
			a: given, live: change(func(o *unstructured.Unstructured) { o.SetLabels(nil) }), want: Refused,
		},
		"one of another agent": {
			a: given, want: Refused,
			live: change(func(o *unstructured.Unstructured) { o.SetLabels(map[string]string{Label: "west"}) }),
		},
		"one that was given over": {
			a: given, want: Update, live: change(func(o *unstructured.Unstructured) { o.SetAnnotations(nil) }),
		},
		"another one of the same name": {
			a: with(func(a *Assignment) { a.UID = "u2" }), live: settled, want: Delete,
			also: func(s Step) bool { return len(s.Next.GetFinalizers()) == 0 },
		},
		"withdrawn": {
			a: Assignment{UID: "u1", Withdrawn: true}, live: settled, want: Delete,
			also: func(s Step) bool { return len(s.Next.GetFinalizers()) == 0 },
		},
		"withdrawn, and never there": {a: Assignment{UID: "u1", Withdrawn: true}, want: Gone},
		"withdrawn, and somebody's own": {
			a: Assignment{UID: "u1", Withdrawn: true}, want: Gone,
			live: change(func(o *unstructured.Unstructured) { o.SetLabels(nil) }),
		},
		"deleted with its objects": {
			a: with(func(a *Assignment) { a.Delete = finalizer }), live: settled, want: Delete,
			also: func(s Step) bool { return reflect.DeepEqual(s.Next.GetFinalizers(), []string{finalizer}) },
		},
		"that is under way": {
			a: with(func(a *Assignment) { a.Delete = finalizer }), live: change(deleting), want: None,
		},
		"deleted and gone": {a: with(func(a *Assignment) { a.Delete = finalizer }), want: Gone},
		"deleted by somebody there": {
			a: given, live: change(func(o *unstructured.Unstructured) {
				deleting(o)
				o.SetFinalizers([]string{finalizer})
			}), want: Delete, also: func(s Step) bool { return len(s.Next.GetFinalizers()) == 0 },
		},
		"ended by somebody": {
			a: given, want: Update, live: change(func(o *unstructured.Unstructured) {
				o.Object["status"] = map[string]any{"operationState": map[string]any{
					"phase": "Running", "startedAt": "2026-01-01T00:00:00Z",
				}}
			}), also: func(s Step) bool {
				phase, _, _ := unstructured.NestedString(s.Next.Object, "status", "operationState", "phase")
				return phase == "Terminating"
			},
		},
		"another operation runs than the one that was ended": {
			a: given, want: None, live: change(func(o *unstructured.Unstructured) {
				o.Object["status"] = map[string]any{"operationState": map[string]any{
					"phase": "Running", "startedAt": "2026-01-01T00:00:09Z",
				}}
			}),
		},
	} {
		before := given
		got := Copy("east", name, c.a, c.live, c.last)
		if got.Action != c.want || (c.also != nil && !c.also(got)) {
			t.Errorf("%s: %s, want %s: %v", what, got.Action, c.want, got.Next)
		}
		if !reflect.DeepEqual(before, given) {
			t.Fatalf("%s: the assignment was changed", what)
		}
	}
}

func state(phase v1alpha1.OperationPhase, started, finished int64) *v1alpha1.OperationState {
	s := &v1alpha1.OperationState{Phase: phase}
	at := metav1.Unix(started, 0)
	s.StartedAt = &at
	if finished > 0 {
		end := metav1.Unix(finished, 0)
		s.FinishedAt = &end
	}
	return s
}

func TestWhatIsTakenBack(t *testing.T) {
	const running, ending, done = v1alpha1.OperationRunning, v1alpha1.OperationTerminating, v1alpha1.OperationSucceeded
	for what, c := range map[string]struct {
		now, reported *v1alpha1.OperationState
		want          v1alpha1.OperationPhase
		ended         bool
	}{
		"nothing yet":                {nil, nil, "", false},
		"it begins":                  {nil, state(running, 1, 0), running, false},
		"it ends":                    {state(running, 1, 0), state(done, 1, 2), done, true},
		"it began and ended":         {state(done, 1, 2), state(done, 3, 4), done, true},
		"the same":                   {state(done, 1, 2), state(done, 1, 2), done, false},
		"it waits to be tried again": {state(running, 1, 0), state(running, 1, 2), running, false},
		"somebody ended it":          {state(ending, 1, 0), state(running, 1, 0), ending, false},
		"and it did end":             {state(ending, 1, 0), state(v1alpha1.OperationFailed, 1, 3), v1alpha1.OperationFailed, true},
		"a later one runs":           {state(ending, 1, 0), state(running, 5, 0), running, false},
		"the agent has no past":      {state(done, 1, 2), nil, done, false},
	} {
		now := v1alpha1.ApplicationStatus{OperationState: c.now}
		next := Take(now, Report{Status: v1alpha1.ApplicationStatus{OperationState: c.reported}})
		phase := v1alpha1.OperationPhase("")
		if next.OperationState != nil {
			phase = next.OperationState.Phase
		}
		if phase != c.want || Ended(now, next) != c.ended || next.Sync.Status != "Unknown" {
			t.Errorf("%s: %s %v %s", what, phase, Ended(now, next), next.Sync.Status)
		}
	}
}

func TestReportsFitTheBus(t *testing.T) {
	var r Report
	r.UID, r.Taken = "u1", "id1"
	r.Status.Sync.Status, r.Status.Sync.Revision, r.Status.Health.Status = "Synced", "abc", "Healthy"
	o := state(v1alpha1.OperationSucceeded, 1, 2)
	o.SyncResult = &v1alpha1.SyncOperationResult{}
	for range 200 {
		r.Status.Resources = append(r.Status.Resources, v1alpha1.ResourceStatus{
			Kind: "ConfigMap", Name: strings.Repeat("n", 50),
			Health: &v1alpha1.HealthStatus{Message: strings.Repeat("h", 2000)},
		})
		o.SyncResult.Resources = append(
			o.SyncResult.Resources, v1alpha1.ResourceResult{Message: strings.Repeat("m", 2000)},
		)
		r.Status.History = append(r.Status.History, v1alpha1.RevisionHistory{Revision: strings.Repeat("r", 40)})
	}
	r.Status.OperationState = o
	whole, _ := json.Marshal(r)
	for _, limit := range []int{1 << 20, 500_000, 150_000, 30_000, 1_000} {
		text, err := r.encode(limit)
		if err != nil || len(text) > limit {
			t.Fatalf("%d: %d bytes, %v", limit, len(text), err)
		}
		var got Report
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		if got.UID != "u1" || got.Taken != "id1" || got.Status.Sync.Status != "Synced" ||
			got.Status.Health.Status != "Healthy" {
			t.Errorf("%d: %+v", limit, got)
		}
		if cut := len(got.Status.Conditions) > 0; cut != (limit < len(whole)) {
			t.Errorf("%d: it says %v", limit, got.Status.Conditions)
		}
	}
	if again, _ := json.Marshal(r); string(again) != string(whole) {
		t.Error("cutting changed the report itself")
	}
	if _, err := r.encode(10); !errors.Is(err, ErrTooLarge) {
		t.Errorf("%v", err)
	}
}

// A narrowed project says of its cluster what the whole one says, and names no other.
func TestNarrowProjectsPermitTheSame(t *testing.T) {
	const server, name = "argosy-agent://east", "east"
	type d = v1alpha1.ApplicationDestination
	type a = v1alpha1.ApplicationDestinationServiceAccount
	everywhere := []d{{Server: "*", Namespace: "*"}}
	for what, spec := range map[string]v1alpha1.AppProjectSpec{
		"all":            {Destinations: []d{{Server: "*", Namespace: "*"}}},
		"by name":        {Destinations: []d{{Name: "east", Namespace: "team-*"}, {Name: "west", Namespace: "*"}}},
		"by server":      {Destinations: []d{{Server: server, Namespace: "x"}}},
		"elsewhere":      {Destinations: []d{{Name: "west", Namespace: "*"}, {Server: "https://10.0.0.1", Namespace: "*"}}},
		"denied by name": {Destinations: []d{{Server: "*", Namespace: "*"}, {Name: "!east", Namespace: "*"}}},
		"denied server":  {Destinations: append(everywhere[:1:1], d{Server: "!argosy-agent://*", Namespace: "x"})},
		"another denied": {Destinations: []d{{Name: "!west", Namespace: "team-*"}}},
		"denied nspace":  {Destinations: []d{{Server: "*", Namespace: "*"}, {Server: "*", Namespace: "!kube-*"}}},
		"accounts": {Destinations: everywhere, DestinationServiceAccounts: []a{
			{Server: "*", Namespace: "x", DefaultServiceAccount: "w"},
			{Server: "https://west", Namespace: "*", DefaultServiceAccount: "v"},
		}},
		"accounts others": {Destinations: everywhere, DestinationServiceAccounts: []a{
			{Server: "https://west", Namespace: "*", DefaultServiceAccount: "v"},
		}},
	} {
		spec.Roles = []v1alpha1.ProjectRole{{Name: "secret"}}
		whole, _ := project.New("p", spec)
		cut := Narrow(spec, server, name)
		narrow, _ := project.New("p", cut)
		for _, namespace := range []string{"x", "team-a", "kube-system", ""} {
			at := project.Destination{Server: server, Name: name, Namespace: namespace}
			if (whole.Destination(at) == "") != (narrow.Destination(at) == "") {
				t.Errorf("%s: %s: %q became %q", what, at, whole.Destination(at), narrow.Destination(at))
			}
			n1, a1, ok1 := whole.Account(at)
			n2, a2, ok2 := narrow.Account(at)
			if n1 != n2 || a1 != a2 || ok1 != ok2 || whole.Accounts() != narrow.Accounts() {
				t.Errorf("%s: %s: account %s:%s %v became %s:%s %v", what, at, n1, a1, ok1, n2, a2, ok2)
			}
		}
		text, err := EncodeProject(cut)
		if err != nil || strings.Contains(string(text), "west") || strings.Contains(string(text), "secret") {
			t.Errorf("%s: %s %v", what, text, err)
		}
	}
}

func TestAwaySaysSinceWhen(t *testing.T) {
	if got := Away("east", time.Unix(0, 0)); !strings.Contains(got, "1970-01-01T00:00:00Z") {
		t.Error(got)
	}
	if got := Away("east", time.Time{}); got != "agent east was not heard of yet" {
		t.Error(got)
	}
}
