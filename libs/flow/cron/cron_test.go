package cron

import (
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func at(d time.Duration) *metav1.Time {
	t := metav1.NewTime(noon.Add(d))
	return &t
}

// world is a CronWorkflow that runs each five minutes, ran last five minutes ago, and is due.
func world(edit func(*World)) World {
	w := World{Name: "c", Namespace: "ns", Created: noon.Add(-24 * time.Hour), Now: noon.Add(time.Second),
		Spec:   v1alpha1.CronWorkflowSpec{Schedules: []string{"*/5 * * * *"}},
		Status: v1alpha1.CronWorkflowStatus{LastScheduledTime: at(-5 * time.Minute)}}
	edit(&w)
	return w
}

func TestWhenACronWorkflowRuns(t *testing.T) {
	running := []Child{{Name: "c-1", Phase: v1alpha1.WorkflowRunning}}
	for name, c := range map[string]struct {
		edit func(*World)
		runs string // the time of the run, "" for none
	}{
		"due":            {func(*World) {}, "12:00"},
		"not yet":        {func(w *World) { w.Now = noon.Add(-time.Second) }, ""},
		"did run":        {func(w *World) { w.Status.LastScheduledTime = at(0) }, ""},
		"decided before": {func(w *World) { w.Seen = noon }, ""},
		"younger than its time": {func(w *World) {
			w.Status.LastScheduledTime, w.Created = nil,
				noon.Add(time.Millisecond)
		}, ""},
		"suspended": {func(w *World) { w.Spec.Suspend = true }, ""},
		"missed":    {func(w *World) { w.Now = noon.Add(time.Minute) }, ""},
		"missed, within deadline": {func(w *World) {
			w.Now, w.Spec.StartingDeadlineSeconds = noon.Add(time.Minute),
				new(int64(90))
		}, "12:00"},
		"missed, deadline is over": {func(w *World) {
			w.Now, w.Spec.StartingDeadlineSeconds = noon.Add(2*time.Minute),
				new(int64(90))
		}, ""},
		"many missed, one runs": {func(w *World) {
			w.Status.LastScheduledTime, w.Spec.StartingDeadlineSeconds = at(-8*time.Hour), new(int64(86400))
		}, "12:00"},
		"allow":  {func(w *World) { w.Children = running }, "12:00"},
		"forbid": {func(w *World) { w.Children, w.Spec.ConcurrencyPolicy = running, "Forbid" }, ""},
		"forbid, made just now": {func(w *World) {
			w.Spec.Schedules, w.Spec.ConcurrencyPolicy, w.Status.LastScheduledTime = []string{"@every 1s"}, "Forbid",
				at(0)
			w.Status.Active = []corev1.ObjectReference{{Name: RunName("c", noon)}}
		}, ""},
		"several schedules": {func(w *World) {
			w.Spec.Schedules = []string{"0 0 1 1 *", "59 11 * * *"}
			w.Now = noon.Add(-50 * time.Second)
		}, "11:59"},
		"of version 3": {func(w *World) { w.Spec.Schedules, w.Spec.Schedule = nil, "*/5 * * * *" }, "12:00"},
		"of both versions": {func(w *World) {
			w.Spec.Schedules, w.Spec.Schedule = []string{"0 0 1 1 *"},
				"*/5 * * * *"
		},
			"12:00"},
		"odd, of version 3": {func(w *World) { w.Spec.Schedule = "* *" }, ""},
		"a zone": {func(w *World) { w.Spec.Schedules, w.Spec.Timezone = []string{"0 13 * * *"}, "Europe/Paris" },
			"12:00"},
		"when holds": {func(w *World) { w.Spec.When = "{{cronworkflow.failed}} == 0" }, "12:00"},
		"when does not hold": {func(w *World) {
			w.Spec.When = "{{cronworkflow.labels.a.b/c}} == yes"
			w.Labels = map[string]string{"a.b/c": "no"}
		}, ""},
		"when asks the time": {func(w *World) {
			w.Spec.When = "{{= cronworkflow.lastScheduledTime == nil || (now() - cronworkflow.lastScheduledTime).Seconds() > 30 }}"
		}, "12:00"},
		"when is broken":  {func(w *World) { w.Spec.When = "{{cronworkflow.ghost}} == 1" }, ""},
		"no schedule":     {func(w *World) { w.Spec.Schedules = nil }, ""},
		"no such zone":    {func(w *World) { w.Spec.Timezone = "Mars/Olympus" }, ""},
		"an odd schedule": {func(w *World) { w.Spec.Schedules = []string{"* *"} }, ""},
		"stopped":         {func(w *World) { w.Status.Phase = "Stopped" }, ""},
		"stop strategy": {func(w *World) {
			w.Spec.StopStrategy = &v1alpha1.StopStrategy{Expression: "cronworkflow.failed >= 2"}
			w.Status.Failed = 2
		}, ""},
		"stop strategy, later": {
			func(w *World) { w.Spec.StopStrategy = &v1alpha1.StopStrategy{Expression: "failed >= 2"} },
			"12:00"},
		"stop strategy, bad": {func(w *World) { w.Spec.StopStrategy = &v1alpha1.StopStrategy{Expression: "failed >="} },
			""},
	} {
		d := Decide(world(c.edit))
		got := ""
		for _, due := range d.Submit {
			got += due.UTC().Format("15:04")
		}
		if got != c.runs {
			t.Errorf("%s: runs of %q, want %q", name, got, c.runs)
		}
	}
}

func TestReplaceEndsWhatRuns(t *testing.T) {
	d := Decide(world(func(w *World) {
		w.Spec.ConcurrencyPolicy = "Replace"
		w.Children = []Child{{Name: "c-1", Phase: v1alpha1.WorkflowRunning},
			{Name: "c-0", Phase: v1alpha1.WorkflowSucceeded}}
	}))
	if len(d.Terminate) != 1 || d.Terminate[0] != "c-1" || len(d.Submit) != 1 {
		t.Errorf("%+v", d)
	}
}

func TestADecisionThatWasWrittenDownIsTheLast(t *testing.T) {
	w := world(func(*World) {})
	first := Decide(w)
	w.Status = first.Status // a crash may lose Seen
	again := Decide(w)
	if len(first.Submit) != 1 || len(again.Submit) != 0 || !first.Wake.Equal(noon.Add(5*time.Minute)) ||
		len(again.Status.Active) != 1 {
		t.Errorf("%+v\n%+v", first, again)
	}
}

func TestRunsAreCountedAndClearedAway(t *testing.T) {
	child := func(name string, phase v1alpha1.WorkflowPhase, minute int) Child {
		return Child{Name: name, Phase: phase, Finished: noon.Add(time.Duration(minute) * time.Minute)}
	}
	w := world(func(w *World) {
		w.Now = noon.Add(-time.Minute)
		w.Children = []Child{child("s1", v1alpha1.WorkflowSucceeded, -9), child("s2", v1alpha1.WorkflowSucceeded, -8),
			child("f1", v1alpha1.WorkflowFailed, -7),
			child("e1", v1alpha1.WorkflowError, -6), child("r1", v1alpha1.WorkflowRunning, 0)}
		w.Status.Active = []corev1.ObjectReference{{Name: "s2"}, {Name: "e1"}, {Name: "r1"}, {Name: "ghost"}}
		w.Status.Succeeded = 4
		w.Spec.SuccessfulJobsHistoryLimit = new(int64(1))
	})
	d := Decide(w)
	if got := strings.Join(d.Delete, " "); got != "s1 f1" {
		t.Errorf("cleared away %q", got)
	}
	if s := d.Status; s.Succeeded != 5 || s.Failed != 1 || len(s.Active) != 1 || s.Active[0].Name != "r1" {
		t.Errorf("%+v", s)
	}
}

func TestErrorsAreConditionsUntilTheyAreGone(t *testing.T) {
	w := world(func(w *World) { w.Spec.Timezone = "Mars/Olympus" })
	d := Decide(w)
	if len(d.Status.Conditions) != 1 || d.Status.Conditions[0].Type != "SpecError" || !d.Wake.IsZero() {
		t.Errorf("%+v", d)
	}
	w.Status, w.Spec.Timezone = d.Status, ""
	if d = Decide(w); len(d.Status.Conditions) != 0 {
		t.Errorf("%+v", d.Status.Conditions)
	}
}

func TestTimesOfASpan(t *testing.T) {
	spec := v1alpha1.CronWorkflowSpec{Schedules: []string{"0 * * * *"}}
	times, err := Between(spec, noon, noon.Add(2*time.Hour), 3)
	if err != nil || len(times) != 3 || !times[0].Equal(noon) {
		t.Errorf("%v %v", times, err)
	}
	if _, err := Between(spec, noon, noon.Add(3*time.Hour), 3); err == nil {
		t.Error("more than the limit is taken")
	}
}
