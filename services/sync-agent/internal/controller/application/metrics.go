package application

import (
	"strconv"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/hydration"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/projects"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
)

// metrics are our own, and beside them those that dashboards of Argo CD read, under their names.
type metrics struct {
	syncs     *prometheus.CounterVec
	objects   *prometheus.CounterVec
	checkouts *prometheus.HistogramVec

	appSyncs      *prometheus.CounterVec
	appReconciles *prometheus.HistogramVec
	appOrphans    *prometheus.GaugeVec
	apps          *appInfo
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		syncs: prometheus.NewCounterVec(
			prometheus.CounterOpts{Name: "argosy_sync_operations_total", Help: "Operations that ended, by phase."},
			[]string{"phase"},
		),
		objects: prometheus.NewCounterVec(
			prometheus.CounterOpts{Name: "argosy_sync_objects_total", Help: "Objects written, by action and outcome."},
			[]string{"action", "outcome"},
		),
		checkouts: prometheus.NewHistogramVec(
			prometheus.HistogramOpts{
				Name: "argosy_sync_checkout_seconds", Help: "Time to resolve and render a source, by outcome.",
			},
			[]string{"outcome"},
		),
		appSyncs: prometheus.NewCounterVec(
			prometheus.CounterOpts{Name: "argocd_app_sync_total", Help: "Operations that ended, by application and phase."},
			[]string{"namespace", "name", "project", "dest_server", "phase", "dry_run"},
		),
		appReconciles: prometheus.NewHistogramVec(
			prometheus.HistogramOpts{
				Name: "argocd_app_reconcile", Help: "Time of one look at an application, in seconds.",
				Buckets: []float64{.01, .05, .25, .5, 1, 2, 4, 8, 16},
			},
			[]string{"namespace", "dest_server"},
		),
		appOrphans: prometheus.NewGaugeVec(
			prometheus.GaugeOpts{
				Name: "argocd_app_orphaned_resources_count",
				Help: "Objects of an application's namespace that no application has.",
			},
			[]string{"namespace", "name", "project"},
		),
		apps: &appInfo{of: map[types.NamespacedName][]string{}},
	}
	r.MustRegister(m.syncs, m.objects, m.checkouts, m.appSyncs, m.appReconciles, m.appOrphans, m.apps)
	return m
}

func (m *metrics) count(outcomes []outcome) {
	for _, o := range outcomes {
		verdict := "ok"
		if o.err != nil {
			verdict = "failed"
		}
		m.objects.WithLabelValues(string(o.task.Action), verdict).Inc()
	}
}

// looked notes what an application is after a look at it.
func (m *metrics) looked(app *v1alpha1.Application, took time.Duration) {
	d := app.Spec.Destination
	m.appReconciles.WithLabelValues(app.Namespace, or(d.Server, d.Name)).Observe(took.Seconds())
	m.apps.set(app)
}

// ended counts an operation.
func (m *metrics) ended(app *v1alpha1.Application, s *v1alpha1.OperationState, phase v1alpha1.OperationPhase) {
	m.syncs.WithLabelValues(string(phase)).Inc()
	d := app.Spec.Destination
	m.appSyncs.WithLabelValues(
		app.Namespace, app.Name, or(app.Spec.Project, projects.Default), or(d.Server, d.Name), string(phase),
		strconv.FormatBool(s.Operation.Sync != nil && s.Operation.Sync.DryRun),
	).Inc()
}

// orphans notes how many orphans the namespace of an application has; -1 when nobody asks.
func (m *metrics) orphans(app *v1alpha1.Application, n int) {
	project := or(app.Spec.Project, projects.Default)
	if n < 0 {
		m.appOrphans.DeleteLabelValues(app.Namespace, app.Name, project)
		return
	}
	m.appOrphans.WithLabelValues(app.Namespace, app.Name, project).Set(float64(n))
}

// forget drops what is told of an application that is gone.
func (m *metrics) forget(name types.NamespacedName) {
	m.apps.drop(name)
	of := prometheus.Labels{"namespace": name.Namespace, "name": name.Name}
	m.appSyncs.DeletePartialMatch(of)
	m.appOrphans.DeletePartialMatch(of)
}

// appInfo is argocd_app_info: one series for each application that this replica owns, with what it is as labels.
type appInfo struct {
	owns func(key string) bool // nil before the controller is set up

	mu sync.Mutex
	of map[types.NamespacedName][]string
}

var appInfoDesc = prometheus.NewDesc(
	"argocd_app_info", "What an application is; always 1.", []string{
		"namespace", "name", "project", "repo", "dest_server", "dest_namespace", "sync_status", "health_status",
		"operation", "autosync_enabled",
	}, nil,
)

func (a *appInfo) set(app *v1alpha1.Application) {
	repo, operation := "", ""
	switch {
	case len(app.Spec.Sources) > 0:
		repo = app.Spec.Sources[0].RepoURL
	case app.Spec.SourceHydrator != nil:
		repo = hydration.Repository(*app.Spec.SourceHydrator)
	case app.Spec.Source != nil:
		repo = app.Spec.Source.RepoURL
	}
	if s := app.Status.OperationState; s != nil && s.Phase == v1alpha1.OperationRunning {
		operation = "sync"
	}
	p := app.Spec.SyncPolicy
	automated := p != nil && p.Automated != nil && (p.Automated.Enabled == nil || *p.Automated.Enabled)
	d := app.Spec.Destination
	labels := []string{
		app.Namespace, app.Name, or(app.Spec.Project, projects.Default), repo, or(d.Server, d.Name), d.Namespace,
		app.Status.Sync.Status, app.Status.Health.Status, operation, strconv.FormatBool(automated),
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.of[types.NamespacedName{Namespace: app.Namespace, Name: app.Name}] = labels
}

func (a *appInfo) drop(name types.NamespacedName) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.of, name)
}

// Describe is part of prometheus.Collector.
func (a *appInfo) Describe(out chan<- *prometheus.Desc) { out <- appInfoDesc }

// Collect is part of prometheus.Collector.
func (a *appInfo) Collect(out chan<- prometheus.Metric) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for name, labels := range a.of {
		if a.owns != nil && !a.owns(name.String()) {
			continue // its owner tells
		}
		out <- prometheus.MustNewConstMetric(appInfoDesc, prometheus.GaugeValue, 1, labels...)
	}
}
