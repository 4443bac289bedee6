// Package applicationset reconciles ApplicationSets: it gathers what their generators ask for and what Applications
// there are, has the core decide, and performs that.
package applicationset

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"time"

	"github.com/argosy-mesh/argosy/libs/kube"
	"github.com/argosy-mesh/argosy/libs/kube/object"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/appset"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/generator"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/projects"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	ctrlsource "sigs.k8s.io/controller-runtime/pkg/source"
)

// Shell is what reconciling works with.
type Shell struct {
	Client     client.Client
	Clusters   cache.Cache // of the Secrets of clusters
	Generators *generator.Generators
	Projects   *projects.Projects
	Settings   appset.Settings
	Log        *slog.Logger
}

// Reconciler reconciles ApplicationSets.
type Reconciler struct {
	Shell
	memory  memory
	seconds *prometheus.HistogramVec
}

// New returns a reconciler whose metrics are in r.
func New(s Shell, r prometheus.Registerer) *Reconciler {
	a := &Reconciler{Shell: s, seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "argosy_applicationset_reconcile_seconds", Help: "Time to reconcile one ApplicationSet, by outcome.",
	}, []string{"outcome"})}
	r.MustRegister(a.seconds)
	return a
}

// workers is how many ApplicationSets are reconciled at once: most of the time is spent waiting for forges.
const workers = 8

// Watch has the manager run the reconciler for what it owns; regain brings objects that others owned until now.
func (a *Reconciler) Watch(mgr manager.Manager, owns func(key string) bool, regain <-chan event.GenericEvent) error {
	err := builder.ControllerManagedBy(mgr).Named("applicationset").
		For(object.New("ApplicationSet"), builder.WithPredicates(predicate.Funcs{UpdateFunc: matters})).
		Watches(
			object.New("Application"), handler.EnqueueRequestsFromMapFunc(ownerOf),
			builder.WithPredicates(predicate.Funcs{UpdateFunc: childMatters}),
		).
		WatchesRawSource(ctrlsource.Kind(
			a.Clusters, &corev1.Secret{}, handler.TypedEnqueueRequestsFromMapFunc(a.ofClusters),
		)).
		WatchesRawSource(ctrlsource.Channel(regain, &handler.EnqueueRequestForObject{})).
		// Tests run several replicas in one process, whose controllers share a name.
		WithOptions(controller.Options{MaxConcurrentReconciles: workers, SkipNameValidation: new(true)}).
		Complete(kube.OwnedOnly(owns, reconcile.Func(a.timed)))
	if err != nil {
		return fmt.Errorf("set up the applicationset controller: %w", err)
	}
	return nil
}

func (a *Reconciler) timed(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	began := time.Now()
	res, err := a.Reconcile(ctx, req)
	outcome := "ok"
	if err != nil {
		outcome = "failed"
	}
	a.seconds.WithLabelValues(outcome).Observe(time.Since(began).Seconds())
	return res, err
}

// matters leaves out updates of status alone, which are our own.
func matters(e event.UpdateEvent) bool {
	before, _ := e.ObjectOld.(*unstructured.Unstructured)
	after, _ := e.ObjectNew.(*unstructured.Unstructured)
	return before == nil || after == nil || !reflect.DeepEqual(before.Object["spec"], after.Object["spec"]) ||
		!maps.Equal(before.GetAnnotations(), after.GetAnnotations()) || after.GetDeletionTimestamp() != nil
}

// childMatters leaves out updates of Applications that show nothing here.
func childMatters(e event.UpdateEvent) bool {
	before, _ := e.ObjectOld.(*unstructured.Unstructured)
	after, _ := e.ObjectNew.(*unstructured.Unstructured)
	return before == nil || after == nil || !reflect.DeepEqual(shown(before), shown(after))
}

// shown is what of an Application a set depends on.
func shown(o *unstructured.Unstructured) []any {
	field := func(path ...string) any {
		v, _, _ := unstructured.NestedFieldNoCopy(o.Object, path...)
		return v
	}
	return []any{
		field("spec"), field("operation"), field("metadata", "labels"), field("metadata", "annotations"),
		field("metadata", "finalizers"), field("metadata", "ownerReferences"), field("metadata", "deletionTimestamp"),
		field("status", "sync"), field("status", "health"), field("status", "operationState", "phase"),
		field("status", "operationState", "startedAt"),
	}
}

// ownerOf is the ApplicationSet of an Application.
func ownerOf(_ context.Context, o client.Object) []reconcile.Request {
	c := metav1.GetControllerOf(o)
	if c == nil || c.Kind != "ApplicationSet" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: o.GetNamespace(), Name: c.Name}}}
}

// ofClusters are all ApplicationSets: which of them list clusters is known only when they are generated.
func (a *Reconciler) ofClusters(ctx context.Context, _ *corev1.Secret) []reconcile.Request {
	all := object.NewList("ApplicationSet")
	if err := a.Client.List(ctx, all, client.UnsafeDisableDeepCopy); err != nil {
		a.Log.WarnContext(ctx, "a change of clusters reaches nobody", "error", err)
		return nil
	}
	out := make([]reconcile.Request, len(all.Items))
	for i := range all.Items {
		out[i].NamespacedName = client.ObjectKeyFromObject(&all.Items[i])
	}
	return out
}

// decode reads a set; what of it cannot be read is an error.
func decode(raw *unstructured.Unstructured) (*v1alpha1.ApplicationSet, error) {
	set, _, err := v1alpha1.DecodeTolerant[v1alpha1.ApplicationSet](raw.Object)
	return set, err
}
