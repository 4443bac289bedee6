package rollout

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/facts"

	"github.com/argosy-mesh/argosy/libs/kube/object"

	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/libs/kube"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core"
	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/router"
)

// errGone says that an object of the world is no longer there.
var errGone = errors.New("is gone")

// effort is one pass being carried out. It stops at the first effect that fails; the next pass decides anew.
type effort struct {
	*Reconciler
	object *unstructured.Unstructured
	world  core.World
	wake   time.Time
}

func (e *effort) apply(ctx context.Context, actions []core.Action) error {
	for _, a := range actions {
		if err := e.perform(ctx, a); err != nil {
			return fmt.Errorf("%s: %w", a.Key(), err)
		}
		kind, _, _ := strings.Cut(a.Key(), "/")
		if _, idle := a.(core.WakeAt); idle {
			continue
		}
		e.actions.WithLabelValues(kind).Inc()
		e.Log.InfoContext(
			ctx, "performed", "rollout", e.object.GetNamespace()+"/"+e.object.GetName(), "decision", a.Key(),
		)
	}
	return nil
}

func (e *effort) perform(ctx context.Context, a core.Action) error {
	switch a := a.(type) {
	case core.CreateReplicaSet:
		_, err := kube.CreateOnce(ctx, e.Client, a.Object.DeepCopy())
		return err
	case core.UpdateReplicaSet:
		return e.updateReplicaSet(ctx, a)
	case core.DeleteReplicaSet:
		rs := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: e.object.GetNamespace(), Name: a.Name}}
		return client.IgnoreNotFound(
			e.Client.Delete(
				ctx, rs, client.Preconditions{ResourceVersion: &a.Version},
				client.PropagationPolicy(metav1.DeletePropagationBackground),
			),
		)
	case core.SwitchService:
		return e.pointService(ctx, a)
	case core.SetWeight:
		return e.setWeight(ctx, a)
	case core.CreateAnalysisRun:
		return e.createRun(ctx, a)
	case core.RetireAnalysisRun:
		return e.retireRun(ctx, a)
	case core.DeleteAnalysisRun:
		run := object.New("AnalysisRun")
		run.SetNamespace(e.object.GetNamespace())
		run.SetName(a.Name)
		return client.IgnoreNotFound(e.Client.Delete(ctx, run))
	case core.PatchRollout:
		return e.amend(ctx, a)
	case core.PublishFact:
		return e.publish(ctx, a)
	case core.PatchStatus:
		return e.patchStatus(ctx, a)
	case core.RecordEvent:
		e.record(a)
	case core.WakeAt:
		e.wake = a.At
	default:
		return fmt.Errorf("nobody performs %T", a)
	}
	return nil
}

func (e *effort) updateReplicaSet(ctx context.Context, a core.UpdateReplicaSet) error {
	for _, rs := range e.world.ReplicaSets {
		if rs.Name != a.Name {
			continue
		}
		next := rs.DeepCopy()
		if next.Annotations == nil {
			next.Annotations = map[string]string{}
		}
		maps.Copy(next.Annotations, a.Set)
		for _, key := range a.Remove {
			delete(next.Annotations, key)
		}
		if a.Replicas != nil {
			next.Spec.Replicas = a.Replicas
		}
		if a.MinReady != nil {
			next.Spec.MinReadySeconds = *a.MinReady
		}
		return e.Client.Patch(ctx, next, client.MergeFromWithOptions(rs, client.MergeFromWithOptimisticLock{}))
	}
	return fmt.Errorf("replica set %s: %w", a.Name, errGone)
}

func (e *effort) pointService(ctx context.Context, a core.SwitchService) error {
	svc, ok := e.world.Services[a.Service]
	if !ok {
		return fmt.Errorf("service %s: %w", a.Service, errGone)
	}
	next := svc.DeepCopy()
	next.Spec.Selector = with(next.Spec.Selector, core.HashLabel, a.Hash)
	next.Annotations = with(next.Annotations, core.AnnotationManagedBy, e.object.GetName())
	return e.Client.Patch(ctx, next, client.MergeFromWithOptions(svc, client.MergeFromWithOptimisticLock{}))
}

func (e *effort) setWeight(ctx context.Context, a core.SetWeight) error {
	r, served := router.ByKind(a.Route.Kind)
	if !served {
		return fmt.Errorf("router of %s: %w", a.Route.Kind, errGone)
	}
	route := r.New()
	if err := e.Client.Get(
		ctx, types.NamespacedName{Namespace: a.Route.Namespace, Name: a.Route.Name}, route,
	); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	r.Apply(route, a.Split)
	return e.Client.Update(ctx, route)
}

func (e *effort) createRun(ctx context.Context, a core.CreateAnalysisRun) error {
	tree, err := runtime.DefaultUnstructuredConverter.ToUnstructured(a.Object)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	delete(tree, "status")
	_, err = kube.CreateOnce(ctx, e.Client, &unstructured.Unstructured{Object: tree})
	return err
}

func (e *effort) retireRun(ctx context.Context, a core.RetireAnalysisRun) error {
	run := object.New("AnalysisRun")
	if err := e.Client.Get(
		ctx, types.NamespacedName{Namespace: e.object.GetNamespace(), Name: a.Name}, run,
	); err != nil {
		return client.IgnoreNotFound(err)
	}
	next := run.DeepCopy()
	phase, _, _ := unstructured.NestedString(run.Object, "status", "phase")
	if !v1alpha1.AnalysisPhase(phase).Completed() {
		if err := unstructured.SetNestedField(next.Object, true, "spec", "terminate"); err != nil {
			return fmt.Errorf("edit: %w", err)
		}
	}
	if a.Superseded {
		next.SetAnnotations(with(next.GetAnnotations(), core.AnnotationSpent, "true"))
	}
	return e.Client.Patch(ctx, next, client.MergeFrom(run))
}

func (e *effort) amend(ctx context.Context, a core.PatchRollout) error {
	next := e.object.DeepCopy()
	if a.Replicas != nil {
		if err := unstructured.SetNestedField(next.Object, int64(*a.Replicas), "spec", "replicas"); err != nil {
			return fmt.Errorf("edit: %w", err)
		}
	}
	next.SetAnnotations(with(next.GetAnnotations(), core.AnnotationRevision, a.Revision))
	if err := e.Client.Patch(
		ctx, next, client.MergeFromWithOptions(e.object, client.MergeFromWithOptimisticLock{}),
	); err != nil {
		return err
	}
	e.object = next
	return nil
}

func (e *effort) publish(ctx context.Context, a core.PublishFact) error {
	ro := e.world.Rollout
	return e.Tell.Tell(
		ctx,
		facts.Fact{
			ID: bus.Key(a.ID), About: facts.About("Rollout", ro), Body: a.Body,
			Lineage: lineage.FromAnnotations(ro.Annotations),
		},
	)
}

// patchStatus replaces the status if the Rollout still is the version that was looked at.
func (e *effort) patchStatus(ctx context.Context, a core.PatchStatus) error {
	tree, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&a.Status)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	next := e.object.DeepCopy()
	next.Object["status"] = tree
	return e.Client.Status().Patch(
		ctx, next, client.MergeFromWithOptions(e.object, client.MergeFromWithOptimisticLock{}),
	)
}

func (e *effort) record(a core.RecordEvent) {
	kind := corev1.EventTypeNormal
	if a.Warning {
		kind = corev1.EventTypeWarning
	}
	e.Events.Event(e.object, kind, a.Reason, a.Message)
}

func with(m map[string]string, key, value string) map[string]string {
	out := maps.Clone(m)
	if out == nil {
		out = map[string]string{}
	}
	out[key] = value
	return out
}
