package analysisrun

import (
	"context"
	"slices"
	"time"

	"github.com/argosy-mesh/argosy/libs/kube/object"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/metric"
)

// The names are those that dashboards of Argo Rollouts read.
var (
	runInfo = prometheus.NewDesc(
		"analysis_run_info", "Information about analysis run.", []string{"namespace", "name", "phase"}, nil,
	)
	runPhase = prometheus.NewDesc(
		"analysis_run_phase", "Information on the state of the Analysis Run (use analysis_run_info).",
		[]string{"namespace", "name", "phase"}, nil,
	)
	metricPhase = prometheus.NewDesc(
		"analysis_run_metric_phase", "Information on the duration of a specific metric in the Analysis Run.",
		[]string{"namespace", "name", "metric", "phase"}, nil,
	)
	metricType = prometheus.NewDesc(
		"analysis_run_metric_type", "Information on the type of a specific metric in the Analysis Runs.",
		[]string{"namespace", "name", "metric", "type"}, nil,
	)
)

// phases are those that a run is said to be in, or not.
var phases = []v1alpha1.AnalysisPhase{
	v1alpha1.AnalysisPending, v1alpha1.AnalysisRunning, v1alpha1.AnalysisSuccessful, v1alpha1.AnalysisFailed,
	v1alpha1.AnalysisError, v1alpha1.AnalysisInconclusive,
}

// collectTime bounds one scrape; runs come from the cache.
const collectTime = 5 * time.Second

// State are metrics of all runs that this replica works on, read when they are asked for.
type State struct {
	// Runs lists them.
	Runs client.Reader
	// Owns reports whether this replica works on a run, so that several replicas do not say the same; nil is all.
	Owns func(key string) bool
}

// Describe implements [prometheus.Collector].
func (s State) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{runInfo, runPhase, metricPhase, metricType} {
		out <- d
	}
}

// Collect implements [prometheus.Collector].
func (s State) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectTime)
	defer cancel()
	list := object.NewList("AnalysisRun")
	if err := s.Runs.List(ctx, list); err != nil {
		return // the cache has not begun, or stops
	}
	for i := range list.Items {
		run, _, err := v1alpha1.DecodeTolerant[v1alpha1.AnalysisRun](list.Items[i].Object)
		if err == nil && (s.Owns == nil || s.Owns(run.Namespace+"/"+run.Name)) {
			say(out, run)
		}
	}
}

func say(out chan<- prometheus.Metric, run *v1alpha1.AnalysisRun) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	phase := run.Status.Phase
	if phase == "" {
		phase = v1alpha1.AnalysisPending
	}
	gauge(runInfo, 1, run.Namespace, run.Name, string(phase))
	for _, p := range phases {
		gauge(runPhase, one(p == phase), run.Namespace, run.Name, string(p))
	}
	said := map[string]bool{}
	for _, m := range run.Spec.Metrics {
		if said[m.Name] {
			continue // an invalid run may name two alike
		}
		said[m.Name] = true
		gauge(metricType, 1, run.Namespace, run.Name, m.Name, metric.Type(m.Provider))
		at := slices.IndexFunc(
			run.Status.MetricResults,
			func(r v1alpha1.MetricResult) bool { return r.Name == m.Name },
		)
		if at < 0 {
			continue
		}
		for _, p := range phases {
			gauge(
				metricPhase,
				one(p == run.Status.MetricResults[at].Phase),
				run.Namespace,
				run.Name,
				m.Name,
				string(p),
			)
		}
	}
}

func one(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
