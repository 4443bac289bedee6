package rollout

import (
	"context"
	"fmt"
	"time"

	"github.com/argosy-mesh/argosy/libs/kube/object"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/router"
)

const (
	// workers work on different rollouts at once; a pass is a few writes long.
	workers = 16
	// slowest bounds the pause after failures.
	slowest = 10 * time.Second
	// lookForRoutes is how often to look whether routes can be watched now.
	lookForRoutes = 15 * time.Second
)

// Index makes owned objects findable by their owner, and Rollouts by what they depend on. Call it once per manager.
func Index(ctx context.Context, mgr manager.Manager) error {
	owner := func(o client.Object) []string {
		if ref := metav1.GetControllerOf(o); ref != nil && ref.Kind == "Rollout" {
			return []string{string(ref.UID)}
		}
		return nil
	}
	for _, o := range []client.Object{&appsv1.ReplicaSet{}, object.New("AnalysisRun")} {
		if err := mgr.GetFieldIndexer().IndexField(ctx, o, OwnerIndex, owner); err != nil {
			return fmt.Errorf("index %T by owner: %w", o, err)
		}
	}
	if err := mgr.GetFieldIndexer().IndexField(ctx, object.New("Rollout"), concernIndex, concerns); err != nil {
		return fmt.Errorf("index Rollouts by what they depend on: %w", err)
	}
	return nil
}

// Watch makes the manager call inner for every Rollout that something happened to. again brings Rollouts to look at
// without that.
func Watch(mgr manager.Manager, inner reconcile.Reconciler, again <-chan event.GenericEvent) error {
	owned := handler.EnqueueRequestForOwner(
		mgr.GetScheme(), mgr.GetRESTMapper(), object.New("Rollout"), handler.OnlyControllerOwner(),
	)
	c, err := ctrl.NewControllerManagedBy(mgr).Named("rollout").
		For(object.New("Rollout")).
		Watches(&appsv1.ReplicaSet{}, owned).
		Watches(object.New("AnalysisRun"), owned).
		Watches(&corev1.Service{}, handler.EnqueueRequestsFromMapFunc(concerned(mgr.GetClient(), "Service", false))).
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
	for _, r := range router.Routers {
		if err := mgr.Add(
			manager.RunnableFunc(func(ctx context.Context) error { return watchRoutes(ctx, mgr, c, r) }),
		); err != nil {
			return fmt.Errorf("watch %s: %w", r.Kind.Kind, err)
		}
	}
	return nil
}

// watchRoutes begins to watch the objects of a router as soon as the cluster knows them; it may never do.
func watchRoutes(ctx context.Context, mgr manager.Manager, c controller.Controller, r router.Router) error {
	for {
		if _, err := mgr.GetRESTMapper().RESTMapping(r.Kind.GroupKind(), r.Kind.Version); err == nil {
			var route client.Object = r.New()
			return c.Watch(
				source.Kind(
					mgr.GetCache(), route,
					handler.EnqueueRequestsFromMapFunc(concerned(mgr.GetClient(), r.Kind.Kind, false)),
				),
			)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(lookForRoutes):
		}
	}
}

// concernIndex finds Rollouts by what they depend on and do not own: its kind, namespace and name. A Rollout is read
// for it when it changes, and not once for each change of a Service of the cluster.
const concernIndex = "argosy.concern"

func concern(kind, namespace, name string) string { return kind + "/" + namespace + "/" + name }

// concerns are the keys of concernIndex of a Rollout.
func concerns(o client.Object) (out []string) {
	u, is := o.(*unstructured.Unstructured)
	if !is {
		return nil
	}
	ro, _, _ := v1alpha1.DecodeTolerant[v1alpha1.Rollout](u.Object)
	for _, name := range Services(ro) {
		out = append(out, concern("Service", ro.Namespace, name))
	}
	for _, refs := range router.Read(ro).Refs {
		for _, ref := range refs {
			out = append(out, concern(ref.Kind, ref.Namespace, ref.Name))
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
