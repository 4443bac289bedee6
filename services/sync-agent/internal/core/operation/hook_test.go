package operation

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track/tracktest"
	"github.com/google/go-cmp/cmp"
)

// job is a Job that is a hook; annotations are written as YAML.
func job(t testing.TB, name, annotations string) *track.Object {
	meta := "name: " + name
	if strings.HasSuffix(name, "-") {
		meta = "generateName: " + name
	}
	return tracktest.Object(t, fmt.Sprintf(
		"apiVersion: batch/v1\nkind: Job\nmetadata: {%s, namespace: ns, annotations: {%s}}\n", meta, annotations,
	))
}

// ends gives every Job that runs a condition.
func ends(w *World, condition string) {
	for key, o := range w.Live {
		if key.Kind == "Job" && o.Object["status"] == nil {
			o.Object["status"] = map[string]any{"conditions": []any{
				map[string]any{"type": condition, "status": "True", "message": "said the job"},
			}}
		}
	}
}

// transcript runs an operation to its end, each hook ending with a condition, and returns steps and the message.
func transcript(t testing.TB, w *World, condition string) []string {
	t.Helper()
	var all []string
	for range 20 {
		steps, last := run(t, w)
		all = append(all, steps...)
		if last.Phase != "" {
			return append(all, string(last.Phase)+": "+last.Message)
		}
		if last.Operation == nil {
			return append(all, "nothing")
		}
		all = append(all, last.Wait)
		ends(w, condition)
	}
	t.Fatal("does not end", all)
	return nil
}

func TestHooks(t *testing.T) {
	const hook = "argocd.argoproj.io/hook: "
	for name, c := range map[string]struct {
		hooks     []string // names to annotations, separated by |
		condition string
		want      []string
	}{
		"phases": {
			[]string{"post|" + hook + "PostSync", "pre|" + hook + "PreSync", "fail|" + hook + "SyncFail"}, "Complete",
			[]string{
				"create Job/pre", "waiting for completion of hook batch/Job ns/pre", "create ConfigMap/a", "create Job/post",
				"waiting for completion of hook batch/Job ns/post", "release Job/pre, release Job/post",
				"Succeeded: successfully synced (all tasks run)",
			},
		},
		"a hook of the Sync phase runs beside the rest": {
			[]string{"mid|" + hook + "Sync"}, "Complete",
			[]string{
				"create ConfigMap/a, create Job/mid", "waiting for completion of hook batch/Job ns/mid", "release Job/mid",
				"Succeeded: successfully synced (all tasks run)",
			},
		},
		"waves of hooks": {
			[]string{
				`second|argocd.argoproj.io/hook: PreSync, argocd.argoproj.io/sync-wave: "2"`,
				`first|helm.sh/hook: pre-install, helm.sh/hook-weight: "-5"`,
			}, "Complete",
			[]string{
				"create Job/first", "waiting for completion of hook batch/Job ns/first", "create Job/second",
				"waiting for completion of hook batch/Job ns/second", "create ConfigMap/a",
				"release Job/first, release Job/second", "Succeeded: successfully synced (all tasks run)",
			},
		},
		"a failed hook stops the rest and runs SyncFail": {
			[]string{"pre|" + hook + "PreSync", "fail|" + hook + "SyncFail"}, "Failed",
			[]string{
				"create Job/pre", "waiting for completion of hook batch/Job ns/pre", "create Job/fail",
				"waiting for completion of hook batch/Job ns/fail", "release Job/pre, release Job/fail",
				"Failed: one or more objects failed to apply: Job pre: said the job",
			},
		},
		"deleted when it succeeded": {
			[]string{"pre|" + hook + `PreSync, argocd.argoproj.io/hook-delete-policy: "HookSucceeded, Nonsense"`}, "Complete",
			[]string{
				"create Job/pre", "waiting for completion of hook batch/Job ns/pre", "create ConfigMap/a", "delete Job/pre",
				"Succeeded: successfully synced (all tasks run)",
			},
		},
		"kept when it failed": {
			[]string{"pre|" + hook + "PreSync, helm.sh/hook-delete-policy: hook-succeeded"}, "Failed",
			[]string{
				"create Job/pre", "waiting for completion of hook batch/Job ns/pre", "release Job/pre",
				"Failed: one or more objects failed to apply: Job pre: said the job",
			},
		},
		"deleted when it failed": {
			[]string{"pre|" + hook + "PreSync, argocd.argoproj.io/hook-delete-policy: HookFailed"}, "Failed",
			[]string{
				"create Job/pre", "waiting for completion of hook batch/Job ns/pre", "delete Job/pre",
				"Failed: one or more objects failed to apply: Job pre: said the job",
			},
		},
		"what is never run": {
			[]string{
				"skip|" + hook + "Skip", "unknown|" + hook + "Whenever", "test|helm.sh/hook: test",
				"suppressed|" + hook + "Skip, helm.sh/hook: pre-install",
			}, "Complete",
			[]string{"create ConfigMap/a", "Succeeded: successfully synced (all tasks run)"},
		},
		"one object at two phases": {
			[]string{"both|" + hook + `"PreSync, PostSync"`}, "Complete",
			[]string{
				"create Job/both", "waiting for completion of hook batch/Job ns/both", "create ConfigMap/a", "delete Job/both",
				"create Job/both", "waiting for completion of hook batch/Job ns/both", "release Job/both",
				"Succeeded: successfully synced (all tasks run)",
			},
		},
		"named by the operation": {
			[]string{"gen-|" + hook + "PreSync"}, "Complete",
			[]string{
				"create Job/gen-r1-presync-1795435200", "waiting for completion of hook batch/Job ns/gen-r1-presync-1795435200",
				"create ConfigMap/a", "release Job/gen-r1-presync-1795435200", "Succeeded: successfully synced (all tasks run)",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := world(auto(true, true), simple(t, "ConfigMap", "a", "0"))
			w.Policy.Retry = &v1alpha1.SyncRetryStrategy{Limit: new(int64(0))}
			for _, h := range c.hooks {
				name, annotations, _ := strings.Cut(h, "|")
				w.Hooks = append(w.Hooks, job(t, name, annotations))
			}
			if d := cmp.Diff(c.want, transcript(t, &w, c.condition)); d != "" {
				t.Error(d)
			}
			if p := Decide(w); c.condition == "Complete" && (!p.Synced || p.Operation != nil) {
				t.Errorf("not at rest: %+v", p)
			}
		})
	}
}

// A second sync makes a hook again, after the first one's was deleted.
func TestAHookIsMadeAgain(t *testing.T) {
	w := world(auto(true, true), simple(t, "ConfigMap", "a", "0"))
	w.Hooks = []*track.Object{job(t, "pre", "argocd.argoproj.io/hook: PreSync")}
	transcript(t, &w, "Complete")
	w.Target.Revision, w.Desired = "r2", []*track.Object{simple(t, "ConfigMap", "b", "0")}
	w.Now = w.Now.Add(1e9)
	want := []string{
		"delete Job/pre", "create Job/pre", "waiting for completion of hook batch/Job ns/pre", "prune ConfigMap/a",
		"create ConfigMap/b", "release Job/pre", "Succeeded: successfully synced (all tasks run)",
	}
	if d := cmp.Diff(want, transcript(t, &w, "Complete")); d != "" {
		t.Error(d)
	}
}

// Wherever the process dies, before or after an effect, each hook runs once.
func TestHooksRunOnceWhereverItStops(t *testing.T) {
	for crash := range 12 {
		for _, after := range []bool{false, true} {
			w := world(auto(true, true), simple(t, "ConfigMap", "a", "0"), simple(t, "ConfigMap", "b", "1"))
			w.Hooks = []*track.Object{
				job(
					t,
					"pre",
					"argocd.argoproj.io/hook: PreSync, argocd.argoproj.io/hook-delete-policy: HookSucceeded",
				),
				job(t, "gen-", "argocd.argoproj.io/hook: PostSync"),
			}
			var written *v1alpha1.OperationState // what the API server has
			made := map[string]int{}
			steps := 0
			for range 200 {
				p := Decide(w)
				if p.Begins {
					w.State, w.Refused = Begin(w, p), nil
				}
				merge(&w, p.Results)
				if len(p.DryRun) > 0 {
					w.Refused = map[track.Key]string{}
					continue
				}
				if len(p.Step) == 0 {
					if p.Phase == "" && len(p.Results) > 0 {
						continue
					}
					if p.Phase != "" {
						break
					}
					written = w.State.DeepCopy()
					ends(&w, "Complete")
					continue
				}
				if p.Durable {
					written = w.State.DeepCopy()
				}
				dies := steps == crash
				steps++
				if dies && !after {
					w.State, w.Refused = written.DeepCopy(), nil
					w.Now = w.Now.Add(5e9)
					continue
				}
				for _, task := range p.Step {
					if task.Hook && task.Action == Create {
						made[task.Key.Name]++
					}
				}
				perform(&w, p.Step)
				if dies {
					w.State, w.Refused = written.DeepCopy(), nil
					w.Now = w.Now.Add(5e9)
				}
			}
			if w.State == nil || len(made) != 2 {
				t.Fatalf("crash at step %d: made %v", crash, made)
			}
			for name, n := range made {
				if n != 1 {
					t.Errorf("crash at step %d, after the effect %v: %s was made %d times", crash, after, name, n)
				}
			}
		}
	}
}

func TestTerminate(t *testing.T) {
	w := world(auto(true, true), simple(t, "ConfigMap", "a", "0"))
	w.Hooks = []*track.Object{job(t, "pre", "argocd.argoproj.io/hook: PreSync")}
	run(t, &w)
	w.State.Phase = v1alpha1.OperationTerminating
	want := []string{"delete Job/pre", "Failed: operation terminated"}
	if d := cmp.Diff(want, transcript(t, &w, "Complete")); d != "" {
		t.Error(d)
	}
	if w.State.Phase != v1alpha1.OperationFailed {
		t.Errorf("it goes on: %+v", w.State)
	}
}

// A failed operation stays running between its tries, as other tools read it.
func TestRetry(t *testing.T) {
	w := world(auto(true, true), simple(t, "ConfigMap", "a", "0"), simple(t, "ConfigMap", "b", "0"))
	w.Policy.Retry = &v1alpha1.SyncRetryStrategy{Limit: new(int64(1))}
	refuse := func() (p Plan) {
		for range 3 {
			p = Decide(w)
			if p.Begins {
				w.State, w.Refused = Begin(w, p), nil
			}
			merge(&w, p.Results)
			if len(p.DryRun) > 0 {
				w.Refused = map[track.Key]string{p.DryRun[1].Key: "no such thing"}
			}
			if p.Phase != "" {
				w.State = End(w, p, w.Now)
				return p
			}
		}
		return p
	}
	refuse()
	if s := w.State; s.Phase != v1alpha1.OperationRunning || s.FinishedAt == nil || s.RetryCount != 1 ||
		!strings.Contains(s.Message, "Retrying attempt #1 at 2026-11-23T12:00:05Z") {
		t.Fatalf("%+v", s)
	}
	if p := Decide(w); p.Operation != nil || p.Wake != w.State.FinishedAt.Add(retryFirst) {
		t.Errorf("it does not wait: %+v", p)
	}
	later := w
	later.Target.Revision = "r2"
	if p := Decide(later); p.Ends == "" || !p.Begins || p.Retry != 0 {
		t.Errorf("a newer commit waits for the retries of an older one: %+v", p)
	}
	later.Pinned = true
	if p := Decide(later); p.Begins {
		t.Errorf("it was to wait: %+v", p)
	}
	w.Now = w.Now.Add(retryFirst)
	if p := refuse(); !p.Phase.Completed() || w.State.Phase != v1alpha1.OperationFailed || w.State.RetryCount != 1 {
		t.Errorf("%+v", w.State)
	}
	if p := Decide(w); p.Operation != nil || p.Problem == "" {
		t.Errorf("after all retries: %+v", p)
	}
}

// No object is written before all were judged, and what the project denies is not even judged.
func TestNothingIsHalfApplied(t *testing.T) {
	w := world(auto(true, true), simple(t, "ConfigMap", "a", "0"), simple(t, "Secret", "b", "1"))
	p := Decide(w)
	if len(p.Step) > 0 || len(p.DryRun) != 2 {
		t.Fatalf("%+v", p)
	}
	w.Deny = func(o *track.Object) string {
		if o.GetKind() == "Secret" {
			return "kind Secret is not permitted in project p"
		}
		return ""
	}
	p = Decide(w)
	if p.Phase != v1alpha1.OperationFailed || len(p.Step) > 0 || !strings.Contains(p.Message, "project p") ||
		!slices.ContainsFunc(p.Results, func(r v1alpha1.ResourceResult) bool { return r.Kind == "Secret" }) {
		t.Errorf("%+v", p)
	}
}

// Whether a hook has a whole name does not matter to the project, and a hook replaces nothing that is not its own.
func TestHooksAreDenied(t *testing.T) {
	for name, c := range map[string]struct {
		hook string
		live *track.Object
		want string
	}{
		"a kind, with a name":                 {"pre", nil, "Job is forbidden"},
		"a kind, with the beginning of one":   {"gen-", nil, "Job is forbidden"},
		"the place of somebody else's object": {"pre", job(t, "pre", "a: b"), "no hook of this application"},
	} {
		w := world(auto(true, true), simple(t, "ConfigMap", "a", "0"))
		w.Policy.Retry = &v1alpha1.SyncRetryStrategy{Limit: new(int64(0))}
		w.Hooks = []*track.Object{job(t, c.hook, "argocd.argoproj.io/hook: PreSync")}
		if c.live != nil {
			w.Live[track.KeyOf(c.live)] = c.live
		} else {
			w.Deny = func(o *track.Object) string {
				if o.GetKind() == "Job" {
					return "Job is forbidden"
				}
				return ""
			}
		}
		steps, last := run(t, &w)
		failed := last.Phase == v1alpha1.OperationFailed && strings.Contains(last.Message, c.want)
		if len(steps) > 0 || !failed {
			t.Errorf("%s: %v %s %s", name, steps, last.Phase, last.Message)
		}
	}
}
