package operation

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/health"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// deletes plays a stage of a deletion to its end. Between two decisions the Jobs that run end with a condition.
func deletes(t testing.TB, w World, stage Stage, condition string) []string {
	t.Helper()
	var all []string
	for range 20 {
		d := DecideDeletion(w, stage)
		if again := DecideDeletion(w, stage); !cmp.Equal(d, again) {
			t.Fatalf("two decisions about one world differ: %s", cmp.Diff(d, again))
		}
		var step []string
		for _, one := range d.Step {
			step = append(step, fmt.Sprintf("%s %s/%s", one.Action, one.Key.Kind, one.Key.Name))
			switch one.Action {
			case Create:
				o := one.Desired.DeepCopy()
				o.SetAnnotations(map[string]string{
					OperationAnnotation:      HookID(w.Instance, w.State, stage.Phase),
					track.TrackingAnnotation: track.TrackingID(w.Instance, one.Key, w.Destination),
				})
				o.SetFinalizers([]string{HookFinalizer})
				w.Live[one.Key] = o
			case Release:
				w.Live[one.Key].SetFinalizers(nil)
			default:
				delete(w.Live, one.Key)
			}
		}
		if len(step) > 0 {
			all = append(all, strings.Join(step, ", "))
			continue
		}
		if d.Failed != "" || d.Done {
			return append(all, strings.TrimPrefix(d.Failed+map[bool]string{true: "done"}[d.Done], " "))
		}
		all = append(all, d.Wait)
		ends(&w, condition)
	}
	t.Fatal("does not end", all)
	return nil
}

func TestHooksOfADeletion(t *testing.T) {
	const hook = "argocd.argoproj.io/hook: "
	run, cleanup := Stage{Phase: PreDelete}, Stage{Phase: PreDelete, Cleanup: true}
	for name, c := range map[string]struct {
		hooks     []string
		stages    []Stage
		condition string
		live      bool // of an earlier time
		deny      string
		want      []string
	}{
		"one, kept": {
			hooks: []string{"save|" + hook + "PreDelete"}, stages: []Stage{run, cleanup}, condition: "Complete",
			want: []string{
				"create Job/save", "waiting for completion of hook batch/Job ns/save", "done", "release Job/save", "done",
			},
		},
		"one, taken away": {
			hooks: []string{
				"save|" + hook + "PreDelete, argocd.argoproj.io/hook-delete-policy: HookSucceeded",
			},
			stages: []Stage{run, cleanup}, condition: "Complete",
			want: []string{
				"create Job/save", "waiting for completion of hook batch/Job ns/save", "done", "delete Job/save", "done",
			},
		},
		"of Helm, and others that are no concern": {
			hooks: []string{
				"save|helm.sh/hook: pre-delete", "post|" + hook + "PostDelete", "sync|" + hook + "Sync",
			},
			stages: []Stage{run, cleanup, {Phase: PostDelete}}, condition: "Complete",
			want: []string{
				"create Job/save", "waiting for completion of hook batch/Job ns/save", "done", "release Job/save", "done",
				"create Job/post", "waiting for completion of hook batch/Job ns/post", "done",
			},
		},
		"waves": {
			hooks: []string{
				"b|" + hook + "PreDelete, argocd.argoproj.io/sync-wave: '1'", "a|" + hook + "PreDelete",
			},
			stages: []Stage{run}, condition: "Complete",
			want: []string{
				"create Job/a", "waiting for completion of hook batch/Job ns/a", "create Job/b",
				"waiting for completion of hook batch/Job ns/b", "done",
			},
		},
		"one that fails keeps the application": {
			hooks: []string{"save|" + hook + "PreDelete"}, stages: []Stage{run}, condition: "Failed",
			want: []string{
				"create Job/save", "waiting for completion of hook batch/Job ns/save",
				"hook batch/Job ns/save failed: said the job",
			},
		},
		"one of an earlier time is made anew": {
			hooks: []string{"save|" + hook + "PreDelete"}, stages: []Stage{run}, condition: "Complete", live: true,
			want: []string{
				"delete Job/save", "create Job/save", "waiting for completion of hook batch/Job ns/save", "done",
			},
		},
		"one that the project forbids": {
			hooks: []string{"save|" + hook + "PreDelete"}, stages: []Stage{run}, deny: "no Jobs here",
			want: []string{"hook batch/Job ns/save is not permitted: no Jobs here"},
		},
		"the beginning of a name": {
			hooks: []string{"save-|" + hook + "PreDelete"}, stages: []Stage{run}, condition: "Complete",
			want: []string{
				"create Job/save-abcdef0-predelete-1000",
				"waiting for completion of hook batch/Job ns/save-abcdef0-predelete-1000", "done",
			},
		},
		"none": {stages: []Stage{run, cleanup}, want: []string{"done", "done"}},
	} {
		t.Run(name, func(t *testing.T) {
			began := metav1.NewTime(time.Unix(1000, 0))
			w := World{
				Instance: "app", Destination: "ns", Live: map[track.Key]*track.Object{},
				Target: Target{Revision: "abcdef0123456789"},
				State:  &v1alpha1.OperationState{StartedAt: &began},
				Assess: health.Assess,
			}
			if c.deny != "" {
				w.Deny = func(*track.Object) string { return c.deny }
			}
			for _, text := range c.hooks {
				name, annotations, _ := strings.Cut(text, "|")
				o := job(t, name, annotations)
				w.Hooks = append(w.Hooks, o)
				if c.live {
					former := o.DeepCopy()
					former.SetAnnotations(map[string]string{
						track.TrackingAnnotation: track.TrackingID("app", track.KeyOf(o), "ns"),
					})
					w.Live[track.KeyOf(o)] = former
				}
			}
			var got []string
			for _, stage := range c.stages {
				got = append(got, deletes(t, w, stage, c.condition)...)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhatStaysAndWhatIsApproved(t *testing.T) {
	const options = "argocd.argoproj.io/sync-options: "
	deleted := time.Unix(1000, 0)
	for name, c := range map[string]struct {
		object   *track.Object
		policy   []string
		approved time.Time
		stays    bool
		waits    bool
	}{
		"plain":                       {object: job(t, "a", "")},
		"kept by its option":          {object: job(t, "a", options+"Delete=false"), stays: true},
		"kept by the application's":   {object: job(t, "a", ""), policy: []string{"Delete=false"}, stays: true},
		"its own option comes first":  {object: job(t, "a", options+"Delete=true"), policy: []string{"Delete=false"}},
		"kept by Helm":                {object: job(t, "a", "helm.sh/resource-policy: keep"), stays: true},
		"to be approved":              {object: job(t, "a", options+"Delete=confirm"), waits: true},
		"by the application's option": {object: job(t, "a", ""), policy: []string{"Delete=confirm"}, waits: true},
		"approved":                    {object: job(t, "a", options+"Delete=confirm"), approved: deleted.Add(time.Second)},
		"approved at once":            {object: job(t, "a", options+"Delete=confirm"), approved: deleted},
		"approved before, for something else": {
			object: job(t, "a", options+"Delete=confirm"), approved: deleted.Add(-time.Second), waits: true,
		},
	} {
		w := World{Policy: v1alpha1.SyncPolicy{SyncOptions: c.policy}, Approved: c.approved}
		if got := w.Stays(c.object); got != c.stays {
			t.Errorf("%s: stays %v", name, got)
		}
		if got := w.Unapproved([]*track.Object{c.object}, deleted); (len(got) > 0) != c.waits {
			t.Errorf("%s: waits for %v", name, got)
		}
	}
}
