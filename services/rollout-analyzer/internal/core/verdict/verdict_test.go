package verdict

import (
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var start = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

func rollout() *v1alpha1.Rollout {
	return &v1alpha1.Rollout{
		ObjectMeta: metav1.ObjectMeta{Name: "shop", Namespace: "ns", Annotations: map[string]string{
			AnnotationAbortOn: "alerts/critical if result.data.status == \"firing\"\n\nchecks/failed",
			AnnotationPauseOn: "alerts/critical", AnnotationPromoteOn: "checks/passed",
		}},
		Status: v1alpha1.RolloutStatus{
			StableRS: "old", CurrentPodHash: "new",
			Duration: &v1alpha1.RolloutDuration{RolloutStartedAt: &metav1.Time{Time: start}},
		},
	}
}

func TestWhatAnEventDoes(t *testing.T) {
	alert := Event{
		ID:      "1",
		Subject: "events.ns.alerts.critical",
		Stored:  start.Add(time.Second),
		Data:    []byte(`{"status":"firing"}`),
	}
	for name, c := range map[string]struct {
		edit func(*v1alpha1.Rollout, *Event)
		want Act
	}{
		"the condition holds": {func(*v1alpha1.Rollout, *Event) {}, Abort},
		"it does not":         {func(_ *v1alpha1.Rollout, e *Event) { e.Data = []byte(`{"status":"resolved"}`) }, Pause},
		"without condition":   {func(_ *v1alpha1.Rollout, e *Event) { e.Subject = "events.ns.checks.failed" }, Abort},
		"promote":             {func(_ *v1alpha1.Rollout, e *Event) { e.Subject = "events.ns.checks.passed" }, Promote},
		"not asked for":       {func(_ *v1alpha1.Rollout, e *Event) { e.Subject = "events.ns.checks.other" }, ""},
		"of another namespace": {
			func(_ *v1alpha1.Rollout, e *Event) { e.Subject = "events.other.alerts.critical" }, "",
		},
		"before it began":        {func(_ *v1alpha1.Rollout, e *Event) { e.Stored = start.Add(-time.Second) }, ""},
		"nothing is in progress": {func(ro *v1alpha1.Rollout, _ *Event) { ro.Status.CurrentPodHash = "old" }, ""},
		"aborted already":        {func(ro *v1alpha1.Rollout, _ *Event) { ro.Status.Abort = true }, ""},
		"the cause of an abort without the abort": {func(ro *v1alpha1.Rollout, e *Event) {
			ro.Annotations[AnnotationCause] = "new " + Cause(*e)
		}, Abort},
		"the same event again": {func(ro *v1alpha1.Rollout, e *Event) {
			e.Subject = "events.ns.checks.passed"
			ro.Annotations[AnnotationCause] = "new " + Cause(*e)
		}, ""},
	} {
		ro, e := rollout(), alert
		c.edit(ro, &e)
		if got, err := Decide(ro, e, start); got != c.want || err != nil {
			t.Errorf("%s: %q %v, want %q", name, got, err, c.want)
		}
	}
	ro := rollout()
	ro.Annotations[AnnotationPauseOn] = ""
	alert.Data = []byte("no JSON")
	if act, err := Decide(ro, alert, start); act != "" || err == nil || !strings.Contains(err.Error(), "abort-on") {
		t.Errorf("%q %v", act, err)
	}
	if got := Cause(alert); got != "event 1 of alerts/critical" {
		t.Error(got)
	}
}

func TestWishesThatCannotBeRead(t *testing.T) {
	for text, want := range map[string]string{
		"alerts":                         "is not EVENTSOURCE/EVENT",
		"alerts/*":                       "is not EVENTSOURCE/EVENT",
		"/x":                             "is not EVENTSOURCE/EVENT",
		strings.Repeat("a/b\n", 33):      "more than 32 entries",
		"alerts/critical else something": "is not EVENTSOURCE/EVENT",
	} {
		if _, err := Wishes(
			"ns",
			map[string]string{AnnotationAbortOn: text},
		); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	got, err := Wishes("ns", map[string]string{AnnotationAbortOn: "broken\na/b if result.data > 1"})
	want := []Wish{{Act: Abort, Subject: "events.ns.a.b", Condition: "result.data > 1"}}
	if diff := cmp.Diff(want, got); diff != "" || err == nil {
		t.Error(diff, err)
	}
}

// FuzzWishes: whatever an annotation says, what is asked for is of the Rollout's own namespace.
func FuzzWishes(f *testing.F) {
	f.Add("a/b if result.data > 1")
	f.Add("../x/>\n*.*/y")
	f.Fuzz(func(t *testing.T, text string) {
		wishes, _ := Wishes("ns", map[string]string{AnnotationAbortOn: text})
		for _, w := range wishes {
			if !strings.HasPrefix(w.Subject, "events.ns.") || strings.ContainsAny(w.Subject, "*> ") ||
				strings.Count(w.Subject, ".") != 3 {
				t.Fatalf("%q", w.Subject)
			}
		}
	})
}
