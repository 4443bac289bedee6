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
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
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
	case core.EvictPod:
		return e.evict(ctx, a)
	case core.PatchPod:
		return e.patchPod(ctx, a)
	case core.ScaleWorkload:
		return e.scaleWorkload(ctx, a)
	case core.CreateAnalysisRun:
		return e.createRun(ctx, a)
	case core.RetireAnalysisRun:
		return e.retire(ctx, "AnalysisRun", a.Name, a.Superseded)
	case core.DeleteAnalysisRun:
		run := object.New("AnalysisRun")
		run.SetNamespace(e.object.GetNamespace())
		run.SetName(a.Name)
		return client.IgnoreNotFound(e.Client.Delete(ctx, run))
	case core.CreateExperiment:
		return e.createExperiment(ctx, a)
	case core.RetireExperiment:
		return e.retire(ctx, "Experiment", a.Name, a.Superseded)
	case core.DeleteExperiment:
		return client.IgnoreNotFound(
			e.Client.Delete(ctx, object.Named("Experiment", e.object.GetNamespace(), a.Name)),
		)
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
		if a.Metadata != nil {
			next.Spec.Template.Labels, next.Spec.Template.Annotations = a.Metadata.Labels, a.Metadata.Annotations
		}
		if a.SetAffinity {
			next.Spec.Template.Spec.Affinity = a.Affinity
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
	if a.Hash == "" {
		return giveBack(ctx, e.Client, svc)
	}
	next := svc.DeepCopy()
	next.Spec.Selector = with(next.Spec.Selector, core.HashLabel, a.Hash)
	next.Annotations = with(next.Annotations, core.AnnotationManagedBy, e.object.GetName())
	return e.Client.Patch(ctx, next, client.MergeFromWithOptions(svc, client.MergeFromWithOptimisticLock{}))
}

// giveBack makes a service select by its own labels again.
func giveBack(ctx context.Context, c client.Client, svc *corev1.Service) error {
	next := svc.DeepCopy()
	delete(next.Spec.Selector, core.HashLabel)
	delete(next.Annotations, core.AnnotationManagedBy)
	return c.Patch(ctx, next, client.MergeFromWithOptions(svc, client.MergeFromWithOptimisticLock{}))
}

// evict asks for it by the API that respects disruption budgets. One that says no is asked again later.
func (e *effort) evict(ctx context.Context, a core.EvictPod) error {
	uid := types.UID(a.UID)
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: e.object.GetNamespace(), Name: a.Name}}
	err := e.Client.SubResource("eviction").Create(ctx, pod, &policyv1.Eviction{
		ObjectMeta:    metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name},
		DeleteOptions: &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}},
	})
	if apierrors.IsTooManyRequests(err) {
		e.Log.InfoContext(ctx, "a disruption budget keeps a pod", "rollout", e.object.GetName(), "pod", a.Name)
		return nil
	}
	return client.IgnoreNotFound(err)
}

func (e *effort) patchPod(ctx context.Context, a core.PatchPod) error {
	for _, pods := range e.world.Pods {
		for _, pod := range pods {
			if pod.Name != a.Name || string(pod.UID) != a.UID {
				continue
			}
			next := pod.DeepCopy()
			next.Labels, next.Annotations = a.Labels, a.Annotations
			return client.IgnoreNotFound(e.Client.Patch(
				ctx, next, client.MergeFromWithOptions(pod, client.MergeFromWithOptimisticLock{}),
			))
		}
	}
	return fmt.Errorf("pod %s: %w", a.Name, errGone)
}

func (e *effort) scaleWorkload(ctx context.Context, a core.ScaleWorkload) error {
	work := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: e.object.GetNamespace(), Name: a.Name}}
	scale := &autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: a.Replicas}}
	return client.IgnoreNotFound(
		e.Client.SubResource("scale").Update(ctx, work, client.WithSubResourceBody(scale)),
	)
}

// setWeight writes what the router makes of a split, guarded by the versions that were looked at.
func (e *effort) setWeight(ctx context.Context, a core.SetWeight) error {
	for _, r := range e.world.Routes {
		seen := r.Observed()
		bound, is := r.(*router.Bound)
		if !is || seen.Ref != a.Route || seen.Field != a.Field {
			continue
		}
		for _, c := range bound.Changes(a.Split) {
			if err := e.change(ctx, c); err != nil {
				return fmt.Errorf("%s %s/%s: %w", c.Ref.Kind, c.Ref.Namespace, c.Ref.Name, err)
			}
		}
		return nil
	}
	return fmt.Errorf("router of %s: %w", a.Route.Kind, errGone)
}

// change writes one object of a router.
func (e *effort) change(ctx context.Context, c router.Change) error {
	switch {
	case c.New == nil:
		version := c.Old.GetResourceVersion()
		return client.IgnoreNotFound(
			e.Client.Delete(ctx, c.Old, client.Preconditions{ResourceVersion: &version}),
		)
	case c.Old != nil:
		return e.Client.Update(ctx, c.New)
	}
	mapping, err := e.Client.RESTMapper().RESTMapping(schema.GroupKind{Group: c.Ref.Group, Kind: c.Ref.Kind})
	if err != nil {
		return fmt.Errorf("find the version: %w", err)
	}
	made := c.New.DeepCopy()
	made.SetGroupVersionKind(mapping.GroupVersionKind)
	made.SetOwnerReferences([]metav1.OwnerReference{{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: "Rollout", Name: e.object.GetName(), UID: e.object.GetUID(),
		Controller: new(true), BlockOwnerDeletion: new(true),
	}})
	return e.Client.Create(ctx, made)
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

func (e *effort) createExperiment(ctx context.Context, a core.CreateExperiment) error {
	tree, err := runtime.DefaultUnstructuredConverter.ToUnstructured(a.Object)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	delete(tree, "status")
	_, err = kube.CreateOnce(ctx, e.Client, &unstructured.Unstructured{Object: tree})
	return err
}

// retire ends an analysis or an experiment that still goes on, and marks what must not be used again.
func (e *effort) retire(ctx context.Context, kind, name string, superseded bool) error {
	run := object.New(kind)
	if err := e.Client.Get(
		ctx, types.NamespacedName{Namespace: e.object.GetNamespace(), Name: name}, run,
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
	if superseded {
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
