// Package analysisrun is the shell around the core for AnalysisRuns: find what is due, measure it side by side, let the
// core assess, write the status.
//
// Promise: a measurement counts only if the run still is the version that was looked at, so two replicas that measure
// at once count it once. A provider that hangs holds one worker, for a bounded time, and no other run.
package analysisrun

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/kube/secret"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/facts"

	"github.com/argosy-mesh/argosy/libs/kube/object"

	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core"
	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/analysis"
	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/metric"
)

// staleRetry is how soon to look again after somebody else was faster.
const staleRetry = 50 * time.Millisecond

// Measurer takes one measurement of a metric whose arguments are filled in.
type Measurer interface {
	Measure(ctx context.Context, m v1alpha1.Metric) (metric.Value, error)
}

// Teller publishes facts.
type Teller interface {
	Tell(ctx context.Context, f facts.Fact) error
}

// Reconciler works on AnalysisRuns.
type Reconciler struct {
	Client client.Client
	// Secrets reads secrets without keeping them.
	Secrets  *secret.Reader
	Measurer Measurer
	Tell     Teller
	Events   record.EventRecorder
	Log      *slog.Logger
	Now      func() time.Time
	measured *prometheus.CounterVec
}

// New returns a reconciler whose metrics are in registry.
func New(c client.Client, secrets *secret.Reader, m Measurer, tell Teller, registry prometheus.Registerer) *Reconciler {
	r := &Reconciler{
		Client:   c,
		Secrets:  secrets,
		Measurer: m,
		Tell:     tell,
		Now:      time.Now,
		Log:      slog.New(slog.DiscardHandler),
		measured: prometheus.NewCounterVec(
			prometheus.CounterOpts{Name: "argosy_rollout_measurements_total", Help: "Measurements taken, by outcome."},
			[]string{"phase"},
		),
	}
	registry.MustRegister(r.measured)
	return r
}

// Reconcile looks at one run once.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
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
		if err := r.write(ctx, found, run, status); err != nil {
			if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
				return reconcile.Result{RequeueAfter: staleRetry}, nil
			}
			return reconcile.Result{}, fmt.Errorf("write status of analysis run %s: %w", req, err)
		}
		run.Status = status
		plan = analysis.PlanRun(run, r.Now())
	}
	return again(plan, r.Now()), nil
}

func again(plan analysis.Plan, now time.Time) reconcile.Result {
	switch {
	case len(plan.Due) > 0:
		return reconcile.Result{RequeueAfter: time.Millisecond}
	case !plan.Next.IsZero():
		return reconcile.Result{RequeueAfter: max(time.Millisecond, plan.Next.Sub(now))}
	default:
		return reconcile.Result{}
	}
}

// assess measures what is due and returns the status that follows. A run that has not begun only begins: its clock must
// be written before its first measurement.
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
	return analysis.Assess(run, r.measure(ctx, run, plan.Due), r.Now())
}

// measure takes all measurements that are due, side by side.
func (r *Reconciler) measure(
	ctx context.Context, run *v1alpha1.AnalysisRun, due []v1alpha1.Metric,
) map[string]v1alpha1.Measurement {
	out := make(map[string]v1alpha1.Measurement, len(due))
	if len(due) == 0 {
		return out
	}
	values, secrets, err := r.arguments(ctx, run)
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, m := range due {
		all.Go(func() {
			taken := r.one(ctx, m, values, err)
			taken.Message = redact(taken.Message, secrets)
			taken.Value = redact(taken.Value, secrets)
			for key, text := range taken.Metadata {
				taken.Metadata[key] = redact(text, secrets)
			}
			r.measured.WithLabelValues(string(taken.Phase)).Inc()
			mu.Lock()
			defer mu.Unlock()
			out[m.Name] = taken
		})
	}
	all.Wait()
	return out
}

// one takes one measurement; whatever goes wrong becomes an error of the measurement.
func (r *Reconciler) one(
	ctx context.Context, m v1alpha1.Metric, values map[string]string, err error,
) v1alpha1.Measurement {
	started := metav1.NewTime(r.Now().Truncate(time.Second))
	taken := v1alpha1.Measurement{StartedAt: &started, Phase: v1alpha1.AnalysisError}
	var value metric.Value
	if err == nil {
		m, err = analysis.Substitute(m, values)
	}
	if err == nil {
		value, err = r.Measurer.Measure(ctx, m)
	}
	if err == nil {
		taken.Value, taken.Metadata = value.Text, value.Metadata
		taken.Phase, err = analysis.Judge(m, value.Result)
	}
	if err != nil {
		taken.Message = err.Error()
	}
	finished := metav1.NewTime(r.Now().Truncate(time.Second))
	taken.FinishedAt = &finished
	return taken
}

// arguments reads the values of a run's arguments, and which of them must not be shown.
func (r *Reconciler) arguments(
	ctx context.Context, run *v1alpha1.AnalysisRun,
) (values map[string]string, secrets []string, err error) {
	values = map[string]string{}
	for _, a := range run.Spec.Args {
		switch {
		case a.Value != nil:
			values[a.Name] = a.Value.String()
		case a.ValueFrom != nil && a.ValueFrom.SecretKeyRef != nil:
			ref := a.ValueFrom.SecretKeyRef
			text, err := r.Secrets.Value(
				ctx,
				run.Namespace,
				&corev1.SecretKeySelector{
					LocalObjectReference: corev1.LocalObjectReference{Name: ref.Name},
					Key:                  ref.Key,
				},
			)
			if _, missing := secret.IsMissing(err); missing {
				return values, secrets, fmt.Errorf("argument %q: secret %s has no key %s", a.Name, ref.Name, ref.Key)
			}
			if err != nil {
				return values, secrets, fmt.Errorf("argument %q: %w", a.Name, err)
			}
			values[a.Name] = text
			secrets = append(secrets, text)
		}
	}
	return values, secrets, nil
}

// redact hides secret values.
func redact(text string, secrets []string) string {
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, "*****")
		}
	}
	return text
}

// write patches the status if anything changed, and tells of a beginning and an end. Facts go first: a crash after them
// repeats the pass, and the repeated fact has the same id.
func (r *Reconciler) write(
	ctx context.Context, object *unstructured.Unstructured, run *v1alpha1.AnalysisRun,
	status v1alpha1.AnalysisRunStatus,
) error {
	tree, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&status)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	next := object.DeepCopy()
	next.Object["status"] = tree
	patch := client.MergeFromWithOptions(object, client.MergeFromWithOptimisticLock{})
	if run.Status.Phase == "" && status.Phase != "" {
		if err := r.tell(ctx, run, events.AnalysisStarted{Analysis: said(run, status)}); err != nil {
			return err
		}
	}
	if status.Phase.Completed() {
		if err := r.tell(ctx, run, events.AnalysisFinished{Analysis: said(run, status)}); err != nil {
			return err
		}
	}
	if err := r.Client.Patch(ctx, next, patch); err != nil {
		return err
	}
	if status.Phase.Completed() {
		r.Log.InfoContext(
			ctx, "analysis finished", "run", run.Namespace+"/"+run.Name, "phase", status.Phase, "message",
			status.Message,
		)
		r.record(object, status)
	}
	return nil
}

func (r *Reconciler) record(object *unstructured.Unstructured, status v1alpha1.AnalysisRunStatus) {
	if r.Events == nil {
		return
	}
	kind := corev1.EventTypeNormal
	if status.Phase != v1alpha1.AnalysisSuccessful {
		kind = corev1.EventTypeWarning
	}
	r.Events.Event(
		object, kind, "AnalysisRun"+string(status.Phase), "Analysis Completed. Result: "+string(status.Phase),
	)
}

func (r *Reconciler) tell(ctx context.Context, run *v1alpha1.AnalysisRun, body events.Body) error {
	return r.Tell.Tell(ctx, facts.Fact{
		ID: bus.Key(string(run.UID) + "/" + body.Fact()), About: facts.About("AnalysisRun", run), Body: body,
		Lineage: lineage.FromAnnotations(run.Annotations),
	})
}

func said(run *v1alpha1.AnalysisRun, status v1alpha1.AnalysisRunStatus) events.Analysis {
	a := events.Analysis{
		Revision: run.Annotations[core.AnnotationRevision], Hash: run.Labels[core.HashLabel],
		Type: run.Labels[core.LabelRunType], Step: run.Labels[core.LabelStepIndex], Phase: string(status.Phase),
		Message: status.Message,
	}
	if owner := metav1.GetControllerOf(run); owner != nil {
		a.Rollout, a.ReplicaSet = owner.Name, owner.Name+"-"+a.Hash
	}
	return a
}
