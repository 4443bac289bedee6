package analysis

import (
	"time"

	"github.com/argosy-mesh/argosy/libs/core/span"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// Plan is what a run needs next.
type Plan struct {
	// Start are the metrics to measure now.
	Start []v1alpha1.Metric
	// Resume are the metrics whose measurement has begun and is to be looked at again.
	Resume []v1alpha1.Metric
	// Look are the metrics whose measurement is a Job at work. Its state is in the cache, so that it costs nothing to
	// look at whenever something happened to the run or the Job.
	Look []v1alpha1.Metric
	// Stop are the metrics whose measurement has begun and is to be ended, since the run ends.
	Stop []v1alpha1.Metric
	// Next is when to look again; zero when the run is complete or something is due.
	Next time.Time
	// Delete says that the run was kept for long enough.
	Delete bool
}

// Due reports whether there is something to do now, whatever happened.
func (p Plan) Due() bool { return len(p.Start)+len(p.Resume)+len(p.Stop) > 0 }

// PlanRun says what to measure now. A complete run has nothing to measure; it only waits to be deleted.
func PlanRun(run *v1alpha1.AnalysisRun, now time.Time) Plan {
	if run.Status.Phase.Completed() {
		return kept(run, now)
	}
	if validate(run.Spec) != nil {
		return Plan{}
	}
	var p Plan
	ending, known := terminating(run.Spec, run.Status), plainValues(run.Spec.Args)
	for _, m := range run.Spec.Metrics {
		unfinished := Unfinished(run, m.Name)
		switch {
		case unfinished != nil && ending:
			p.Stop = append(p.Stop, m)
		case unfinished != nil && unfinished.ResumeAt == nil:
			p.Resume = append(p.Resume, m)
		case unfinished != nil:
			if m.Provider.Job != nil && now.Before(unfinished.ResumeAt.Time) {
				p.Look = append(p.Look, m)
			}
			p.at(&p.Resume, m, unfinished.ResumeAt.Time, now)
		case ending:
		default:
			if at, open := nextMeasurement(run, m, known); open {
				p.at(&p.Start, m, at, now)
			}
		}
	}
	return p
}

// at adds a metric to what is due, or waits for its time.
func (p *Plan) at(due *[]v1alpha1.Metric, m v1alpha1.Metric, at, now time.Time) {
	if !now.Before(at) {
		*due = append(*due, m)
		return
	}
	p.wait(at)
}

func (p *Plan) wait(until time.Time) {
	if p.Next.IsZero() || until.Before(p.Next) {
		p.Next = until
	}
}

// terminating reports whether a run ends: a person asked for it, or a metric that counts went wrong.
func terminating(spec v1alpha1.AnalysisRunSpec, st v1alpha1.AnalysisRunStatus) bool {
	for _, r := range st.MetricResults {
		if !r.DryRun && r.Phase.Completed() && r.Phase != v1alpha1.AnalysisSuccessful {
			return true
		}
	}
	return spec.Terminate
}

// Unfinished is the measurement of a metric that has begun and not ended; nil when there is none.
func Unfinished(run *v1alpha1.AnalysisRun, name string) *v1alpha1.Measurement {
	r := find(run.Status.MetricResults, name)
	if r == nil || len(r.Measurements) == 0 || r.Phase.Completed() {
		return nil
	}
	if last := &r.Measurements[len(r.Measurements)-1]; last.FinishedAt == nil {
		return last
	}
	return nil
}

// kept applies the time to live of a complete run.
func kept(run *v1alpha1.AnalysisRun, now time.Time) Plan {
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
	at := done.Add(span.Seconds(*seconds))
	return Plan{Next: at, Delete: !now.Before(at)}
}

// nextMeasurement is when a metric wants to be measured next; not open when it is complete.
func nextMeasurement(run *v1alpha1.AnalysisRun, m v1alpha1.Metric, known values) (time.Time, bool) {
	b, err := boundsOf(m, known)
	if err != nil {
		return time.Time{}, false
	}
	result := find(run.Status.MetricResults, m.Name)
	if result == nil || len(result.Measurements) == 0 {
		start := run.Status.StartedAt
		if start == nil {
			// The clock of a delay starts with the run, which has not begun yet.
			return time.Time{}, b.delay == 0
		}
		return start.Add(b.delay), true
	}
	if result.Phase.Completed() {
		return time.Time{}, false
	}
	last := result.Measurements[len(result.Measurements)-1]
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
