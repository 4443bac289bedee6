package analysis

import (
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

var t0 = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

// metric reads "count=3 failureLimit=1 interval=10s".
func metric(name, text string) v1alpha1.Metric {
	m := v1alpha1.Metric{Name: name}
	for part := range strings.FieldsSeq(text) {
		key, value, _ := strings.Cut(part, "=")
		v := intstr.Parse(value)
		switch key {
		case "count":
			m.Count = &v
		case "failureLimit":
			m.FailureLimit = &v
		case "inconclusiveLimit":
			m.InconclusiveLimit = &v
		case "consecutiveErrorLimit":
			m.ConsecutiveErrorLimit = &v
		case "consecutiveSuccessLimit":
			m.ConsecutiveSuccessLimit = &v
		case "interval":
			m.Interval = v1alpha1.DurationString(value)
		case "initialDelay":
			m.InitialDelay = v1alpha1.DurationString(value)
		default:
			panic("no such key: " + key)
		}
	}
	return m
}

var letters = map[rune]v1alpha1.AnalysisPhase{
	's': v1alpha1.AnalysisSuccessful, 'f': v1alpha1.AnalysisFailed, 'i': v1alpha1.AnalysisInconclusive,
	'e': v1alpha1.AnalysisError,
}

func measured(phase v1alpha1.AnalysisPhase, at time.Time) v1alpha1.Measurement {
	return v1alpha1.Measurement{Phase: phase, StartedAt: new(metav1.NewTime(at)), FinishedAt: new(metav1.NewTime(at))}
}

// TestVerdicts feeds one metric a word of measurements: s(uccess), f(ailure), i(nconclusive), e(rror).
func TestVerdicts(t *testing.T) {
	const every = " interval=10s"
	for _, c := range []struct {
		metric, word string
		want         v1alpha1.AnalysisPhase
	}{
		{"", "s", v1alpha1.AnalysisSuccessful},
		{"", "f", v1alpha1.AnalysisFailed},
		{"", "i", v1alpha1.AnalysisInconclusive},
		{"", "eeee", v1alpha1.AnalysisRunning},
		{"", "eeeee", v1alpha1.AnalysisError},
		{"", "eeees", v1alpha1.AnalysisSuccessful},
		{"count=3" + every, "ss", v1alpha1.AnalysisRunning},
		{"count=3" + every, "sss", v1alpha1.AnalysisSuccessful},
		{"count=3" + every, "sf", v1alpha1.AnalysisFailed},
		{"count=3 failureLimit=1" + every, "sfs", v1alpha1.AnalysisSuccessful},
		{"count=3 failureLimit=1" + every, "ff", v1alpha1.AnalysisFailed},
		{"count=3 failureLimit=-1" + every, "fff", v1alpha1.AnalysisSuccessful},
		{"count=0" + every, "ssss", v1alpha1.AnalysisRunning},
		{"count=3 inconclusiveLimit=1" + every, "isi", v1alpha1.AnalysisInconclusive},
		{"count=3 inconclusiveLimit=3 failureLimit=3" + every, "ifs", v1alpha1.AnalysisSuccessful},
		{"consecutiveErrorLimit=1 count=9" + every, "eses", v1alpha1.AnalysisRunning},
		{"consecutiveErrorLimit=1 count=9" + every, "ee", v1alpha1.AnalysisError},
		{"consecutiveSuccessLimit=2" + every, "sfs", v1alpha1.AnalysisRunning},
		{"consecutiveSuccessLimit=2" + every, "sfss", v1alpha1.AnalysisSuccessful},
		{"consecutiveSuccessLimit=2 count=3" + every, "sfs", v1alpha1.AnalysisFailed},
		{"consecutiveSuccessLimit=2 failureLimit=2 count=3" + every, "sfs", v1alpha1.AnalysisInconclusive},
		{interval(), "fff", v1alpha1.AnalysisRunning},
		{interval(), "ffff", v1alpha1.AnalysisFailed},
	} {
		run := &v1alpha1.AnalysisRun{Spec: v1alpha1.AnalysisRunSpec{Metrics: []v1alpha1.Metric{metric("m", c.metric)}}}
		for i, letter := range c.word {
			if run.Status.Phase.Completed() {
				t.Errorf("%q %q: complete after %d", c.metric, c.word, i)
				break
			}
			at := t0.Add(time.Duration(i) * 10 * time.Second)
			run.Status = Assess(run, map[string]v1alpha1.Measurement{"m": measured(letters[letter], at)}, at)
		}
		if run.Status.Phase != c.want {
			t.Errorf("%q %q: got %s (%s), want %s", c.metric, c.word, run.Status.Phase, run.Status.Message, c.want)
		}
	}
}

// interval is the metric of the guide.
func interval() string { return "interval=1m failureLimit=3" }

func TestTheWorstMetricDecides(t *testing.T) {
	run := &v1alpha1.AnalysisRun{Spec: v1alpha1.AnalysisRunSpec{
		Metrics: []v1alpha1.Metric{metric("good", "count=2 interval=10s"), metric("bad", ""), metric("dry", "")},
		DryRun:  []v1alpha1.DryRun{{MetricName: "d.y"}},
	}}
	run.Status = Assess(run, map[string]v1alpha1.Measurement{
		"good": measured(v1alpha1.AnalysisSuccessful, t0), "dry": measured(v1alpha1.AnalysisFailed, t0)}, t0)
	if run.Status.Phase != v1alpha1.AnalysisRunning {
		t.Fatalf("a dry run counted: %s", run.Status.Phase)
	}
	run.Status = Assess(run, map[string]v1alpha1.Measurement{"bad": measured(v1alpha1.AnalysisFailed, t0)}, t0)
	if run.Status.Phase != v1alpha1.AnalysisFailed || run.Status.CompletedAt == nil {
		t.Fatalf("got %s", run.Status.Phase)
	}
	if want := `Metric "bad" assessed Failed due to failed (1) > failureLimit (0)`; run.Status.Message != want {
		t.Errorf("message %q", run.Status.Message)
	}
	if got := find(run.Status.MetricResults, "good"); got.Message != "Metric Terminated" {
		t.Errorf("the open metric: %+v", got)
	}
	want := v1alpha1.RunSummary{Count: 2, Successful: 1, Failed: 1}
	if diff := cmp.Diff(want, run.Status.RunSummary); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(&v1alpha1.RunSummary{Count: 1, Failed: 1}, run.Status.DryRunSummary); diff != "" {
		t.Error(diff)
	}
}

func TestPlan(t *testing.T) {
	run := &v1alpha1.AnalysisRun{Spec: v1alpha1.AnalysisRunSpec{
		Metrics: []v1alpha1.Metric{metric("now", "interval=30s count=5"), metric("later", "initialDelay=1m")}}}
	run.Status = Assess(run, nil, t0)
	if run.Status.Phase != v1alpha1.AnalysisRunning || run.Status.StartedAt == nil {
		t.Fatalf("not begun: %+v", run.Status)
	}
	p := PlanRun(run, t0)
	if len(p.Due) != 1 || p.Due[0].Name != "now" || !p.Next.Equal(t0.Add(time.Minute)) {
		t.Fatalf("at first: %+v", p)
	}
	run.Status = Assess(run, map[string]v1alpha1.Measurement{"now": measured(v1alpha1.AnalysisError, t0)}, t0)
	if p := PlanRun(run, t0); len(p.Due) != 0 || !p.Next.Equal(t0.Add(errorPause)) {
		t.Fatalf("after an error: %+v", p)
	}
	run.Status = Assess(run, map[string]v1alpha1.Measurement{"now": measured(v1alpha1.AnalysisSuccessful, t0)}, t0)
	if p := PlanRun(run, t0); len(p.Due) != 0 || !p.Next.Equal(t0.Add(30*time.Second)) {
		t.Fatalf("after a success: %+v", p)
	}
	if p := PlanRun(run, t0.Add(time.Minute)); len(p.Due) != 2 {
		t.Fatalf("both are due: %+v", p)
	}
}

func TestTerminate(t *testing.T) {
	run := &v1alpha1.AnalysisRun{
		Spec: v1alpha1.AnalysisRunSpec{Terminate: true, Metrics: []v1alpha1.Metric{metric("m", "interval=1s")}},
	}
	if p := PlanRun(run, t0); len(p.Due) != 0 {
		t.Fatalf("measures on: %+v", p)
	}
	if st := Assess(run, nil, t0); st.Phase != v1alpha1.AnalysisSuccessful || st.Message != "Run Terminated" {
		t.Fatalf("got %s %q", st.Phase, st.Message)
	}
}

func TestInvalidRunIsAnError(t *testing.T) {
	for _, spec := range []v1alpha1.AnalysisRunSpec{
		{Metrics: []v1alpha1.Metric{metric("m", "interval=soon")}},
		{Metrics: []v1alpha1.Metric{metric("m", "count=2")}},
		{Metrics: []v1alpha1.Metric{metric("m", "")}, DryRun: []v1alpha1.DryRun{{MetricName: "*"}}},
		{
			Metrics:              []v1alpha1.Metric{metric("m", "")},
			MeasurementRetention: []v1alpha1.MeasurementRetention{{MetricName: "x"}},
		},
	} {
		run := &v1alpha1.AnalysisRun{Spec: spec}
		if st := Assess(run, nil, t0); st.Phase != v1alpha1.AnalysisError {
			t.Errorf("%+v: %s", spec, st.Phase)
		}
	}
}

func TestRetention(t *testing.T) {
	run := &v1alpha1.AnalysisRun{
		Spec: v1alpha1.AnalysisRunSpec{Metrics: []v1alpha1.Metric{metric("m", "interval=1s count=30")},
			TTLStrategy: &v1alpha1.AnalysisTTLStrategy{SecondsAfterCompletion: new(int32(60))}},
	}
	for i := range 30 {
		at := t0.Add(time.Duration(i) * time.Second)
		run.Status = Assess(run, map[string]v1alpha1.Measurement{"m": measured(v1alpha1.AnalysisSuccessful, at)}, at)
	}
	r := run.Status.MetricResults[0]
	if len(r.Measurements) != defaultRetention || r.Count != 30 {
		t.Errorf("kept %d of %d", len(r.Measurements), r.Count)
	}
	done := run.Status.CompletedAt.Time
	if p := PlanRun(run, done.Add(59*time.Second)); p.Delete || !p.Next.Equal(done.Add(time.Minute)) {
		t.Errorf("too early: %+v", p)
	}
	if p := PlanRun(run, done.Add(time.Minute)); !p.Delete {
		t.Errorf("too late: %+v", p)
	}
}
