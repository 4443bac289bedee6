// Package application reconciles Applications: it gathers a world, has the core decide, applies and reports.
package application

import (
	"fmt"
	"maps"
	"reflect"

	"github.com/argosy-mesh/argosy/libs/kube"
	"github.com/argosy-mesh/argosy/libs/kube/object"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/push"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	ctrlsource "sigs.k8s.io/controller-runtime/pkg/source"
)

// concurrency is how many applications are reconciled at once: most of the time they wait for others.
const concurrency = 64

// Watch has the manager run the reconciler for what it owns; regain brings objects that others owned until now.
func (a *Reconciler) Watch(mgr manager.Manager, owns func(key string) bool, regain <-chan event.GenericEvent) error {
	a.metrics.apps.owns = owns
	seen := builder.WithPredicates(predicate.Funcs{CreateFunc: a.meet, UpdateFunc: matters})
	enqueue := &handler.EnqueueRequestForObject{}
	made := builder.ControllerManagedBy(mgr).Named("application").
		For(object.New("Application"), seen).
		Watches(object.New("Application"), a.dependents.wake()).
		Watches(object.New("AppProject"), a.ofProject()).
		WatchesRawSource(ctrlsource.Channel(regain, enqueue)).
		WatchesRawSource(ctrlsource.Channel(a.Clusters.Changed(), enqueue)).
		// Tests run several replicas in one process, whose controllers share a name.
		WithOptions(controller.Options{MaxConcurrentReconciles: concurrency, SkipNameValidation: new(true)})
	if a.Hub != nil {
		made = made.WatchesRawSource(ctrlsource.Channel(a.Hub.Changed(), enqueue))
	}
	if err := made.Complete(kube.OwnedOnly(owns, a)); err != nil {
		return fmt.Errorf("set up the application controller: %w", err)
	}
	return nil
}

// meet notes when an application was seen first: answers of Git from then on hold for it, so that one fetch serves all
// that came before it.
func (a *Reconciler) meet(e event.CreateEvent) bool {
	a.remember(e.Object)
	return true
}

// matters leaves out updates of status alone, which are our own.
func matters(e event.UpdateEvent) bool {
	before, _ := e.ObjectOld.(*unstructured.Unstructured)
	after, _ := e.ObjectNew.(*unstructured.Unstructured)
	if before == nil || after == nil {
		return true
	}
	return !same(before.Object["spec"], after.Object["spec"]) ||
		!same(before.Object["operation"], after.Object["operation"]) ||
		!maps.Equal(told(before), told(after)) || terminating(after) ||
		after.GetDeletionTimestamp() != nil
}

// told are the annotations that say something to a sync: not what other parts of the agent note down for themselves.
func told(o *unstructured.Unstructured) map[string]string {
	out := maps.Clone(o.GetAnnotations())
	delete(out, "notified.notifications.argoproj.io")
	delete(out, "argosy.dev/promoted")
	for _, name := range push.Hydrations {
		delete(out, name)
	}
	return out
}

// terminating reports whether somebody ended the operation, which is said in status.
func terminating(o *unstructured.Unstructured) bool {
	phase, _, _ := unstructured.NestedString(o.Object, "status", "operationState", "phase")
	return phase == string(v1alpha1.OperationTerminating)
}

func same(a, b any) bool { return reflect.DeepEqual(a, b) }
