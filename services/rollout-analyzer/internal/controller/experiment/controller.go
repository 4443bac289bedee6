// Package experiment is the shell around the core for Experiments: gather the world, let the core decide, apply,
// report.
package experiment

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/argosy-mesh/argosy/libs/kube"
	"github.com/argosy-mesh/argosy/libs/kube/object"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/controller/rollout"
	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/experiment"
)

// staleRetry is how soon to look again after somebody else was faster; the cache has to catch up first.
const staleRetry = 50 * time.Millisecond

// errGone says that an object of the world is no longer there.
var errGone = errors.New("is gone")

// Reconciler works on Experiments.
type Reconciler struct {
	Client client.Client
	Events record.EventRecorder
	Log    *slog.Logger
	Now    func() time.Time
}

// New returns a reconciler.
func New(c client.Client, recorder record.EventRecorder, log *slog.Logger) *Reconciler {
	return &Reconciler{Client: c, Events: recorder, Log: log, Now: time.Now}
}

// Reconcile looks at one Experiment once.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	found := object.New("Experiment")
	if err := r.Client.Get(ctx, req.NamespacedName, found); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	world, err := r.gather(ctx, found)
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("gather the world of experiment %s: %w", req, err)
	}
	e := &effort{Reconciler: r, object: found, world: world}
	for _, a := range experiment.Decide(world) {
		err := e.perform(ctx, a)
		switch {
		case apierrors.IsConflict(err) || apierrors.IsNotFound(err) || errors.Is(err, errGone):
			r.Log.DebugContext(ctx, "somebody else was faster", "experiment", req.String(), "error", err)
			return reconcile.Result{RequeueAfter: staleRetry}, nil
		case err != nil:
			return reconcile.Result{}, fmt.Errorf("%T of experiment %s: %w", a, req, err)
		}
	}
	if e.wake.IsZero() {
		return reconcile.Result{}, nil
	}
	return reconcile.Result{RequeueAfter: max(time.Millisecond, e.wake.Sub(r.Now()))}, nil
}

// gather reads everything that may be looked at.
func (r *Reconciler) gather(ctx context.Context, o *unstructured.Unstructured) (experiment.World, error) {
	ex, _, err := v1alpha1.DecodeTolerant[v1alpha1.Experiment](o.Object)
	w := experiment.World{Now: r.Now(), Experiment: ex}
	if err != nil {
		r.Log.WarnContext(ctx, "parts of an experiment cannot be read", "experiment", ex.Name, "error", err)
	}
	owned := []client.ListOption{
		client.InNamespace(ex.Namespace), client.MatchingFields{rollout.OwnerIndex: string(ex.UID)},
	}
	var sets appsv1.ReplicaSetList
	var services corev1.ServiceList
	runs := object.NewList("AnalysisRun")
	for _, list := range []client.ObjectList{&sets, &services, runs} {
		if err := r.Client.List(ctx, list, owned...); err != nil {
			return w, fmt.Errorf("list %T: %w", list, err)
		}
	}
	for i := range sets.Items {
		w.ReplicaSets = append(w.ReplicaSets, &sets.Items[i])
	}
	for i := range services.Items {
		w.Services = append(w.Services, &services.Items[i])
	}
	for i := range runs.Items {
		run, _, _ := v1alpha1.DecodeTolerant[v1alpha1.AnalysisRun](runs.Items[i].Object)
		w.Runs = append(w.Runs, run)
	}
	var refs []v1alpha1.AnalysisTemplateRef
	for _, a := range ex.Spec.Analyses {
		refs = append(refs, v1alpha1.AnalysisTemplateRef{TemplateName: a.TemplateName, ClusterScope: a.ClusterScope})
	}
	w.Templates, err = rollout.Templates(ctx, r.Client, ex.Namespace, refs)
	return w, err
}

// effort is one pass being carried out. It stops at the first effect that fails; the next pass decides anew.
type effort struct {
	*Reconciler
	object *unstructured.Unstructured
	world  experiment.World
	wake   time.Time
}

func (e *effort) perform(ctx context.Context, a experiment.Action) error {
	switch a := a.(type) {
	case experiment.CreateReplicaSet:
		_, err := kube.CreateOnce(ctx, e.Client, a.Object.DeepCopy())
		return err
	case experiment.UpdateReplicaSet:
		return e.resize(ctx, a)
	case experiment.CreateService:
		_, err := kube.CreateOnce(ctx, e.Client, a.Object.DeepCopy())
		return err
	case experiment.DeleteService:
		svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: e.object.GetNamespace(), Name: a.Name}}
		return client.IgnoreNotFound(e.Client.Delete(ctx, svc))
	case experiment.CreateAnalysisRun:
		tree, err := runtime.DefaultUnstructuredConverter.ToUnstructured(a.Object)
		if err != nil {
			return fmt.Errorf("encode: %w", err)
		}
		delete(tree, "status")
		_, err = kube.CreateOnce(ctx, e.Client, &unstructured.Unstructured{Object: tree})
		return err
	case experiment.EndAnalysisRun:
		run := object.Named("AnalysisRun", e.object.GetNamespace(), a.Name)
		end := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"terminate":true}}`))
		return client.IgnoreNotFound(e.Client.Patch(ctx, run, end))
	case experiment.PatchStatus:
		return e.patchStatus(ctx, a)
	case experiment.RecordEvent:
		kind := corev1.EventTypeNormal
		if a.Warning {
			kind = corev1.EventTypeWarning
		}
		e.Events.Event(e.object, kind, a.Reason, a.Message)
	case experiment.WakeAt:
		e.wake = a.At
	default:
		return fmt.Errorf("nobody performs %T", a)
	}
	return nil
}

func (e *effort) resize(ctx context.Context, a experiment.UpdateReplicaSet) error {
	for _, rs := range e.world.ReplicaSets {
		if rs.Name != a.Name {
			continue
		}
		next := rs.DeepCopy()
		next.Spec.Replicas = &a.Replicas
		if next.Annotations == nil {
			next.Annotations = map[string]string{}
		}
		if a.Deadline == "" {
			delete(next.Annotations, experiment.AnnotationDeadline)
		} else {
			next.Annotations[experiment.AnnotationDeadline] = a.Deadline
		}
		return e.Client.Patch(ctx, next, client.MergeFromWithOptions(rs, client.MergeFromWithOptimisticLock{}))
	}
	return fmt.Errorf("replica set %s: %w", a.Name, errGone)
}

// patchStatus replaces the status if the Experiment still is the version that was looked at. It has no subresource,
// as upstream's has none.
func (e *effort) patchStatus(ctx context.Context, a experiment.PatchStatus) error {
	tree, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&a.Status)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	next := e.object.DeepCopy()
	next.Object["status"] = tree
	return e.Client.Patch(ctx, next, client.MergeFromWithOptions(e.object, client.MergeFromWithOptimisticLock{}))
}
