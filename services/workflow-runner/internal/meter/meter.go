// Package meter counts for Prometheus: what upstream counts, under its names; what manifests define; and our own.
package meter

import (
	"context"
	"log/slog"
	"strconv"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Upstream count as upstream's controller does, under its names, so that its dashboards work. Source: Argo Workflows
// 3.6 and later.
type Upstream struct {
	workflows  *prometheus.CounterVec
	pods       *prometheus.CounterVec
	Errors     *prometheus.CounterVec
	Operations prometheus.Histogram
	Crons      *prometheus.CounterVec
	templates  *prometheus.CounterVec
	runtimes   *prometheus.HistogramVec
	series     *series // those that manifests define
}

// Names of metrics, without their prefix.
const (
	nameWorkflows  = "total_count"
	namePods       = "pods_total_count"
	nameErrors     = "error_count"
	nameOperations = "operation_duration_seconds"
	nameCrons      = "cronworkflows_triggered_total"
	nameTemplates  = "workflowtemplate_triggered_total"
	nameRuntimes   = "workflowtemplate_runtime"
	nameGauge      = "gauge"
	namePodsGauge  = "pods_gauge"
)

func ownNames() map[string]flow.MetricKind {
	return map[string]flow.MetricKind{
		nameWorkflows: flow.MetricCounter, namePods: flow.MetricCounter, nameErrors: flow.MetricCounter,
		nameOperations: flow.MetricHistogram,
		nameCrons:      flow.MetricCounter, nameTemplates: flow.MetricCounter, nameRuntimes: flow.MetricHistogram,
		nameGauge: flow.MetricGauge, namePodsGauge: flow.MetricGauge,
	}
}

// NewUpstream registers the counters. Series of manifests stay while owns says that their workflow is this replica's.
func NewUpstream(r prometheus.Registerer, owns func(string) bool) *Upstream {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: metricPrefix + name, Help: help}, labels)
	}
	m := &Upstream{
		workflows: counter(nameWorkflows, "Workflows that entered a phase.", "namespace", "phase"),
		pods:      counter(namePods, "Pods of workflows that entered a phase.", "namespace", "phase"),
		Errors:    counter(nameErrors, "Errors, by cause.", "cause"),
		Operations: prometheus.NewHistogram(prometheus.HistogramOpts{Name: metricPrefix + nameOperations,
			Help: "Time of one look at a workflow."}),
		Crons: counter(nameCrons, "Workflows that a CronWorkflow made.", "name", "namespace"),
		templates: counter(nameTemplates, "Workflows of a template that entered a phase.", "cluster_scope", "name",
			"namespace", "phase"),
		runtimes: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: metricPrefix + nameRuntimes,
			Help:    "Seconds that workflows of a template took.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 10)}, []string{"cluster_scope", "name", "namespace"}),
		series: newSeries(time.Now, owns),
	}
	r.MustRegister(m.workflows, m.pods, m.Errors, m.Operations, m.Crons, m.templates, m.runtimes, m.series)
	return m
}

// Count takes a recorded decision into the counters.
func (m *Upstream) Count(wf *v1alpha1.Workflow, state flow.Run, d flow.Decision) {
	// A change says the phase when it begins, or ends; of metadata alone it says the same again.
	if d.Run != nil && (d.Run.StartedAt != nil || d.Run.FinishedAt != nil) {
		phase := string(d.Run.Phase)
		m.workflows.WithLabelValues(wf.Namespace, phase).Inc()
		if ref := wf.Spec.WorkflowTemplateRef; ref != nil {
			scope := strconv.FormatBool(ref.ClusterScope)
			m.templates.WithLabelValues(scope, ref.Name, wf.Namespace, phase).Inc()
			if d.Run.FinishedAt != nil && !state.StartedAt.IsZero() {
				m.runtimes.WithLabelValues(scope, ref.Name,
					wf.Namespace).Observe(d.Run.FinishedAt.Sub(state.StartedAt).Seconds())
			}
		}
	}
	for i := range d.Nodes {
		n := &d.Nodes[i]
		if n.Type == v1alpha1.NodeTypePod && d.Before[n.ID] != n.Phase {
			m.pods.WithLabelValues(wf.Namespace, podPhase(n.Phase)).Inc()
		}
	}
}

// podPhase is the phase of the pod of a node.
func podPhase(p v1alpha1.NodePhase) string {
	if p == v1alpha1.NodeError {
		return string(corev1.PodFailed)
	}
	return string(p)
}

// Census counts the workflows and pods of this replica as they are, each time it is asked.
type Census struct {
	Cache client.Reader
	Owns  func(workflow string) bool
}

// censusTime bounds how long a scrape waits for the cache.
const censusTime = 2 * time.Second

func censusDescs() (workflows, pods *prometheus.Desc) {
	return prometheus.NewDesc(metricPrefix+nameGauge, "Workflows in each phase.", []string{"phase"}, nil),
		prometheus.NewDesc(metricPrefix+namePodsGauge, "Pods of workflows in each phase.", []string{"phase"}, nil)
}

// Describe tells the two names.
func (c *Census) Describe(out chan<- *prometheus.Desc) {
	workflows, pods := censusDescs()
	out <- workflows
	out <- pods
}

// Collect counts. While the cache is not there yet nothing is known.
func (c *Census) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), censusTime)
	defer cancel()
	workflows, pods := censusDescs()
	list := object.WorkflowList()
	// What is only counted need not be copied.
	if err := c.Cache.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		return
	}
	byPhase := map[string]int{}
	for i := range list.Items {
		u := &list.Items[i]
		if c.Owns(u.GetNamespace() + "/" + u.GetName()) {
			phase, _, _ := unstructured.NestedString(u.Object, "status", "phase")
			byPhase[phase]++
		}
	}
	tell(out, workflows, byPhase)
	var podList corev1.PodList
	if err := c.Cache.List(ctx, &podList, client.UnsafeDisableDeepCopy); err != nil {
		return
	}
	byPhase = map[string]int{}
	for i := range podList.Items {
		p := &podList.Items[i]
		if c.Owns(p.Namespace + "/" + p.Labels[object.LabelWorkflow]) {
			byPhase[string(p.Status.Phase)]++
		}
	}
	tell(out, pods, byPhase)
}

func tell(out chan<- prometheus.Metric, desc *prometheus.Desc, byPhase map[string]int) {
	for phase, n := range byPhase {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(n), phase)
	}
}

// Own are the counters of this service alone.
type Own struct {
	Runs     *prometheus.CounterVec
	Pods     prometheus.Counter
	Commands *prometheus.HistogramVec
}

// NewOwn registers them.
func NewOwn(r prometheus.Registerer) *Own {
	m := &Own{
		Runs: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "argosy_workflow_runs_total",
			Help: "Runs that ended, by phase."}, []string{"phase"}),
		Pods: prometheus.NewCounter(prometheus.CounterOpts{Name: "argosy_workflow_pods_created_total",
			Help: "Pods created for steps."}),
		Commands: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "argosy_workflow_command_seconds",
			Help: "Time to handle one command, by verb and error class."}, []string{"verb", "class"}),
	}
	r.MustRegister(m.Runs, m.Pods, m.Commands)
	return m
}

// Report reports what a decision wants to be reported. What cannot be is said once, and harms nothing else.
func (m *Upstream) Report(ctx context.Context, log *slog.Logger, workflow string, list []flow.Metric) {
	for _, one := range list {
		problem := one.Problem
		if problem == "" {
			if err := m.series.take(workflow, one); err != nil {
				problem = err.Error()
			}
		}
		if problem != "" {
			m.Errors.WithLabelValues("MetricEmission").Inc()
			log.WarnContext(ctx, "a metric was not reported", "workflow", workflow, "metric", one.Name, "problem",
				problem)
		}
	}
}
