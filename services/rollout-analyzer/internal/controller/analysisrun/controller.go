// Package analysisrun is the shell around the core for AnalysisRuns: find what is due, measure it side by side, let
// the core assess, write the status.
//
// Promise: a measurement counts only if the run still is the version that was looked at, so two replicas that measure
// at once count it once. A provider that hangs holds one worker, for a bounded time, and no other run.
package analysisrun

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/argosy-mesh/argosy/libs/kube/secret"

	"github.com/argosy-mesh/argosy/libs/facts"

	"github.com/argosy-mesh/argosy/libs/kube/object"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/analysis"
	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/metric"
)

// staleRetry is how soon to look again after somebody else was faster.
const staleRetry = 50 * time.Millisecond

// Teller publishes facts.
type Teller interface {
	Tell(ctx context.Context, f facts.Fact) error
}

// Reconciler works on AnalysisRuns.
type Reconciler struct {
	Client client.Client
	// Secrets reads secrets without keeping them.
	Secrets  *secret.Reader
	Measurer metric.Provider
	Tell     Teller
	Events   record.EventRecorder
	Log      *slog.Logger
	Now      func() time.Time
	measured *prometheus.CounterVec
	// took and failed have the names that dashboards of Argo Rollouts read.
	took   *prometheus.HistogramVec
	failed *prometheus.CounterVec
}

// New returns a reconciler whose metrics are in registry.
func New(
	c client.Client, secrets *secret.Reader, m metric.Provider, tell Teller, registry prometheus.Registerer,
) *Reconciler {
	r := &Reconciler{
		Client:   c,
		Secrets:  secrets,
		Measurer: m,
		Tell:     tell,
		Now:      time.Now,
		Log:      slog.New(slog.DiscardHandler),
		measured: prometheus.NewCounterVec(
			prometheus.CounterOpts{
				Name: "argosy_rollout_measurements_total",
				Help: "Measurements taken, by outcome.",
			},
			[]string{"phase"},
		),
		took: prometheus.NewHistogramVec(
			prometheus.HistogramOpts{
				Name: "analysis_run_reconcile", Help: "Analysis Run reconciliation performance.",
				Buckets: []float64{0.01, 0.15, .25, .5, 1},
			},
			[]string{"namespace"},
		),
		failed: prometheus.NewCounterVec(
			prometheus.CounterOpts{
				Name: "analysis_run_reconcile_error",
				Help: "Error occurring during the analysis run.",
			},
			[]string{"namespace"},
		),
	}
	registry.MustRegister(r.measured, r.took, r.failed)
	return r
}

// Reconcile looks at one run once.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	began := time.Now()
	result, err := r.reconcile(ctx, req)
	r.took.WithLabelValues(req.Namespace).Observe(time.Since(began).Seconds())
	if err != nil {
		r.failed.WithLabelValues(req.Namespace).Inc()
	}
	return result, err
}

func (r *Reconciler) reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	found := object.New("AnalysisRun")
	if err := r.Client.Get(ctx, req.NamespacedName, found); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	run, _, unreadable := v1alpha1.DecodeTolerant[v1alpha1.AnalysisRun](found.Object)
	if run.DeletionTimestamp != nil {
		return reconcile.Result{}, nil
	}
	plan := analysis.PlanRun(run, r.Now())
	if plan.Delete {
		return reconcile.Result{}, client.IgnoreNotFound(r.Client.Delete(ctx, found))
	}
	if !run.Status.Phase.Completed() {
		status := r.assess(ctx, run, plan, unreadable)
		err := r.write(ctx, found, run, status)
		if err != nil {
			if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
				return reconcile.Result{RequeueAfter: staleRetry}, nil
			}
			return reconcile.Result{}, fmt.Errorf("write status of analysis run %s: %w", req, err)
		}
		run.Status = status
		r.collect(ctx, run)
		plan = analysis.PlanRun(run, r.Now())
	}
	return again(plan, r.Now()), nil
}

func again(plan analysis.Plan, now time.Time) reconcile.Result {
	switch {
	case plan.Due():
		return reconcile.Result{RequeueAfter: time.Millisecond}
	case !plan.Next.IsZero():
		return reconcile.Result{RequeueAfter: max(time.Millisecond, plan.Next.Sub(now))}
	default:
		return reconcile.Result{}
	}
}

// assess measures what is due and returns the status that follows. A run that has not begun only begins: its clock
// must be written before its first measurement.
func (r *Reconciler) assess(
	ctx context.Context, run *v1alpha1.AnalysisRun, plan analysis.Plan, unreadable error,
) v1alpha1.AnalysisRunStatus {
	if unreadable != nil {
		status := *run.Status.DeepCopy()
		now := metav1.NewTime(r.Now().Truncate(time.Second))
		status.Phase, status.CompletedAt = v1alpha1.AnalysisError, &now
		status.Message = "Analysis spec invalid: " + unreadable.Error()
		return status
	}
	if run.Status.Phase == "" {
		return analysis.Assess(run, nil, r.Now())
	}
	return analysis.Assess(run, r.measure(ctx, run, plan), r.Now())
}

// write patches the status if anything changed, and tells of a beginning, of measurements and of an end. Facts go
// first: a crash after them repeats the pass, and the repeated fact has the same id. Of two replicas that measure at
// once, the fact of a measurement may be that of the one whose measurement does not count; the status is the truth.
func (r *Reconciler) write(
	ctx context.Context, object *unstructured.Unstructured, run *v1alpha1.AnalysisRun,
	status v1alpha1.AnalysisRunStatus,
) error {
	if equality.Semantic.DeepEqual(run.Status, status) {
		return nil
	}
	tree, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&status)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	next := object.DeepCopy()
	next.Object["status"] = tree
	patch := client.MergeFromWithOptions(object, client.MergeFromWithOptimisticLock{})
	for _, f := range said(run, status) {
		if err := r.tell(ctx, run, f); err != nil {
			return err
		}
	}
	if err := r.Client.Patch(ctx, next, patch); err != nil {
		return err
	}
	r.record(ctx, object, run, status)
	return nil
}
