package rollout

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/kube/object"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core"
	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/router"
)

const (
	// workers work on different rollouts at once; a pass is a few writes long.
	workers = 16
	// slowest bounds the pause after failures.
	slowest = 10 * time.Second
)

// Index makes owned objects findable by their owner, and Rollouts by what they depend on. Call it once per manager.
func Index(ctx context.Context, mgr manager.Manager) error {
	owner := func(o client.Object) []string {
		if ref := metav1.GetControllerOf(o); ref != nil && (ref.Kind == "Rollout" || ref.Kind == "Experiment") {
			return []string{string(ref.UID)}
		}
		return nil
	}
	for _, o := range []client.Object{
		&appsv1.ReplicaSet{}, &corev1.Service{}, object.New("AnalysisRun"), object.New("Experiment"),
	} {
		if err := mgr.GetFieldIndexer().IndexField(ctx, o, OwnerIndex, owner); err != nil {
			return fmt.Errorf("index %T by owner: %w", o, err)
		}
	}
	managed := func(o client.Object) []string {
		if by := o.GetAnnotations()[core.AnnotationManagedBy]; by != "" {
			return []string{by}
		}
		return nil
	}
	if err := mgr.GetFieldIndexer().IndexField(ctx, &corev1.Service{}, managedIndex, managed); err != nil {
		return fmt.Errorf("index services by who narrowed them down: %w", err)
	}
	if err := mgr.GetFieldIndexer().IndexField(ctx, object.New("Rollout"), concernIndex, concerns); err != nil {
		return fmt.Errorf("index Rollouts by what they depend on: %w", err)
	}
	return nil
}

// Watch makes the manager call inner for every Rollout that something happened to. again brings Rollouts to look at
// without that.
func Watch(
	mgr manager.Manager, r *Reconciler, inner reconcile.Reconciler, again <-chan event.GenericEvent,
) error {
	owned := handler.EnqueueRequestForOwner(
		mgr.GetScheme(), mgr.GetRESTMapper(), object.New("Rollout"), handler.OnlyControllerOwner(),
	)
	c, err := ctrl.NewControllerManagedBy(mgr).Named("rollout").
		For(object.New("Rollout")).
		Watches(&appsv1.ReplicaSet{}, owned).
		Watches(object.New("AnalysisRun"), owned).
		Watches(object.New("Experiment"), owned).
		Watches(&corev1.Service{}, handler.EnqueueRequestsFromMapFunc(concerned(mgr.GetClient(), "Service", false))).
		Watches(&corev1.Service{}, handler.EnqueueRequestsFromMapFunc(narrower)).
		Watches(
			object.New("AnalysisTemplate"),
			handler.EnqueueRequestsFromMapFunc(concerned(mgr.GetClient(), "AnalysisTemplate", true)),
		).
		Watches(
			object.New("ClusterAnalysisTemplate"),
			handler.EnqueueRequestsFromMapFunc(concerned(mgr.GetClient(), "ClusterAnalysisTemplate", true)),
		).
		WatchesRawSource(source.Channel(again, &handler.EnqueueRequestForObject{})).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: workers,
			SkipNameValidation:      new(true),
			RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](
				5*time.Millisecond, slowest,
			),
		}).
		Build(inner)
	if err != nil {
		return fmt.Errorf("watch rollouts: %w", err)
	}
	r.watchDeployments = sync.OnceFunc(func() {
		changed := handler.EnqueueRequestsFromMapFunc(concerned(mgr.GetClient(), "Deployment", false))
		var work client.Object = &appsv1.Deployment{}
		if err := c.Watch(source.Kind(mgr.GetCache(), work, changed)); err != nil {
			r.Log.Error("watch Deployments whose templates Rollouts use", "error", err)
		}
	})
	r.watchKind = watchOnce(mgr, c, r)
	return nil
}

// watchOnce returns what begins to watch the objects of a kind of routers, the first time that a Rollout names one: a
// cluster may have many of them that have nothing to do with Rollouts. A kind that the cluster does not know yet is
// tried again with the next Rollout that names it, which is looked at again while it is invalid.
func watchOnce(mgr manager.Manager, c controller.Controller, r *Reconciler) func(router.Kind) {
	var lock sync.Mutex
	watched := map[schema.GroupKind]bool{}
	return func(kind router.Kind) {
		lock.Lock()
		defer lock.Unlock()
		if watched[kind.GroupKind] {
			return
		}
		mapping, err := mgr.GetRESTMapper().RESTMapping(kind.GroupKind)
		if err != nil {
			return
		}
		u := &unstructured.Unstructured{}
		u.SetGroupVersionKind(mapping.GroupVersionKind)
		var route client.Object = u
		changed := handler.EnqueueRequestsFromMapFunc(concerned(mgr.GetClient(), kind.Kind+"."+kind.Group, false))
		owned := handler.EnqueueRequestForOwner(
			mgr.GetScheme(), mgr.GetRESTMapper(), object.New("Rollout"), handler.OnlyControllerOwner(),
		)
		if err := errors.Join(
			c.Watch(source.Kind(mgr.GetCache(), route, changed)), c.Watch(source.Kind(mgr.GetCache(), route, owned)),
		); err != nil {
			r.Log.Error("watch objects of a router", "kind", kind.Kind, "error", err)
			return
		}
		watched[kind.GroupKind] = true
	}
}

// concernIndex finds Rollouts by what they depend on and do not own: its kind, namespace and name. A Rollout is read
// for it when it changes, and not once for each change of a Service of the cluster.
const concernIndex = "argosy.concern"

// managedIndex finds Services by the Rollout that narrowed them down.
const managedIndex = "argosy.managed-by"

// narrower maps a Service to the Rollout that narrowed it down, named there or not, there or gone.
func narrower(_ context.Context, o client.Object) []reconcile.Request {
	by := o.GetAnnotations()[core.AnnotationManagedBy]
	if by == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: o.GetNamespace(), Name: by}}}
}

func concern(kind, namespace, name string) string { return kind + "/" + namespace + "/" + name }

// concerns are the keys of concernIndex of a Rollout.
func concerns(o client.Object) (out []string) {
	u, is := o.(*unstructured.Unstructured)
	if !is {
		return nil
	}
	ro, _, _ := v1alpha1.DecodeTolerant[v1alpha1.Rollout](u.Object)
	for _, name := range core.ServiceNames(ro) {
		out = append(out, concern("Service", ro.Namespace, name))
	}
	if ref := ro.Spec.WorkloadRef; ref != nil {
		out = append(out, concern(ref.Kind, ro.Namespace, ref.Name))
	}
	for _, refs := range router.Read(ro).Refs {
		for _, ref := range refs {
			out = append(out, concern(ref.Kind+"."+ref.Group, ref.Namespace, ref.Name))
		}
	}
	if awaitsTemplate(ro) {
		out = append(out, concern("AnalysisTemplate", ro.Namespace, ""), concern("ClusterAnalysisTemplate", "", ""))
	}
	return out
}

// concerned maps an object of a kind to the Rollouts that depend on it: by its name, or, whole, on any of its
// namespace.
func concerned(c client.Reader, kind string, whole bool) handler.MapFunc {
	return func(ctx context.Context, o client.Object) (out []reconcile.Request) {
		key := concern(kind, o.GetNamespace(), o.GetName())
		if whole {
			key = concern(kind, o.GetNamespace(), "")
		}
		list := object.NewList("Rollout")
		depends := client.MatchingFields{concernIndex: key}
		if err := c.List(ctx, list, depends, client.UnsafeDisableDeepCopy); err != nil {
			return nil
		}
		for i := range list.Items {
			out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
		}
		return out
	}
}

// awaitsTemplate picks the Rollouts that are invalid and use analyses: a template that appeared may mend them.
func awaitsTemplate(ro *v1alpha1.Rollout) bool {
	if len(templateRefs(ro)) == 0 {
		return false
	}
	for _, c := range ro.Status.Conditions {
		if c.Type == v1alpha1.RolloutInvalidSpec {
			return true
		}
	}
	return false
}
