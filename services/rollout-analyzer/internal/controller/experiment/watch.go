package experiment

import (
	"fmt"
	"time"

	"github.com/argosy-mesh/argosy/libs/kube/object"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

const (
	// workers work on different experiments at once.
	workers = 4
	// slowest bounds the pause after failures.
	slowest = 10 * time.Second
)

// Watch makes the manager call inner for every Experiment that something happened to. again brings Experiments to
// look at without that.
func Watch(mgr manager.Manager, inner reconcile.Reconciler, again <-chan event.GenericEvent) error {
	owned := handler.EnqueueRequestForOwner(
		mgr.GetScheme(), mgr.GetRESTMapper(), object.New("Experiment"), handler.OnlyControllerOwner(),
	)
	err := ctrl.NewControllerManagedBy(mgr).Named("experiment").
		For(object.New("Experiment")).
		Watches(&appsv1.ReplicaSet{}, owned).
		Watches(object.New("AnalysisRun"), owned).
		WatchesRawSource(source.Channel(again, &handler.EnqueueRequestForObject{})).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: workers,
			SkipNameValidation:      new(true),
			RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](
				5*time.Millisecond, slowest,
			),
		}).
		Complete(inner)
	if err != nil {
		return fmt.Errorf("watch experiments: %w", err)
	}
	return nil
}
