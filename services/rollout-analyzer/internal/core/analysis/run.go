package analysis

import (
	"fmt"
	"maps"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Taken is one measurement and what it leaves with its metric.
type Taken struct {
	v1alpha1.Measurement

	// About is added to the metadata of the metric's result.
	About map[string]string
}

// Assess adds new measurements, by metric name, to a run and returns the status that follows. A measurement without
// an end is one that goes on; the next of its metric takes its place. Without measurements Assess begins the run, or
// ends it when someone asked for that.
func Assess(run *v1alpha1.AnalysisRun, fresh map[string]Taken, now time.Time) v1alpha1.AnalysisRunStatus {
	st := *run.Status.DeepCopy()
	if st.Phase.Completed() {
		return st
	}
	if st.StartedAt == nil {
		st.StartedAt = new(metav1.NewTime(now.Truncate(time.Second)))
	}
	dry, keep := rules(run.Spec)
	if err := validate(run.Spec); err != nil {
		return complete(run.Spec, st, v1alpha1.AnalysisError, "Analysis spec invalid: "+err.Error(), now)
	}
	st.Phase = v1alpha1.AnalysisRunning
	known := plainValues(run.Spec.Args)
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
			b, _ := boundsOf(m, known)
			result.Phase, result.Message = verdict(b, *result)
		}
	}
	trim(st.MetricResults)
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
			keep[name] = Kept(rule.Limit)
		}
	}
	return dry, keep
}

// Kept is how many measurements are kept for a retention rule.
func Kept(limit int32) int32 { return min(max(limit, 1), maxRetention) }

// Retention is how many measurements of a metric are kept.
func Retention(spec v1alpha1.AnalysisRunSpec, metric string) int32 {
	_, keep := rules(spec)
	return keep[metric]
}

// add counts one measurement that has ended. Errors do not count as taken.
func add(r *v1alpha1.MetricResult, m Taken, keep int32) {
	if n := len(r.Measurements); n > 0 && r.Measurements[n-1].FinishedAt == nil {
		r.Measurements = r.Measurements[:n-1]
	}
	r.Measurements = append(r.Measurements, m.Measurement)
	r.Measurements = r.Measurements[max(0, len(r.Measurements)-int(keep)):]
	if len(m.About) > 0 {
		r.Metadata = maps.Clone(r.Metadata)
		if r.Metadata == nil {
			r.Metadata = map[string]string{}
		}
		maps.Copy(r.Metadata, m.About)
	}
	if m.FinishedAt == nil {
		return
	}
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

// maxKept bounds, in bytes, the measurements of a run: an object of etcd has at most 1.5 MB, and one that is too
// large could never be written again.
const maxKept = 512 << 10

// trim forgets the oldest measurements of whichever metric has most, until all fit.
func trim(results []v1alpha1.MetricResult) {
	sizes, total := make([]int, len(results)), 0
	for i, r := range results {
		for _, m := range r.Measurements {
			sizes[i] += size(m)
		}
		total += sizes[i]
	}
	for total > maxKept {
		largest := -1
		for i := range results {
			if len(results[i].Measurements) > 1 && (largest < 0 || sizes[i] > sizes[largest]) {
				largest = i
			}
		}
		if largest < 0 {
			return
		}
		oldest := size(results[largest].Measurements[0])
		sizes[largest] -= oldest
		total -= oldest
		results[largest].Measurements = results[largest].Measurements[1:]
	}
}

func size(m v1alpha1.Measurement) int {
	n := 128 + len(m.Value) + len(m.Message)
	for k, v := range m.Metadata {
		n += len(k) + len(v)
	}
	return n
}

// verdict is the phase of a metric after a measurement, with the reason when it is not good.
func verdict(b bounds, r v1alpha1.MetricResult) (v1alpha1.AnalysisPhase, string) {
	limited := func(what string, n int32, limit string, most int32) string {
		return fmt.Sprintf("%s (%d) > %s (%d)", what, n, limit, most)
	}
	last := r.Measurements[len(r.Measurements)-1]
	switch {
	case last.FinishedAt == nil:
		return v1alpha1.AnalysisRunning, ""
	case r.ConsecutiveError > b.consecutiveError:
		message := limited("consecutiveErrors", r.ConsecutiveError, "consecutiveErrorLimit", b.consecutiveError)
		if last.Message != "" {
			message += `: "Error Message: ` + last.Message + `"`
		}
		return v1alpha1.AnalysisError, message
	case b.inconclusive != unlimited && r.Inconclusive > b.inconclusive:
		return v1alpha1.AnalysisInconclusive, limited(
			"inconclusive", r.Inconclusive, "inconclusiveLimit", b.inconclusive,
		)
	case b.failure != unlimited && r.Failed > b.failure:
		return v1alpha1.AnalysisFailed, limited("failed", r.Failed, "failureLimit", b.failure)
	case b.consecutiveSuccess > 0 && r.ConsecutiveSuccess >= b.consecutiveSuccess:
		return v1alpha1.AnalysisSuccessful, ""
	case b.count == 0 || r.Count < b.count:
		return v1alpha1.AnalysisRunning, ""
	case b.consecutiveSuccess == 0:
		return v1alpha1.AnalysisSuccessful, ""
	case b.failure != unlimited:
		return v1alpha1.AnalysisInconclusive, fmt.Sprintf(
			"count (%d) was reached before failureLimit (%d) and consecutiveSuccessLimit (%d)",
			b.count, b.failure, b.consecutiveSuccess,
		)
	default:
		return v1alpha1.AnalysisFailed, fmt.Sprintf(
			"count (%d) was reached before consecutiveSuccessLimit (%d)", b.count, b.consecutiveSuccess,
		)
	}
}

// severity orders verdicts; the worst one is that of the run.
var severity = map[v1alpha1.AnalysisPhase]int{
	v1alpha1.AnalysisSuccessful: 1, v1alpha1.AnalysisInconclusive: 2, v1alpha1.AnalysisError: 3,
	v1alpha1.AnalysisFailed: 4,
}

// terminated is the message of a metric whose measuring was cut short since its run ended.
const terminated = "Metric Terminated"

// conclude ends a run when all metrics are complete, when one that counts went wrong, or when someone asked for it.
// What is being measured is ended first: a Job must not outlive the run that started it.
func conclude(
	spec v1alpha1.AnalysisRunSpec,
	st v1alpha1.AnalysisRunStatus,
	now time.Time,
) v1alpha1.AnalysisRunStatus {
	worst, message := v1alpha1.AnalysisSuccessful, ""
	open, underway := len(st.MetricResults) < len(spec.Metrics), false
	for _, r := range st.MetricResults {
		switch {
		case !r.Phase.Completed():
			open = true
			n := len(r.Measurements)
			underway = underway || n > 0 && r.Measurements[n-1].FinishedAt == nil
		case !r.DryRun && severity[r.Phase] > severity[worst]:
			worst = r.Phase
			message = fmt.Sprintf("Metric %q assessed %s due to %s", r.Name, r.Phase, r.Message)
		}
	}
	if ending := terminating(spec, st); open && !ending || underway {
		st.RunSummary, st.DryRunSummary = summaries(spec, st)
		return st
	}
	for i := range st.MetricResults {
		if r := &st.MetricResults[i]; !r.Phase.Completed() {
			r.Phase, r.Message = v1alpha1.AnalysisSuccessful, terminated
		}
	}
	if worst == v1alpha1.AnalysisSuccessful && open {
		message = "Run Terminated"
	}
	return complete(spec, st, worst, message, now)
}

func complete(
	spec v1alpha1.AnalysisRunSpec, st v1alpha1.AnalysisRunStatus, phase v1alpha1.AnalysisPhase, message string,
	now time.Time,
) v1alpha1.AnalysisRunStatus {
	st.Phase, st.Message = phase, message
	st.CompletedAt = new(metav1.NewTime(now.Truncate(time.Second)))
	st.RunSummary, st.DryRunSummary = summaries(spec, st)
	return st
}

// summaries count metrics by outcome, those of a dry run apart.
func summaries(
	spec v1alpha1.AnalysisRunSpec, st v1alpha1.AnalysisRunStatus,
) (counted v1alpha1.RunSummary, dry *v1alpha1.RunSummary) {
	names, _ := rules(spec)
	dried := v1alpha1.RunSummary{}
	for _, m := range spec.Metrics {
		s := &counted
		if names[m.Name] {
			s = &dried
		}
		s.Count++
		r := find(st.MetricResults, m.Name)
		if r == nil {
			continue
		}
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
	if dried.Count > 0 {
		dry = &dried
	}
	return counted, dry
}
