package analysis

import (
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Plan is what a run needs next.
type Plan struct {
	// Due are the metrics to measure now.
	Due []v1alpha1.Metric
	// Next is when to look again; zero when the run is complete or something is due.
	Next time.Time
	// Delete says that the run was kept for long enough.
	Delete bool
}

// PlanRun says what to measure now. A complete run has nothing to measure; it only waits to be deleted.
func PlanRun(run *v1alpha1.AnalysisRun, now time.Time) Plan {
	if run.Status.Phase.Completed() {
		return retention(run, now)
	}
	if run.Spec.Terminate || validate(run.Spec) != nil {
		return Plan{}
	}
	var p Plan
	for _, m := range run.Spec.Metrics {
		at, open := nextMeasurement(run, m)
		switch {
		case !open:
		case !now.Before(at):
			p.Due = append(p.Due, m)
		case p.Next.IsZero() || at.Before(p.Next):
			p.Next = at
		}
	}
	return p
}

// retention applies the time to live of a complete run.
func retention(run *v1alpha1.AnalysisRun, now time.Time) Plan {
	ttl, done := run.Spec.TTLStrategy, run.Status.CompletedAt
	if ttl == nil || done == nil {
		return Plan{}
	}
	seconds := ttl.SecondsAfterCompletion
	if run.Status.Phase == v1alpha1.AnalysisSuccessful && ttl.SecondsAfterSuccess != nil {
		seconds = ttl.SecondsAfterSuccess
	}
	if run.Status.Phase == v1alpha1.AnalysisFailed && ttl.SecondsAfterFailure != nil {
		seconds = ttl.SecondsAfterFailure
	}
	if seconds == nil {
		return Plan{}
	}
	at := done.Add(time.Duration(*seconds) * time.Second)
	return Plan{Next: at, Delete: !now.Before(at)}
}

// nextMeasurement is when a metric wants to be measured next; not open when it is complete.
func nextMeasurement(run *v1alpha1.AnalysisRun, m v1alpha1.Metric) (time.Time, bool) {
	b, err := boundsOf(m)
	if err != nil {
		return time.Time{}, false
	}
	result := find(run.Status.MetricResults, m.Name)
	if result == nil || len(result.Measurements) == 0 {
		start := time.Time{}
		if run.Status.StartedAt != nil {
			start = run.Status.StartedAt.Time
		}
		if run.Status.StartedAt == nil && b.delay > 0 {
			// The clock of the delay starts with the run, which has not begun yet.
			return time.Time{}.Add(b.delay), run.Status.Phase != ""
		}
		return start.Add(b.delay), true
	}
	last := result.Measurements[len(result.Measurements)-1]
	if result.Phase.Completed() || last.FinishedAt == nil {
		return time.Time{}, false
	}
	if last.Phase == v1alpha1.AnalysisError {
		return last.FinishedAt.Add(errorPause), true
	}
	return last.FinishedAt.Add(b.interval), true
}

func find(results []v1alpha1.MetricResult, name string) *v1alpha1.MetricResult {
	for i := range results {
		if results[i].Name == name {
			return &results[i]
		}
	}
	return nil
}

// Assess adds new measurements, by metric name, to a run and returns the status that follows. Without measurements it
// begins the run, or ends it when someone asked for that.
func Assess(
	run *v1alpha1.AnalysisRun, fresh map[string]v1alpha1.Measurement, now time.Time,
) v1alpha1.AnalysisRunStatus {
	st := *run.Status.DeepCopy()
	if st.Phase.Completed() {
		return st
	}
	if st.StartedAt == nil {
		st.StartedAt = new(metav1.NewTime(now.Truncate(time.Second)))
	}
	if err := validate(run.Spec); err != nil {
		return complete(st, v1alpha1.AnalysisError, "Analysis spec invalid: "+err.Error(), now)
	}
	st.Phase = v1alpha1.AnalysisRunning
	dry, keep := rules(run.Spec)
	for _, m := range run.Spec.Metrics {
		measured, is := fresh[m.Name]
		if !is {
			continue
		}
		result := find(st.MetricResults, m.Name)
		if result == nil {
			st.MetricResults = append(
				st.MetricResults,
				v1alpha1.MetricResult{Name: m.Name, Phase: v1alpha1.AnalysisRunning, DryRun: dry[m.Name]},
			)
			result = &st.MetricResults[len(st.MetricResults)-1]
		}
		if !result.Phase.Completed() {
			add(result, measured, keep[m.Name])
			b, _ := boundsOf(m)
			result.Phase, result.Message = verdict(b, *result)
		}
	}
	return conclude(run.Spec, st, now)
}

func rules(spec v1alpha1.AnalysisRunSpec) (dry map[string]bool, keep map[string]int32) {
	dry, keep = map[string]bool{}, map[string]int32{}
	for _, rule := range spec.DryRun {
		names, _ := matching(spec.Metrics, rule.MetricName)
		maps.Copy(dry, names)
	}
	for _, m := range spec.Metrics {
		keep[m.Name] = defaultRetention
	}
	for _, rule := range spec.MeasurementRetention {
		names, _ := matching(spec.Metrics, rule.MetricName)
		for name := range names {
			keep[name] = max(rule.Limit, 1)
		}
	}
	return dry, keep
}

// add counts one measurement. Errors do not count as taken.
func add(r *v1alpha1.MetricResult, m v1alpha1.Measurement, keep int32) {
	r.Measurements = append(r.Measurements, m)
	r.Measurements = r.Measurements[max(0, len(r.Measurements)-int(keep)):]
	if m.Phase == v1alpha1.AnalysisError {
		r.Error++
		r.ConsecutiveError++
		r.ConsecutiveSuccess = 0
		return
	}
	r.Count++
	r.ConsecutiveError = 0
	switch m.Phase {
	case v1alpha1.AnalysisSuccessful:
		r.Successful++
		r.ConsecutiveSuccess++
	case v1alpha1.AnalysisFailed:
		r.Failed++
		r.ConsecutiveSuccess = 0
	default:
		r.Inconclusive++
		r.ConsecutiveSuccess = 0
	}
}

// verdict is the phase of a metric after a measurement, with the reason when it is not good.
func verdict(b bounds, r v1alpha1.MetricResult) (v1alpha1.AnalysisPhase, string) {
	limited := func(what string, n int32, limit string, most int32) string {
		return fmt.Sprintf("%s (%d) > %s (%d)", what, n, limit, most)
	}
	switch {
	case r.ConsecutiveError > b.consecutiveError:
		message := limited("consecutiveErrors", r.ConsecutiveError, "consecutiveErrorLimit", b.consecutiveError)
		if last := r.Measurements[len(r.Measurements)-1].Message; last != "" {
			message += `: "Error Message: ` + last + `"`
		}
		return v1alpha1.AnalysisError, message
	case b.inconclusive >= 0 && r.Inconclusive > b.inconclusive:
		return v1alpha1.AnalysisInconclusive, limited(
			"inconclusive", r.Inconclusive, "inconclusiveLimit", b.inconclusive,
		)
	case b.failure >= 0 && r.Failed > b.failure:
		return v1alpha1.AnalysisFailed, limited("failed", r.Failed, "failureLimit", b.failure)
	case b.consecutiveSuccess > 0 && r.ConsecutiveSuccess >= b.consecutiveSuccess:
		return v1alpha1.AnalysisSuccessful, ""
	case b.count == 0 || r.Count < b.count:
		return v1alpha1.AnalysisRunning, ""
	case b.consecutiveSuccess > 0 && b.failure >= 0:
		return v1alpha1.AnalysisInconclusive, "count was reached before either limit"
	case b.consecutiveSuccess > 0:
		return v1alpha1.AnalysisFailed, "count was reached before consecutiveSuccessLimit (" + strconv.Itoa(
			int(b.consecutiveSuccess),
		) + ")"
	default:
		return v1alpha1.AnalysisSuccessful, ""
	}
}

// severity orders verdicts; the worst one is that of the run.
var severity = map[v1alpha1.AnalysisPhase]int{
	v1alpha1.AnalysisSuccessful: 1, v1alpha1.AnalysisInconclusive: 2, v1alpha1.AnalysisError: 3,
	v1alpha1.AnalysisFailed: 4,
}

// conclude ends a run when all metrics are complete, when one that counts went wrong, or when someone asked for it.
func conclude(spec v1alpha1.AnalysisRunSpec, st v1alpha1.AnalysisRunStatus, now time.Time) v1alpha1.AnalysisRunStatus {
	worst, message, open := v1alpha1.AnalysisSuccessful, "", len(st.MetricResults) < len(spec.Metrics)
	for _, r := range st.MetricResults {
		switch {
		case !r.Phase.Completed():
			open = true
		case !r.DryRun && severity[r.Phase] > severity[worst]:
			worst = r.Phase
			message = fmt.Sprintf("Metric %q assessed %s due to %s", r.Name, r.Phase, r.Message)
		}
	}
	bad := worst != v1alpha1.AnalysisSuccessful
	if open && !bad && !spec.Terminate {
		summarise(&st)
		return st
	}
	for i := range st.MetricResults {
		if r := &st.MetricResults[i]; !r.Phase.Completed() {
			r.Phase, r.Message = v1alpha1.AnalysisSuccessful, "Metric Terminated"
		}
	}
	if spec.Terminate && !bad && open {
		message = "Run Terminated"
	}
	return complete(st, worst, message, now)
}

func complete(
	st v1alpha1.AnalysisRunStatus, phase v1alpha1.AnalysisPhase, message string, now time.Time,
) v1alpha1.AnalysisRunStatus {
	st.Phase, st.Message = phase, message
	st.CompletedAt = new(metav1.NewTime(now.Truncate(time.Second)))
	summarise(&st)
	return st
}

// summarise counts metrics by outcome.
func summarise(st *v1alpha1.AnalysisRunStatus) {
	var counted, dry v1alpha1.RunSummary
	for _, r := range st.MetricResults {
		s := &counted
		if r.DryRun {
			s = &dry
		}
		s.Count++
		switch r.Phase {
		case v1alpha1.AnalysisSuccessful:
			s.Successful++
		case v1alpha1.AnalysisFailed:
			s.Failed++
		case v1alpha1.AnalysisInconclusive:
			s.Inconclusive++
		case v1alpha1.AnalysisError:
			s.Error++
		}
	}
	st.RunSummary, st.DryRunSummary = counted, nil
	if dry.Count > 0 {
		st.DryRunSummary = &dry
	}
}
