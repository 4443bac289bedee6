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
	m := v1alpha1.Metric{Name: name, Provider: v1alpha1.MetricProvider{Web: &v1alpha1.WebMetric{}}}
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

func measured(phase v1alpha1.AnalysisPhase, at time.Time) Taken {
	return Taken{Measurement: v1alpha1.Measurement{
		Phase: phase, StartedAt: new(metav1.NewTime(at)), FinishedAt: new(metav1.NewTime(at)),
	}}
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
		{"consecutiveSuccessLimit=2" + every, "sf", v1alpha1.AnalysisFailed},
		{"consecutiveSuccessLimit=2" + every, "ss", v1alpha1.AnalysisSuccessful},
		{"consecutiveSuccessLimit=2 failureLimit=-1" + every, "sfs", v1alpha1.AnalysisRunning},
		{"consecutiveSuccessLimit=2 failureLimit=-1" + every, "sfss", v1alpha1.AnalysisSuccessful},
		{"consecutiveSuccessLimit=2 failureLimit=-1" + every, "sess", v1alpha1.AnalysisSuccessful},
		{"consecutiveSuccessLimit=2 failureLimit=-1 count=3" + every, "sfs", v1alpha1.AnalysisFailed},
		{"count=2 inconclusiveLimit=-1" + every, "ii", v1alpha1.AnalysisSuccessful},
		{"failureLimit=1 count=4" + every, "fsi", v1alpha1.AnalysisInconclusive},
		{"inconclusiveLimit=9 consecutiveErrorLimit=0 count=4" + every, "ie", v1alpha1.AnalysisError},
		{"consecutiveSuccessLimit=2 failureLimit=2 count=3" + every, "sfs", v1alpha1.AnalysisInconclusive},
		{interval(), "fff", v1alpha1.AnalysisRunning},
		{interval(), "ffff", v1alpha1.AnalysisFailed},
	} {
		run := &v1alpha1.AnalysisRun{
			Spec: v1alpha1.AnalysisRunSpec{Metrics: []v1alpha1.Metric{metric("m", c.metric)}},
		}
		for i, letter := range c.word {
			if run.Status.Phase.Completed() {
				t.Errorf("%q %q: complete after %d", c.metric, c.word, i)
				break
			}
			at := t0.Add(time.Duration(i) * 10 * time.Second)
			run.Status = Assess(run, map[string]Taken{"m": measured(letters[letter], at)}, at)
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
	run.Status = Assess(run, map[string]Taken{
		"good": measured(v1alpha1.AnalysisSuccessful, t0), "dry": measured(v1alpha1.AnalysisFailed, t0)}, t0)
	if run.Status.Phase != v1alpha1.AnalysisRunning {
		t.Fatalf("a dry run counted: %s", run.Status.Phase)
	}
	run.Status = Assess(run, map[string]Taken{"bad": measured(v1alpha1.AnalysisFailed, t0)}, t0)
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
	if len(p.Start) != 1 || p.Start[0].Name != "now" || !p.Next.Equal(t0.Add(time.Minute)) {
		t.Fatalf("at first: %+v", p)
	}
	run.Status = Assess(run, map[string]Taken{"now": measured(v1alpha1.AnalysisError, t0)}, t0)
	if p := PlanRun(run, t0); len(p.Start) != 0 || !p.Next.Equal(t0.Add(errorPause)) {
		t.Fatalf("after an error: %+v", p)
	}
	run.Status = Assess(run, map[string]Taken{"now": measured(v1alpha1.AnalysisSuccessful, t0)}, t0)
	if p := PlanRun(run, t0); len(p.Start) != 0 || !p.Next.Equal(t0.Add(30*time.Second)) {
		t.Fatalf("after a success: %+v", p)
	}
	if p := PlanRun(run, t0.Add(time.Minute)); len(p.Start) != 2 {
		t.Fatalf("both are due: %+v", p)
	}
}

func TestTerminate(t *testing.T) {
	run := &v1alpha1.AnalysisRun{
		Spec: v1alpha1.AnalysisRunSpec{Terminate: true, Metrics: []v1alpha1.Metric{metric("m", "interval=1s")}},
	}
	if p := PlanRun(run, t0); len(p.Start) != 0 {
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
		run.Status = Assess(run, map[string]Taken{"m": measured(v1alpha1.AnalysisSuccessful, at)}, at)
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

// begun is a measurement that goes on until resumeAt.
func begun(resumeAt time.Time) Taken {
	m := v1alpha1.Measurement{Phase: v1alpha1.AnalysisRunning, StartedAt: new(metav1.NewTime(t0))}
	if !resumeAt.IsZero() {
		m.ResumeAt = new(metav1.NewTime(resumeAt))
	}
	return Taken{Measurement: m, About: map[string]string{"by": "test"}}
}

func names(metrics []v1alpha1.Metric) string {
	var out []string
	for _, m := range metrics {
		out = append(out, m.Name)
	}
	return strings.Join(out, " ")
}

func TestLongMeasurementsAreResumed(t *testing.T) {
	run := &v1alpha1.AnalysisRun{Spec: v1alpha1.AnalysisRunSpec{Metrics: []v1alpha1.Metric{metric("long", "")}}}
	run.Status = Assess(run, nil, t0)
	run.Status = Assess(run, map[string]Taken{"long": begun(t0.Add(time.Minute))}, t0)
	if p := PlanRun(run, t0); p.Due() || !p.Next.Equal(t0.Add(time.Minute)) {
		t.Fatalf("at once: %+v", p)
	}
	if p := PlanRun(run, t0.Add(time.Minute)); names(p.Resume) != "long" || len(p.Start) != 0 {
		t.Fatalf("a minute later: %+v", p)
	}
	r := run.Status.MetricResults[0]
	if r.Count != 0 || r.Phase != v1alpha1.AnalysisRunning || r.Metadata["by"] != "test" {
		t.Fatalf("it counted: %+v", r)
	}
	run.Status = Assess(run, map[string]Taken{"long": begun(t0.Add(2 * time.Minute))}, t0)
	run.Status = Assess(run, map[string]Taken{"long": measured(v1alpha1.AnalysisSuccessful, t0)}, t0)
	r = run.Status.MetricResults[0]
	if run.Status.Phase != v1alpha1.AnalysisSuccessful || len(r.Measurements) != 1 || r.Count != 1 {
		t.Fatalf("at the end: %+v", run.Status)
	}
}

func TestJobsAreLookedAtWheneverSomethingHappens(t *testing.T) {
	m := metric("job", "")
	m.Provider = v1alpha1.MetricProvider{Job: &v1alpha1.JobMetric{}}
	run := &v1alpha1.AnalysisRun{Spec: v1alpha1.AnalysisRunSpec{Metrics: []v1alpha1.Metric{m}}}
	run.Status = Assess(run, map[string]Taken{"job": begun(t0.Add(time.Minute))}, t0)
	if p := PlanRun(run, t0); names(p.Look) != "job" || p.Due() || !p.Next.Equal(t0.Add(time.Minute)) {
		t.Fatalf("%+v", p)
	}
}

// A run that ends stops what is being measured before it says how it ended.
func TestWhatIsUnderwayIsStoppedFirst(t *testing.T) {
	for _, c := range []struct {
		name      string
		terminate bool
		bad       bool
		stopped   v1alpha1.AnalysisPhase
		want      v1alpha1.AnalysisPhase
		message   string
	}{
		{"terminated, inconclusive", true, false, v1alpha1.AnalysisInconclusive, v1alpha1.AnalysisInconclusive, "job"},
		{"terminated, well", true, false, v1alpha1.AnalysisSuccessful, v1alpha1.AnalysisSuccessful, "Run Terminated"},
		{"another failed", false, true, v1alpha1.AnalysisInconclusive, v1alpha1.AnalysisFailed, `"other"`},
	} {
		run := &v1alpha1.AnalysisRun{Spec: v1alpha1.AnalysisRunSpec{
			Metrics: []v1alpha1.Metric{metric("job", ""), metric("other", "interval=10s")},
		}}
		run.Status = Assess(run, map[string]Taken{"job": begun(time.Time{})}, t0)
		run.Spec.Terminate = c.terminate
		if c.bad {
			run.Status = Assess(run, map[string]Taken{"other": measured(v1alpha1.AnalysisFailed, t0)}, t0)
		}
		if run.Status.Phase != v1alpha1.AnalysisRunning {
			t.Fatalf("%s: it has ended while a Job is at work", c.name)
		}
		p := PlanRun(run, t0)
		if names(p.Stop) != "job" || len(p.Start)+len(p.Resume) != 0 {
			t.Fatalf("%s: %+v", c.name, p)
		}
		run.Status = Assess(run, map[string]Taken{"job": measured(c.stopped, t0)}, t0)
		if run.Status.Phase != c.want || !strings.Contains(run.Status.Message, c.message) {
			t.Errorf("%s: %s %q", c.name, run.Status.Phase, run.Status.Message)
		}
		if PlanRun(run, t0).Due() {
			t.Errorf("%s: more is due", c.name)
		}
	}
}

func TestLimitsMayBeArguments(t *testing.T) {
	m := metric("m", "")
	m.Count, m.FailureLimit = new(intstr.FromString("{{args.n}}")), new(intstr.FromString("{{ args.fail }}"))
	m.Interval, m.InitialDelay = "{{args.every}}", "{{args.delay}}"
	args := []v1alpha1.Argument{arg("n", "3"), arg("fail", "1"), arg("every", "20s"), arg("delay", "5s")}
	run := &v1alpha1.AnalysisRun{Spec: v1alpha1.AnalysisRunSpec{Metrics: []v1alpha1.Metric{m}, Args: args}}
	run.Status = Assess(run, nil, t0)
	if p := PlanRun(run, t0); p.Due() || !p.Next.Equal(t0.Add(5*time.Second)) {
		t.Fatalf("the delay: %+v", p)
	}
	run.Status = Assess(run, map[string]Taken{"m": measured(v1alpha1.AnalysisFailed, t0)}, t0)
	if p := PlanRun(run, t0); p.Due() || !p.Next.Equal(t0.Add(20*time.Second)) {
		t.Fatalf("the interval: %+v", p)
	}
	for range 2 {
		run.Status = Assess(run, map[string]Taken{"m": measured(v1alpha1.AnalysisSuccessful, t0)}, t0)
	}
	if run.Status.Phase != v1alpha1.AnalysisSuccessful {
		t.Fatalf("%+v", run.Status)
	}
	run = &v1alpha1.AnalysisRun{Spec: v1alpha1.AnalysisRunSpec{Metrics: []v1alpha1.Metric{m}, Args: args[1:]}}
	if st := Assess(run, nil, t0); st.Phase != v1alpha1.AnalysisError || !strings.Contains(st.Message, "args.n") {
		t.Errorf("an argument without value: %+v", st)
	}
}

// An object that is too large could never be written again.
func TestMeasurementsFitIntoAnObject(t *testing.T) {
	run := &v1alpha1.AnalysisRun{Spec: v1alpha1.AnalysisRunSpec{
		Metrics:              []v1alpha1.Metric{metric("a", "interval=1s"), metric("b", "interval=1s")},
		MeasurementRetention: []v1alpha1.MeasurementRetention{{MetricName: "a", Limit: 1 << 30}},
	}}
	for i := range 2 * maxRetention {
		taken := measured(v1alpha1.AnalysisSuccessful, t0.Add(time.Duration(i)*time.Second))
		taken.Value = strings.Repeat("x", 4096)
		run.Status = Assess(run, map[string]Taken{"a": taken, "b": measured(v1alpha1.AnalysisSuccessful, t0)}, t0)
	}
	total := 0
	for _, r := range run.Status.MetricResults {
		for _, m := range r.Measurements {
			total += size(m)
		}
	}
	a, b := run.Status.MetricResults[0], run.Status.MetricResults[1]
	if total > maxKept || len(a.Measurements) < 100 || len(b.Measurements) != defaultRetention || a.Count != 1000 {
		t.Errorf("%d bytes in %d and %d of %d", total, len(a.Measurements), len(b.Measurements), a.Count)
	}
}

func TestSummariesCountAllMetrics(t *testing.T) {
	run := &v1alpha1.AnalysisRun{Spec: v1alpha1.AnalysisRunSpec{
		Metrics: []v1alpha1.Metric{metric("counts", ""), metric("dry", ""), metric("later", "initialDelay=1h")},
		DryRun:  []v1alpha1.DryRun{{MetricName: "^dry$"}},
	}}
	run.Status = Assess(run, map[string]Taken{
		"counts": measured(v1alpha1.AnalysisSuccessful, t0), "dry": measured(v1alpha1.AnalysisFailed, t0),
	}, t0)
	want := v1alpha1.RunSummary{Count: 2, Successful: 1}
	if diff := cmp.Diff(want, run.Status.RunSummary); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(&v1alpha1.RunSummary{Count: 1, Failed: 1}, run.Status.DryRunSummary); diff != "" {
		t.Error(diff)
	}
}
