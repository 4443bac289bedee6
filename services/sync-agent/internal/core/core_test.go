package core

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func object(t testing.TB, text string) *Object {
	t.Helper()
	o := &Object{}
	asJSON, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := o.UnmarshalJSON(asJSON); err != nil {
		t.Fatal(err)
	}
	return o
}

func simple(t testing.TB, kind, name, wave string) *Object {
	api := "v1"
	if kind == "Deployment" {
		api = "apps/v1"
	}
	return object(t, fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata: {name: %s, namespace: ns, annotations: {argocd.argoproj.io/sync-wave: %q}}\nspec: {x: 1}\n", api, kind, name, wave))
}

func auto(prune, heal bool) v1alpha1.SyncPolicy {
	return v1alpha1.SyncPolicy{Automated: &v1alpha1.SyncPolicyAutomated{Prune: prune, SelfHeal: heal}}
}

func world(policy v1alpha1.SyncPolicy, desired ...*Object) World {
	return World{Instance: "app", Destination: "ns", Policy: policy, Revision: "r1", Desired: desired, Live: map[Key]*Object{}, NormalizedDiffs: map[Key]NormalizedDiff{}, Now: noon}
}

// perform does to the world what the shell would.
func perform(w *World, step []Item) {
	for _, i := range step {
		if i.Action == Prune {
			delete(w.Live, i.Key)
			continue
		}
		o := i.Desired.DeepCopy()
		a := o.GetAnnotations()
		if a == nil {
			a = map[string]string{}
		}
		if !i.Untracked {
			a[AppliedAnnotation], a[TrackingAnnotation] = i.Fingerprint, TrackingID(w.Instance, i.Key, w.Destination)
		}
		o.SetAnnotations(a)
		w.Live[i.Key] = o
	}
}

// run plans and performs until nothing is left, and returns the steps.
func run(t testing.TB, w *World) (steps []string, last Plan) {
	t.Helper()
	for range 100 {
		p := Decide(*w)
		if p.Begins {
			w.State = &v1alpha1.OperationState{Operation: *p.Operation, Phase: v1alpha1.OperationRunning, SyncResult: &v1alpha1.SyncOperationResult{Revision: w.Revision}}
			w.Request = nil
		}
		if len(p.Step) == 0 {
			if p.Phase != "" {
				at := metav1.NewTime(w.Now)
				w.State.Phase, w.State.FinishedAt = p.Phase, &at
			}
			return steps, p
		}
		var names []string
		for _, i := range p.Step {
			names = append(names, string(i.Action)+" "+i.Key.Kind+"/"+i.Key.Name)
		}
		steps = append(steps, strings.Join(names, ", "))
		perform(w, p.Step)
	}
	t.Fatal("does not end")
	return nil, Plan{}
}

func TestOrder(t *testing.T) {
	w := world(auto(true, true), simple(t, "Deployment", "d", "0"), simple(t, "ConfigMap", "late", "5"), simple(t, "ConfigMap", "c", "0"), simple(t, "Secret", "s", "-1"),
		object(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: ns}\n"))
	steps, last := run(t, &w)
	want := []string{"create Namespace/ns, create Secret/s", "create ConfigMap/c, create Deployment/d"}
	if diff := cmp.Diff(want, steps); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(last.Wait, "Deployment ns/d") {
		t.Errorf("wait: %q", last.Wait)
	}
	d := w.Live[Key{"apps", "Deployment", "ns", "d"}]
	d.Object["status"] = map[string]any{"updatedReplicas": int64(1), "replicas": int64(1), "availableReplicas": int64(1)}
	steps, last = run(t, &w)
	if diff := cmp.Diff([]string{"create ConfigMap/late"}, steps); diff != "" || last.Phase != v1alpha1.OperationSucceeded || !last.Synced {
		t.Errorf("%s %+v", diff, last)
	}
}

func TestPruneGoesBackwardsAndOnlyForOurs(t *testing.T) {
	all := []*Object{simple(t, "ConfigMap", "a", "0"), simple(t, "ConfigMap", "b", "1"), simple(t, "Secret", "b", "1"), simple(t, "ConfigMap", "kept", "0")}
	w := world(auto(true, true), all...)
	all[3].SetAnnotations(map[string]string{OptionsAnnotation: "Prune=false"})
	run(t, &w)
	w.Live[Key{"", "ConfigMap", "ns", "foreign"}] = simple(t, "ConfigMap", "foreign", "0")
	w.Revision, w.Desired = "r2", nil
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
		return &v1alpha1.OperationState{Phase: v1alpha1.OperationSucceeded, FinishedAt: &at, SyncResult: &v1alpha1.SyncOperationResult{Revision: "r1"},
			Operation: v1alpha1.Operation{Sync: &v1alpha1.SyncOperation{AutoHealAttemptsCount: count}}}
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
		"manual":             {v1alpha1.SyncPolicy{}, nil, nil, false, 0, false},
		"manual, asked":      {v1alpha1.SyncPolicy{}, nil, &v1alpha1.Operation{Sync: &v1alpha1.SyncOperation{}}, true, 0, false},
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

func TestCompare(t *testing.T) {
	const base = "apiVersion: v1\nkind: X\nmetadata: {name: x}\n"
	for name, c := range map[string]struct{ want, got, differs string }{
		"defaults":          {"spec: {a: 1}", "spec: {a: 1, b: 2}", ""},
		"value":             {"spec: {a: 1}", "spec: {a: 2}", "spec.a"},
		"missing":           {"spec: {a: x}", "spec: {}", "spec.a"},
		"empty is missing":  {"spec: {a: '', b: {}, c: [], d: null, e: false}", "spec: {}", ""},
		"float":             {"spec: {a: 1}", "spec: {a: 1.0}", ""},
		"quantity":          {"spec: {limits: {cpu: 1000m}}", "spec: {limits: {cpu: '1'}}", ""},
		"quantity, number":  {"spec: {limits: {cpu: 1}}", "spec: {limits: {cpu: '1'}}", ""},
		"text is no number": {"data: {a: '1000m'}", "data: {a: '1'}", "data.a"},
		"duration":          {"spec: {a: 60s}", "spec: {a: 1m0s}", ""},
		"named, injected":   {"spec: {c: [{name: a, image: x}]}", "spec: {c: [{name: side}, {name: a, image: x}]}", ""},
		"named, differs":    {"spec: {c: [{name: a, image: x}]}", "spec: {c: [{name: a, image: y}]}", "spec.c.name=a.image"},
		"plain list":        {"spec: {c: [a, b]}", "spec: {c: [b, a]}", "spec.c.0"},
		"list length":       {"spec: {c: [a]}", "spec: {c: [a, b]}", "spec.c"},
		"status is ignored": {"status: {a: 1}", "spec: {}", ""},
	} {
		got := Compare(object(t, base+c.want), object(t, base+c.got))
		first := ""
		if len(got) > 0 {
			first = got[0].Path
		}
		if first != c.differs {
			t.Errorf("%s: %+v", name, got)
		}
	}
	secret := object(t, "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData: {a: b}\n")
	if got := Compare(secret, object(t, "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\ndata: {a: Yg==}\n")); got != nil {
		t.Errorf("secret: %+v", got)
	}
}

func TestWhatTheServerMadeOfItIsNoDrift(t *testing.T) {
	w := world(auto(true, true), simple(t, "ConfigMap", "a", "0"))
	run(t, &w)
	key := KeyOf(w.Desired[0])
	w.Live[key].Object["spec"] = map[string]any{"x": "normalised"}
	if Decide(w).Synced {
		t.Fatal("drift was not seen")
	}
	w.NormalizedDiffs[key] = Settle(w, Item{Key: key, Desired: w.Desired[0], Fingerprint: Fingerprint(w.Desired[0])}, w.Live[key])
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
	w.Ignore = []v1alpha1.ResourceIgnoreDifferences{{Group: "*", Kind: "Deploy*", JSONPointers: []string{"/spec/x"}}}
	run(t, &w)
	key := KeyOf(w.Desired[0])
	w.Live[key].Object["spec"] = map[string]any{"x": int64(9)}
	if !Decide(w).Synced {
		t.Error("an ignored field counted")
	}
	w.Live[key].SetAnnotations(map[string]string{TrackingAnnotation: TrackingID("other", key, "ns")})
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
		some := func(n int) (out []*Object) {
			taken := map[Key]bool{}
			for range n {
				o := simple(t, kinds[r.IntN(len(kinds))], fmt.Sprint("n", r.IntN(5)), fmt.Sprint(r.IntN(3)-1))
				o.Object["spec"] = map[string]any{"x": int64(r.IntN(3)), "l": []any{map[string]any{"name": "a", "v": int64(r.IntN(2))}}}
				if key := KeyOf(o); !taken[key] {
					taken[key] = true
					out = append(out, o)
				}
			}
			return out
		}
		w := world(auto(true, true), some(1+r.IntN(6))...)
		run(t, &w)
		w.Revision, w.Desired = "r2", some(1+r.IntN(6))
		run(t, &w)
		p := Decide(w)
		if !p.Synced || p.Operation != nil || len(w.Live) != len(w.Desired) {
			t.Fatalf("round %d: %+v", round, p)
		}
		if !slices.IsSortedFunc(p.Items, compareSteps) {
			t.Fatalf("round %d: order", round)
		}
	}
}

func TestPushConcerns(t *testing.T) {
	push := PushOf(events.GitPushed{Repositories: []string{"https://Git.Example.org/a/b.git", "git@git.example.org:a/b.git", "https://git.example.org/a/b"}, DefaultBranch: "main",
		Changes: []events.GitChange{{Ref: "refs/heads/main", Commit: "abc"}, {Ref: "refs/heads/dev", Commit: "def"}, {Ref: "refs/tags/v1.2", Commit: "ace"}}})
	if len(push.URLs) != 1 {
		t.Errorf("%q", push.URLs)
	}
	for name, c := range map[string]struct{ url, revision, want string }{
		"same": {"https://git.example.org/a/b", "main", "abc"}, "http": {"http://git.example.org/a/b.git/", "HEAD", "abc"}, "scp": {"git@git.example.org:a/b", "", "abc"},
		"full ref": {"https://git.example.org/a/b", "refs/heads/main", "abc"}, "another that was pushed with it": {"https://git.example.org/a/b", "dev", "def"},
		"a tag": {"https://git.example.org/a/b", "v1.2", "ace"}, "a range of tags": {"https://git.example.org/a/b", "v1.*", "ace"},
		"a commit": {"https://git.example.org/a/b", strings.Repeat("a", 40), ""}, "other repository": {"https://git.example.org/a/c", "main", ""},
		"other case of path": {"https://git.example.org/A/b", "main", ""},
	} {
		if got, ok := push.Concerns(v1alpha1.ApplicationSource{RepoURL: c.url, TargetRevision: c.revision}); got != c.want || ok != (c.want != "") {
			t.Errorf("%s: %q", name, got)
		}
	}
	unknown := PushOf(events.GitPushed{Repositories: []string{"https://h/a"}, Changes: []events.GitChange{{Ref: "refs/heads/x", Commit: "1"}}})
	if _, ok := unknown.Concerns(v1alpha1.ApplicationSource{RepoURL: "https://h/a"}); !ok {
		t.Error("of a repository whose default branch is not known every branch counts")
	}
}

func TestOlderPushes(t *testing.T) {
	got, ok := ReadOlderPush([]byte(`{"body":{"ref":"refs/heads/main","after":"abc","repository":{"clone_url":"https://h/a/b.git","ssh_url":"git@h:a/b.git","default_branch":"main"}}}`))
	want := events.GitPushed{Repositories: []string{"https://h/a/b.git", "git@h:a/b.git"}, Changes: []events.GitChange{{Ref: "refs/heads/main", Commit: "abc"}}, DefaultBranch: "main"}
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Error(diff)
	}
	for name, none := range map[string]string{
		"a ping": `{"body":{"zen":"x"}}`, "a branch that is gone": `{"body":{"ref":"refs/heads/main","deleted":true,"repository":{"url":"https://h/a"}}}`, "text": `{"body":"text"}`, "no body": `{}`, "nothing": ``, "no JSON": `{"body":{"ref`,
	} {
		if _, ok := ReadOlderPush([]byte(none)); ok {
			t.Errorf("%s is no push", name)
		}
	}
}

func FuzzOlderPush(f *testing.F) {
	f.Add([]byte(`{"header":{"a":["b"]},"body":{"commits":[{"ref":"x"}],"ref":"refs/heads/main","after":"abc","repository":{"owner":{"url":"x"},"url":"https://h/a"}}}`))
	f.Add([]byte(`{"body":[{"ref":1}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, ok := ReadOlderPush(data)
		if ok != (len(p.Repositories) > 0 && len(p.Changes) == 1) {
			t.Errorf("%+v", p)
		}
		PushOf(p).Concerns(v1alpha1.ApplicationSource{RepoURL: "https://h/a"})
	})
}

func TestTracking(t *testing.T) {
	o := simple(t, "Deployment", "d", "0")
	o.SetAnnotations(map[string]string{TrackingAnnotation: TrackingID("app", KeyOf(o), "elsewhere")})
	if got := o.GetAnnotations()[TrackingAnnotation]; got != "app:apps/Deployment:ns/d" || TrackedBy(o) != "app" {
		t.Errorf("%s, %s", got, TrackedBy(o))
	}
	o.SetName("copy")
	if TrackedBy(o) != "" {
		t.Error("a copied annotation counted")
	}
	for _, c := range [][2]string{{"argocd", "a"}, {"team", "a"}} {
		if ns, name := InstanceName(Instance(c[0], c[1], "argocd"), "argocd"); ns != c[0] || name != c[1] {
			t.Errorf("%v: %s/%s", c, ns, name)
		}
	}
}

func TestImageRules(t *testing.T) {
	rule := func(ref, strategy string) ImageRule {
		u := ReadUpdater(map[string]string{updaterPrefix + "image-list": "a=" + ref, updaterPrefix + "a.update-strategy": strategy, updaterPrefix + "a.ignore-tags": "bad*"})
		if len(u.Rules) != 1 {
			t.Fatalf("%s: %+v", ref, u)
		}
		return u.Rules[0]
	}
	for _, c := range []struct {
		ref, strategy, registry, repository, tag string
		want                                     bool
	}{
		{"r:5000/a/b", "latest", "r:5000", "a/b", "x", true}, {"r:5000/a/b", "latest", "r:5000", "a/c", "x", false}, {"r:5000/a/b", "latest", "r:5000", "a/b", "bad1", false},
		{"nginx:^1.2", "semver", "docker.io", "library/nginx", "1.9.0", true}, {"nginx:^1.2", "semver", "docker.io", "library/nginx", "2.0.0", false},
		{"nginx", "semver", "docker.io", "library/nginx", "edge", false}, {"r:5000/a/b:main", "digest", "r:5000", "a/b", "main", true}, {"r:5000/a/b:main", "digest", "r:5000", "a/b", "dev", false},
		// What is attached to an image is none, and neither is one platform's part of an index.
		{"r:5000/a/b", "latest", "r:5000", "a/b", "sha256-" + strings.Repeat("ab", 32), false}, {"r:5000/a/b", "latest", "r:5000", "a/b", "sha256-" + strings.Repeat("ab", 32) + ".sig", false},
		{"r:5000/a/b", "digest", "r:5000", "a/b", "sha256-" + strings.Repeat("ab", 32) + ".att", false}, {"r:5000/a/b", "alphabetical", "r:5000", "a/b", "", false}, {"r:5000/a/b", "digest", "r:5000", "a/b", "", false},
	} {
		p := events.ImagePushed{Registry: c.registry, Repository: c.repository, Tag: c.tag, Digest: "sha256:1"}
		if got := rule(c.ref, c.strategy).Wants(p); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	if r := rule("nginx", "semver"); r.Advances(ImageValue{NewTag: "1.10.0"}, ImageValue{NewTag: "1.9.0"}) || !r.Advances(ImageValue{NewTag: "1.9.0"}, ImageValue{NewTag: "1.10.0"}) {
		t.Error("versions are compared as text")
	}
}

func TestSetImage(t *testing.T) {
	v := ImageValue{Entry: "web", NewName: "r/web", NewTag: "2"}
	for name, c := range map[string][2]string{
		"replace":    {"# top\nimages:\n- name: web # mine\n  newName: r/web\n  newTag: \"1\" # old\nother: x\n", "# top\nimages:\n- name: web # mine\n  newName: r/web\n  newTag: \"2\" # old\nother: x\n"},
		"add fields": {"images:\n  - name: web\n", "images:\n  - name: web\n    newName: r/web\n    newTag: \"2\"\n"},
		"add entry":  {"images:\n- name: db\n  newTag: \"1\"\n", "images:\n- name: web\n  newName: r/web\n  newTag: \"2\"\n- name: db\n  newTag: \"1\"\n"},
		"add list":   {"a: 1\n", "a: 1\nimages:\n- name: web\n  newName: r/web\n  newTag: \"2\"\n"},
		"no digest":  {"images:\n- name: web\n  newName: r/web\n  digest: sha256:1\n", "images:\n- name: web\n  newTag: \"2\"\n  newName: r/web\n"},
		"unchanged":  {"images: [{name: web, newName: r/web, newTag: '2'}]\n", "images: [{name: web, newName: r/web, newTag: '2'}]\n"},
		"flow":       {"images: [{name: web, newTag: '1'}] # c\n", "images: [{name: web, newName: r/web, newTag: \"2\"}] # c\n"},
	} {
		got, err := SetImage([]byte(c[0]), v)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if name == "flow" {
			if back, err := ReadImage(got, "web"); err != nil || back != v {
				t.Errorf("flow: %s", got)
			}
			continue
		}
		if diff := cmp.Diff(c[1], string(got)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestHealth(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"config map":          {"{apiVersion: v1, kind: ConfigMap}", ""},
		"deployment, new":     {"{apiVersion: apps/v1, kind: Deployment, metadata: {generation: 2}, status: {observedGeneration: 1}}", Progressing},
		"deployment, good":    {"{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 2}, status: {updatedReplicas: 2, replicas: 2, availableReplicas: 2}}", Healthy},
		"deployment, late":    {"{apiVersion: apps/v1, kind: Deployment, status: {conditions: [{type: Progressing, reason: ProgressDeadlineExceeded}]}}", Degraded},
		"deployment, paused":  {"{apiVersion: apps/v1, kind: Deployment, spec: {paused: true}}", Suspended},
		"stateful set, waits": {"{apiVersion: apps/v1, kind: StatefulSet, spec: {replicas: 2}, status: {readyReplicas: 1}}", Progressing},
		"daemon set, good":    {"{apiVersion: apps/v1, kind: DaemonSet, status: {desiredNumberScheduled: 1, updatedNumberScheduled: 1, numberAvailable: 1}}", Healthy},
		"pod, back-off":       {"{apiVersion: v1, kind: Pod, status: {containerStatuses: [{state: {waiting: {reason: ImagePullBackOff}}}]}}", Degraded},
		"service":             {"{apiVersion: v1, kind: Service}", Healthy},
		"load balancer":       {"{apiVersion: v1, kind: Service, spec: {type: LoadBalancer}}", Progressing},
		"claim":               {"{apiVersion: v1, kind: PersistentVolumeClaim, status: {phase: Bound}}", Healthy},
		"job, failed":         {"{apiVersion: batch/v1, kind: Job, status: {conditions: [{type: Failed, status: 'True'}]}}", Degraded},
		"rollout, paused":     {"{apiVersion: argoproj.io/v1alpha1, kind: Rollout, status: {phase: Paused}}", Suspended},
	} {
		if got := Assess(object(t, c.text)); got.Status != c.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
