package rollout

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/argosy-mesh/argosy/libs/kube/object"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
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

// Index makes owned objects findable by their owner. Call it once per manager.
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
		Watches(&corev1.Service{}, handler.EnqueueRequestsFromMapFunc(concerned(mgr.GetClient(), namesService))).
		Watches(
			object.New("AnalysisTemplate"),
			handler.EnqueueRequestsFromMapFunc(concerned(mgr.GetClient(), awaitsTemplate)),
		).
		Watches(
			object.New("ClusterAnalysisTemplate"),
			handler.EnqueueRequestsFromMapFunc(concerned(mgr.GetClient(), awaitsTemplate)),
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
					mgr.GetCache(), route, handler.EnqueueRequestsFromMapFunc(concerned(mgr.GetClient(), namesRoute)),
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

// concerned maps an object to the Rollouts that care about it.
func concerned(c client.Reader, cares func(*v1alpha1.Rollout, client.Object) bool) handler.MapFunc {
	return func(ctx context.Context, o client.Object) (out []reconcile.Request) {
		list := object.NewList("Rollout")
		if err := c.List(ctx, list, client.InNamespace(scope(o))); err != nil {
			return nil
		}
		for i := range list.Items {
			ro, _, _ := v1alpha1.DecodeTolerant[v1alpha1.Rollout](list.Items[i].Object)
			if cares(ro, o) {
				out = append(
					out,
					reconcile.Request{NamespacedName: types.NamespacedName{Namespace: ro.Namespace, Name: ro.Name}},
				)
			}
		}
		return out
	}
}

// scope is the namespace whose Rollouts may name an object. A route may serve other namespaces than its own.
func scope(o client.Object) string {
	if slices.ContainsFunc(
		router.Routers,
		func(r router.Router) bool { return o.GetObjectKind().GroupVersionKind() == r.Kind },
	) {
		return ""
	}
	return o.GetNamespace()
}

func namesService(ro *v1alpha1.Rollout, o client.Object) bool {
	for _, name := range Services(ro) {
		if name == o.GetName() {
			return true
		}
	}
	return false
}

func namesRoute(ro *v1alpha1.Rollout, o client.Object) bool {
	for _, refs := range router.Read(ro).Refs {
		for _, ref := range refs {
			if ref.Kind == o.GetObjectKind().GroupVersionKind().Kind && ref.Name == o.GetName() &&
				ref.Namespace == o.GetNamespace() {
				return true
			}
		}
	}
	return false
}

// awaitsTemplate picks the Rollouts that are invalid and use analyses: a template that appeared may mend them.
func awaitsTemplate(ro *v1alpha1.Rollout, _ client.Object) bool {
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
