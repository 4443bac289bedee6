package operation

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/diff"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/health"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track/tracktest"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// How objects are written: which option acts where it is said of the application, of the manifest and of what is live.
func TestModes(t *testing.T) {
	const options = "argocd.argoproj.io/sync-options: "
	crd := "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: d, annotations: {%s}}\n"
	namespace := "apiVersion: v1\nkind: Namespace\nmetadata: {name: n, annotations: {%s}}\n"
	for name, c := range map[string]struct {
		object   string // with %s for annotations; "" is a Job
		desired  string // annotations
		live     string // annotations, "-" is missing
		policy   []string
		strategy *v1alpha1.SyncStrategy
		want     Mode
	}{
		"nothing said":                      {want: Mode{Validate: true}},
		"Validate=false of the application": {policy: []string{"Validate=false"}, want: Mode{}},
		"Validate=false of the object":      {desired: options + "Validate=false", want: Mode{}},
		"the object's word counts": {
			desired: options + "Validate=true", policy: []string{"Validate=false"}, want: Mode{Validate: true},
		},
		"Replace of the application": {
			policy: []string{"Replace=true"}, want: Mode{Replace: true, Validate: true},
		},
		"Replace of the manifest": {
			desired: options + "Replace=true", live: "-", want: Mode{Replace: true, Validate: true},
		},
		"Replace of what is live": {
			live: options + "Replace=true", want: Mode{Replace: true, Validate: true},
		},
		"Force of the application is inert": {policy: []string{"Force=true"}, want: Mode{Validate: true}},
		"Force of the manifest": {
			desired: options + "Force=true", want: Mode{Force: true, Validate: true},
		},
		"Force of what is live": {live: options + "Force=true", want: Mode{Force: true, Validate: true}},
		"Force of the operation, applying": {
			strategy: &v1alpha1.SyncStrategy{Apply: &v1alpha1.SyncStrategyApply{Force: true}}, want: Mode{
				Force: true, Validate: true,
			},
		},
		"Force of the operation, with hooks": {
			strategy: &v1alpha1.SyncStrategy{Hook: &v1alpha1.SyncStrategyHook{Force: true}}, want: Mode{
				Force: true, Validate: true,
			},
		},
		"options in a list": {
			desired: options + `"Replace=true , Force=true"`, want: Mode{Replace: true, Force: true, Validate: true},
		},
		"an option that is spelled otherwise": {
			desired: options + `"replace=true,Force=True"`, want: Mode{Validate: true},
		},
		"a definition is never made again": {
			object: crd, desired: options + `"Force=true,Replace=true"`, want: Mode{Replace: true, Validate: true},
		},
		"a namespace is never made again": {
			object: namespace, desired: options + `"Force=true,Replace=true"`, want: Mode{
				Replace: true, Validate: true,
			},
		},
	} {
		built := func(annotations string) *track.Object {
			if c.object == "" {
				return job(t, "a", annotations)
			}
			return tracktest.Object(t, fmt.Sprintf(c.object, annotations))
		}
		w := World{Policy: v1alpha1.SyncPolicy{SyncOptions: c.policy}}
		i := Item{Desired: built(c.desired)}
		if i.Key = track.KeyOf(i.Desired); c.live != "-" {
			i.Live = built(c.live)
		}
		m := &machine{w: w, sync: &v1alpha1.SyncOperation{SyncStrategy: c.strategy}}
		if got := m.mode(i); got != c.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestPropagation(t *testing.T) {
	running := func(options ...string) *v1alpha1.OperationState {
		return &v1alpha1.OperationState{
			Phase: v1alpha1.OperationRunning, Operation: v1alpha1.Operation{
				Sync: &v1alpha1.SyncOperation{SyncOptions: options},
			},
		}
	}
	for name, c := range map[string]struct {
		policy []string
		state  *v1alpha1.OperationState
		want   string
	}{
		"nothing said":             {nil, nil, "foreground"},
		"foreground":               {[]string{"PrunePropagationPolicy=foreground"}, nil, "foreground"},
		"background":               {[]string{"PrunePropagationPolicy=background"}, nil, "background"},
		"orphan":                   {[]string{"PrunePropagationPolicy=orphan"}, nil, "orphan"},
		"a word that there is not": {[]string{"PrunePropagationPolicy=later"}, nil, "foreground"},
		"the operation's options": {
			[]string{"PrunePropagationPolicy=orphan"}, running("PrunePropagationPolicy=background"), "background",
		},
		"an operation without options": {[]string{"PrunePropagationPolicy=orphan"}, running(), "orphan"},
	} {
		if got := (World{Policy: v1alpha1.SyncPolicy{SyncOptions: c.policy},
			State: c.state}).Propagation(); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// What becomes of objects in status: those that were left out say so.
func TestResults(t *testing.T) {
	a, b := simple(t, "ConfigMap", "a", "0"), simple(t, "ConfigMap", "b", "0")
	kept := annotated(t, "b", "0", "Prune=false")
	for name, c := range map[string]struct {
		before, after []*track.Object
		options       []string
		request       *v1alpha1.SyncOperation
		hook          string
		want          string
	}{
		"created": {
			nil, []*track.Object{a}, nil, &v1alpha1.SyncOperation{}, "", "a Synced Running configmap/a created",
		},
		"unchanged, beside what is new": {
			[]*track.Object{a}, []*track.Object{a, b}, nil, &v1alpha1.SyncOperation{}, "",
			"a Synced Running configmap/a unchanged; b Synced Running configmap/b created",
		},
		"only what is out of sync": {
			[]*track.Object{a}, []*track.Object{a, b}, []string{"ApplyOutOfSyncOnly=true"},
			&v1alpha1.SyncOperation{}, "",
			"b Synced Running configmap/b created",
		},
		"its hooks run": {
			[]*track.Object{a}, []*track.Object{a}, []string{"ApplyOutOfSyncOnly=true"}, &v1alpha1.SyncOperation{},
			"argocd.argoproj.io/hook: PreSync", "pre Synced Succeeded ",
		},
		"without pruning": {
			[]*track.Object{a, b}, []*track.Object{a}, nil, &v1alpha1.SyncOperation{}, "",
			"a Synced Running configmap/a unchanged; b PruneSkipped Succeeded ignored (no prune)",
		},
		"with pruning, but kept": {
			[]*track.Object{a, kept}, []*track.Object{a}, nil, &v1alpha1.SyncOperation{Prune: true}, "",
			"a Synced Running configmap/a unchanged; b PruneSkipped Succeeded ignored (no prune)",
		},
		"pruned": {
			[]*track.Object{a, b}, []*track.Object{a}, nil, &v1alpha1.SyncOperation{Prune: true}, "",
			"a Synced Running configmap/a unchanged; b Pruned Succeeded pruned",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := world(auto(true, true), c.before...)
			run(t, &w)
			w.Policy, w.Desired, w.Now = v1alpha1.SyncPolicy{SyncOptions: c.options}, c.after, w.Now.Add(time.Minute)
			w.Request = &v1alpha1.Operation{Sync: c.request}
			if c.hook != "" {
				w.Hooks = []*track.Object{job(t, "pre", c.hook)}
			}
			transcript(t, &w, "Complete")
			var got []string
			for _, r := range w.State.SyncResult.Resources {
				text := r.Message
				if r.HookType != "" {
					text = ""
				}
				got = append(got, strings.Join([]string{r.Name, r.Status, r.HookPhase, text}, " "))
			}
			slices.Sort(got)
			if d := cmp.Diff(c.want, strings.Join(got, "; ")); d != "" {
				t.Error(d)
			}
			if skipped := strings.Contains(c.want, ResultPruneSkipped); Decide(w).Synced == skipped {
				t.Errorf("synced although something was left: %v", skipped)
			}
		})
	}
}

// The namespace that CreateNamespace makes.
func TestTheNamespaceOfAnApplication(t *testing.T) {
	own := tracktest.Object(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: ns, labels: {mine: yes}}\n")
	managed := &v1alpha1.Metadata{Labels: map[string]string{"team": "a"}}
	live := func(labels string) *track.Object {
		return tracktest.Object(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: ns, labels: {"+labels+"}}\n")
	}
	for name, c := range map[string]struct {
		options []string
		managed *v1alpha1.Metadata
		live    *track.Object
		desired []*track.Object
		want    string
	}{
		"not asked for":   {nil, managed, nil, nil, ""},
		"made before all": {[]string{"CreateNamespace=true"}, nil, nil, nil, "create PreSync map[name:ns]"},
		"with its metadata": {
			[]string{"CreateNamespace=true"}, managed, nil, nil,
			"create PreSync map[annotations:map[] labels:map[team:a] name:ns]",
		},
		"there already":            {[]string{"CreateNamespace=true"}, nil, live("x: y"), nil, ""},
		"there, with the metadata": {[]string{"CreateNamespace=true"}, managed, live("team: a, x: y"), nil, ""},
		"there, without": {
			[]string{"CreateNamespace=true"}, managed, live("x: y"), nil,
			"update PreSync map[annotations:map[] labels:map[team:a] name:ns]",
		},
		"a manifest of it wins":     {[]string{"CreateNamespace=true"}, managed, nil, []*track.Object{own}, ""},
		"metadata without the word": {[]string{"CreateNamespace=false"}, managed, nil, nil, ""},
	} {
		w := world(auto(true, true), append(c.desired, simple(t, "ConfigMap", "a", "0"))...)
		w.Policy.SyncOptions, w.Policy.ManagedNamespaceMetadata = c.options, c.managed
		if c.live != nil {
			w.Live[track.KeyOf(c.live)] = c.live
		}
		p := Decide(w)
		got := ""
		for _, task := range (&machine{Plan: &p, w: w, sync: &v1alpha1.SyncOperation{}}).plan() {
			if task.Untracked {
				got = fmt.Sprintf("%s %s %v", task.Action, task.Phase, task.Desired.Object["metadata"])
			}
		}
		if got != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestRespectIgnoreDifferences(t *testing.T) {
	for name, c := range map[string]struct {
		options []string
		live    bool
		want    any
	}{
		"as Git says":      {nil, true, int64(1)},
		"as it is there":   {[]string{"RespectIgnoreDifferences=true"}, true, int64(7)},
		"nothing is there": {[]string{"RespectIgnoreDifferences=true"}, false, int64(1)},
	} {
		w := world(auto(true, true), simple(t, "ConfigMap", "a", "0"))
		w.Policy.SyncOptions = c.options
		w.Ignore, _ = diff.NewRules(
			[]v1alpha1.ResourceIgnoreDifferences{{Kind: "ConfigMap", JSONPointers: []string{"/spec/x"}}},
		)
		if c.live {
			run(t, &w)
			key := track.KeyOf(w.Desired[0])
			w.Live[key].Object["spec"] = map[string]any{"x": int64(7)}
			w.Desired[0].Object["spec"] = map[string]any{"x": int64(1), "y": int64(1)}
		}
		spec, _ := Decide(w).Items[0].Desired.Object["spec"].(map[string]any)
		if spec["x"] != c.want {
			t.Errorf("%s: %v", name, spec)
		}
	}
}

// Within a wave objects go by their kinds; kinds that nobody ordered come last, by their names.
func TestOrderOfKinds(t *testing.T) {
	kinds := strings.Fields(`Namespace NetworkPolicy ResourceQuota LimitRange PodSecurityPolicy PodDisruptionBudget ServiceAccount
		Secret SecretList ConfigMap StorageClass PersistentVolume PersistentVolumeClaim CustomResourceDefinition ClusterRole
		ClusterRoleList ClusterRoleBinding ClusterRoleBindingList Role RoleList RoleBinding RoleBindingList Service DaemonSet Pod
		ReplicationController ReplicaSet Deployment HorizontalPodAutoscaler StatefulSet Job CronJob IngressClass Ingress
		APIService Aardvark Zebra`)
	var items []Item
	for i, kind := range kinds {
		items = append(items, Item{Key: track.Key{Kind: kind, Name: fmt.Sprint(99 - i)}})
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
	slices.SortFunc(items, compareItems)
	var got []string
	for _, i := range items {
		got = append(got, i.Key.Kind)
	}
	if d := cmp.Diff(kinds, got); d != "" {
		t.Error(d)
	}
	for name, c := range map[string]struct {
		annotations string
		want        int
	}{
		"none": {"", 0}, "a wave": {`argocd.argoproj.io/sync-wave: "-3"`, -3}, "a weight": {
			`helm.sh/hook-weight: "7"`, 7,
		},
		"both": {`argocd.argoproj.io/sync-wave: "1", helm.sh/hook-weight: "7"`, 1}, "no number": {
			`argocd.argoproj.io/sync-wave: x`, 0,
		},
	} {
		if got := Wave(job(t, "a", c.annotations)); got != c.want {
			t.Errorf("%s: %d", name, got)
		}
	}
}

// Definitions and namespaces move up to what needs them first, and take its phase and wave.
func TestPrerequisitesMoveUp(t *testing.T) {
	const crd = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n" +
		"metadata: {name: things.example.org, annotations: {argocd.argoproj.io/sync-wave: '5'}}\n" +
		"spec: {group: example.org, names: {kind: Thing}}\n"
	thing := "apiVersion: example.org/v1\nkind: Thing\nmetadata: {name: t, namespace: ns, annotations: {%s}}\n"
	namespace := tracktest.Object(
		t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: ns, annotations: {argocd.argoproj.io/sync-wave: '3'}}\n",
	)
	for name, c := range map[string]struct {
		hook string // annotations of the thing
		want []string
	}{
		"to an earlier wave": {
			`argocd.argoproj.io/sync-wave: "-1"`,
			[]string{
				"Namespace/ns Sync -1", "CustomResourceDefinition/things.example.org Sync -1", "Thing/t Sync -1",
				"ConfigMap/a Sync 0",
			},
		},
		"to a hook": {
			"argocd.argoproj.io/hook: PreSync",
			[]string{
				"Namespace/ns PreSync 0", "CustomResourceDefinition/things.example.org PreSync 0",
				"Thing/t PreSync 0", "ConfigMap/a Sync 0",
			},
		},
		"not to one that runs when all failed": {
			"argocd.argoproj.io/hook: SyncFail",
			[]string{
				"Namespace/ns Sync 0", "ConfigMap/a Sync 0", "CustomResourceDefinition/things.example.org Sync 5",
				"Thing/t SyncFail 0",
			},
		},
		"to nobody that is later": {
			`argocd.argoproj.io/sync-wave: "9"`,
			[]string{
				"Namespace/ns Sync 0", "ConfigMap/a Sync 0", "CustomResourceDefinition/things.example.org Sync 5",
				"Thing/t Sync 9",
			},
		},
	} {
		o := tracktest.Object(t, fmt.Sprintf(thing, c.hook))
		w := world(auto(true, true), tracktest.Object(t, crd), namespace, simple(t, "ConfigMap", "a", "0"))
		if IsHook(o) {
			w.Hooks = []*track.Object{o}
		} else {
			w.Desired = append(w.Desired, o)
		}
		p := Decide(w)
		var got []string
		for _, task := range (&machine{Plan: &p, w: w, sync: &v1alpha1.SyncOperation{}}).plan() {
			got = append(got, fmt.Sprintf("%s/%s %s %d", task.Key.Kind, task.Key.Name, task.Phase, task.Wave))
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// Which annotations make a hook, of which phases, and when it is deleted.
func TestWhatHooksAre(t *testing.T) {
	const hook, policy = "argocd.argoproj.io/hook: ", "argocd.argoproj.io/hook-delete-policy: "
	for name, c := range map[string]struct {
		annotations string
		is          bool
		phases      string
		deletes     string
	}{
		"none":                {"", false, "[]", "BeforeHookCreation"},
		"PreSync":             {hook + "PreSync", true, "[PreSync]", "BeforeHookCreation"},
		"Sync":                {hook + "Sync", true, "[Sync]", "BeforeHookCreation"},
		"PostSync":            {hook + "PostSync", true, "[PostSync]", "BeforeHookCreation"},
		"SyncFail":            {hook + "SyncFail", true, "[SyncFail]", "BeforeHookCreation"},
		"PreDelete":           {hook + "PreDelete", true, "[PreDelete]", "BeforeHookCreation"},
		"PostDelete":          {hook + "PostDelete", true, "[PostDelete]", "BeforeHookCreation"},
		"Skip":                {hook + "Skip", true, "[]", "BeforeHookCreation"},
		"Skip beside another": {hook + `"Skip,PostSync"`, true, "[PostSync]", "BeforeHookCreation"},
		"several, with spaces": {
			hook + `"PreSync, PostSync ,PreSync"`, true, "[PreSync PostSync]", "BeforeHookCreation",
		},
		"a word that there is not": {hook + "presync", true, "[]", "BeforeHookCreation"},
		"pre-install":              {"helm.sh/hook: pre-install", true, "[PreSync]", "BeforeHookCreation"},
		"pre-upgrade":              {"helm.sh/hook: pre-upgrade", true, "[PreSync]", "BeforeHookCreation"},
		"post-install":             {"helm.sh/hook: post-install", true, "[PostSync]", "BeforeHookCreation"},
		"post-upgrade":             {"helm.sh/hook: post-upgrade", true, "[PostSync]", "BeforeHookCreation"},
		"pre-delete":               {"helm.sh/hook: pre-delete", true, "[PreDelete]", "BeforeHookCreation"},
		"post-delete":              {"helm.sh/hook: post-delete", true, "[PostDelete]", "BeforeHookCreation"},
		"both of Helm": {
			`helm.sh/hook: "pre-install,pre-upgrade"`, true, "[PreSync]", "BeforeHookCreation",
		},
		"crd-install":        {"helm.sh/hook: crd-install", false, "[]", "BeforeHookCreation"},
		"pre-rollback":       {"helm.sh/hook: pre-rollback", true, "[]", "BeforeHookCreation"},
		"test":               {"helm.sh/hook: test", true, "[]", "BeforeHookCreation"},
		"ours before Helm's": {hook + "Sync, helm.sh/hook: pre-install", true, "[Sync]", "BeforeHookCreation"},
		"succeeded":          {hook + "Sync, " + policy + "HookSucceeded", true, "[Sync]", "HookSucceeded"},
		"failed":             {hook + "Sync, " + policy + "HookFailed", true, "[Sync]", "HookFailed"},
		"two policies": {
			hook + "Sync, " + policy + `"HookFailed, HookSucceeded"`, true, "[Sync]", "HookSucceeded HookFailed",
		},
		"no valid policy": {hook + "Sync, " + policy + "Never", true, "[Sync]", "BeforeHookCreation"},
		"Helm's policy": {
			"helm.sh/hook: pre-install, helm.sh/hook-delete-policy: hook-failed", true, "[PreSync]", "HookFailed",
		},
		"Helm's usual policy": {
			"helm.sh/hook: pre-install, helm.sh/hook-delete-policy: before-hook-creation", true, "[PreSync]",
			"BeforeHookCreation",
		},
	} {
		o := job(t, "a", c.annotations)
		var deletes []string
		for _, p := range []string{policyBeforeHookCreation, policySucceeded, policyFailed} {
			if deletesAt(o, p) {
				deletes = append(deletes, p)
			}
		}
		if is, phases := IsHook(o), fmt.Sprint(PhasesOf(o)); is != c.is || (is && phases != c.phases) ||
			strings.Join(deletes, " ") != c.deletes {
			t.Errorf("%s: %v %s %v", name, is, phases, deletes)
		}
	}
}

// What a running task waits for, and how it ends.
func TestOutcomes(t *testing.T) {
	for name, c := range map[string]struct {
		task Task
		want v1alpha1.OperationPhase
	}{
		"healthy": {
			Task{Item: Item{Health: health.Health{Status: health.Healthy}}}, v1alpha1.OperationSucceeded,
		},
		"without a rule": {Task{Item: Item{}}, v1alpha1.OperationSucceeded},
		"progressing": {
			Task{Item: Item{Health: health.Health{Status: health.Progressing}}}, v1alpha1.OperationRunning,
		},
		"degraded": {
			Task{Item: Item{Health: health.Health{Status: health.Degraded}}}, v1alpha1.OperationFailed,
		},
		"unknown": {
			Task{Item: Item{Health: health.Health{Status: health.Unknown}}}, v1alpha1.OperationRunning,
		},
		"suspended": {
			Task{Item: Item{Health: health.Health{Status: health.Suspended}}}, v1alpha1.OperationSucceeded,
		},
		"a suspended hook": {
			Task{Item: Item{Hook: true, Health: health.Health{Status: health.Suspended}}}, v1alpha1.OperationRunning,
		},
		"a hook without a rule": {Task{Item: Item{Hook: true}}, v1alpha1.OperationSucceeded},
		"pruned":                {Task{Item: Item{Action: Prune}}, v1alpha1.OperationSucceeded},
	} {
		c.task.Live = job(t, "a", "")
		if got, _ := outcome(c.task); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got, why := outcome(Task{}); got != v1alpha1.OperationFailed || why == "" {
		t.Errorf("deleted by others: %s", got)
	}
}

// One wave without hooks is over once it is applied; with a second one each waits for the health of the one before, and
// for what is pruned to be gone.
func TestWaitingForHealth(t *testing.T) {
	w := world(auto(true, true), simple(t, "Deployment", "d", "0"))
	if steps, last := run(t, &w); last.Phase != v1alpha1.OperationSucceeded || len(steps) != 1 {
		t.Errorf("%v %+v", steps, last)
	}
	w = world(auto(true, true), simple(t, "Deployment", "d", "0"), simple(t, "ConfigMap", "a", "1"))
	if steps, last := run(t, &w); last.Phase != "" ||
		last.Wait != "waiting for healthy state of apps/Deployment ns/d (wave 0)" {
		t.Errorf("%v %+v", steps, last)
	}
	w.Live = map[track.Key]*track.Object{}
	if _, last := run(t, &w); last.Phase != v1alpha1.OperationFailed ||
		!strings.Contains(last.Message, "deleted while the sync waited") {
		t.Errorf("%+v", last)
	}

	w = world(auto(true, true), simple(t, "ConfigMap", "a", "0"), simple(t, "ConfigMap", "b", "1"))
	run(t, &w)
	w.Target.Revision, w.Desired, w.Now = "r2", w.Desired[:1], w.Now.Add(time.Minute)
	p := Decide(w)
	w.State = Begin(w, p)
	for range 5 {
		if p = Decide(w); len(p.Step) > 0 {
			break
		}
		if merge(&w, p.Results); len(p.DryRun) > 0 {
			w.Refused = map[track.Key]string{}
		}
	}
	if len(p.Step) != 1 || p.Step[0].Action != Prune {
		t.Fatalf("%+v", p)
	}
	going := w.Live[p.Step[0].Key]
	going.SetDeletionTimestamp(&metav1.Time{Time: w.Now})
	merge(&w, []v1alpha1.ResourceResult{p.Step[0].Result(ResultPruned, v1alpha1.OperationSucceeded, "pruned")})
	for range 3 {
		p = Decide(w)
		merge(&w, p.Results)
	}
	if p.Wait != "waiting for deletion of ConfigMap ns/b" || p.Phase != "" {
		t.Errorf("%+v", p)
	}
	delete(w.Live, p.Items[len(p.Items)-1].Key)
	if _, last := run(t, &w); last.Phase != v1alpha1.OperationSucceeded {
		t.Errorf("%+v", last)
	}
}

// What counts as out of sync, and what automation does about it.
func TestOutOfSync(t *testing.T) {
	a, b := simple(t, "ConfigMap", "a", "0"), simple(t, "ConfigMap", "b", "0")
	extraneous := b.DeepCopy()
	extraneous.SetAnnotations(map[string]string{CompareAnnotation: "IgnoreExtraneous"})
	for name, c := range map[string]struct {
		before, after []*track.Object
		policy        v1alpha1.SyncPolicy
		change        func(*World)
		synced        bool
		begins        bool
	}{
		"nothing to do": {
			[]*track.Object{a}, []*track.Object{a}, auto(true, true), nil, true, false,
		},
		"something is missing": {
			[]*track.Object{a}, []*track.Object{a, b}, auto(true, true), nil, false, true,
		},
		"something is left": {
			[]*track.Object{a, b}, []*track.Object{a}, auto(true, true), nil, false, true,
		},
		"something is left, without pruning": {
			[]*track.Object{a, b}, []*track.Object{a}, auto(false, true), nil, false, false,
		},
		"left, and it does not count": {
			[]*track.Object{a, extraneous}, []*track.Object{a}, auto(true, true), nil, true, false,
		},
		"a copy of what is ours": {[]*track.Object{a}, []*track.Object{a}, auto(true, true), func(w *World) {
			copied := w.Live[track.KeyOf(a)].DeepCopy()
			copied.SetName("copy")
			w.Live[track.KeyOf(copied)] = copied
		}, true, false},
		"a hook that stayed": {[]*track.Object{a}, []*track.Object{a}, auto(true, true), func(w *World) {
			h := job(t, "pre", "argocd.argoproj.io/hook: PreSync")
			a := h.GetAnnotations()
			a[track.TrackingAnnotation] = track.TrackingID("app", track.KeyOf(h), "ns")
			h.SetAnnotations(a)
			w.Live[track.KeyOf(h)] = h
		}, true, false},
		"another's": {[]*track.Object{a}, []*track.Object{a}, auto(true, true), func(w *World) {
			w.Live[track.KeyOf(b)] = b.DeepCopy()
		}, true, false},
	} {
		w := world(auto(true, true), c.before...)
		run(t, &w)
		w.Policy, w.Desired, w.Target.Revision, w.Now = c.policy, c.after, "r2", w.Now.Add(time.Minute)
		if c.change != nil {
			c.change(&w)
		}
		if p := Decide(w); p.Synced != c.synced || p.Begins != c.begins {
			t.Errorf("%s: synced %v, begins %v: %+v", name, p.Synced, p.Begins, p.Items)
		}
	}
}

// A heal is about what drifted alone, and runs no hooks.
func TestAHealIsPartial(t *testing.T) {
	w := world(auto(true, true), simple(t, "ConfigMap", "a", "0"), simple(t, "ConfigMap", "b", "0"))
	w.Hooks = []*track.Object{job(t, "pre", "argocd.argoproj.io/hook: PreSync")}
	transcript(t, &w, "Complete")
	delete(w.Live, track.KeyOf(w.Desired[1]))
	w.Now = w.Now.Add(time.Hour)
	p := Decide(w)
	want := []v1alpha1.SyncOperationResource{{Kind: "ConfigMap", Namespace: "ns", Name: "b"}}
	if !p.Begins || !cmp.Equal(p.Operation.Sync.Resources, want) || p.Operation.Sync.AutoHealAttemptsCount != 1 {
		t.Errorf("%+v", p.Operation)
	}
	if got := transcript(t, &w, "Complete"); !cmp.Equal(
		got, []string{"create ConfigMap/b", "Succeeded: successfully synced (all tasks run)"},
	) {
		t.Error(got)
	}
}

// How long an operation waits before it is tried again, and how often it is.
func TestRetries(t *testing.T) {
	backoff := func(duration, most string, factor int64) *v1alpha1.SyncBackoff {
		return &v1alpha1.SyncBackoff{Duration: duration, MaxDuration: most, Factor: &factor}
	}
	for name, c := range map[string]struct {
		backoff *v1alpha1.SyncBackoff
		want    string
	}{
		"nothing said":      {nil, "5s 10s 20s 40s 1m20s 2m40s 3m0s"},
		"all said":          {backoff("1s", "10s", 3), "1s 3s 9s 10s 10s 10s 10s"},
		"bare numbers":      {backoff("2", "7", 2), "2s 4s 7s 7s 7s 7s 7s"},
		"no factor":         {backoff("1m", "", 0), "1m0s 2m0s 3m0s 3m0s 3m0s 3m0s 3m0s"},
		"what is no length": {backoff("soon", "later", 1), "5s 5s 5s 5s 5s 5s 5s"},
	} {
		var got []string
		for tried := range int64(7) {
			got = append(got, retryWait(c.backoff, tried).String())
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%s: %s", name, text)
		}
	}
	limit := func(n int64) v1alpha1.SyncRetryStrategy { return v1alpha1.SyncRetryStrategy{Limit: &n} }
	for name, c := range map[string]struct {
		retry     v1alpha1.SyncRetryStrategy
		automated bool
		tried     int64
		want      bool
	}{
		"automated, nothing said":  {v1alpha1.SyncRetryStrategy{}, true, 4, true},
		"automated, five are over": {v1alpha1.SyncRetryStrategy{}, true, 5, false},
		"by hand, nothing said":    {v1alpha1.SyncRetryStrategy{}, false, 0, false},
		"none":                     {limit(0), true, 0, false},
		"without end":              {limit(-1), false, 1000, true},
		"two":                      {limit(2), false, 1, true},
		"two are over":             {limit(2), false, 2, false},
	} {
		o := v1alpha1.Operation{Retry: c.retry, InitiatedBy: v1alpha1.OperationInitiator{Automated: c.automated}}
		if got := retries(o, c.tried); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
