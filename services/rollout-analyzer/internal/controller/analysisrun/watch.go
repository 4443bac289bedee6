package analysisrun

import (
	"fmt"
	"time"

	"github.com/argosy-mesh/argosy/libs/kube/object"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// workers measure at once; most of their time they wait for an answer, of a metric system that is slow or silent for
// up to two minutes.
const workers = 256

// Watch makes the manager call inner for every AnalysisRun that something happened to. again brings runs to look at
// without that.
func Watch(mgr manager.Manager, inner reconcile.Reconciler, again <-chan event.GenericEvent) error {
	run := object.New("AnalysisRun")
	err := ctrl.NewControllerManagedBy(mgr).Named("analysisrun").
		For(run).
		// A Job that ended ends its measurement at once.
		Watches(&batchv1.Job{}, handler.EnqueueRequestForOwner(mgr.GetScheme(), mgr.GetRESTMapper(), run)).
		WatchesRawSource(source.Channel(again, &handler.EnqueueRequestForObject{})).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: workers,
			SkipNameValidation:      new(true),
			RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](
				5*time.Millisecond, 10*time.Second,
			),
		}).
		Complete(inner)
	if err != nil {
		return fmt.Errorf("watch analysis runs: %w", err)
	}
	return nil
}
