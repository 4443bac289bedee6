// Package eventsource turns EventSources into routes and into sources that are read.
package eventsource

import (
	"context"
	"fmt"
	"time"

	"github.com/argosy-mesh/argosy/libs/kube/object"
	"github.com/argosy-mesh/argosy/libs/kube/secret"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	kubeevents "k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// secretRefresh is how often secrets are read again: rotation must not need a
// restart.
const secretRefresh = 30 * time.Second

// Routes are the table of what listens where.
type Routes interface {
	// Set replaces what an EventSource asks for and returns what of it cannot be served, in words.
	Set(key string, d Declared) (conflicts []string)
	Remove(key string)
}

// Sources are what is read of the events of EventSources, or what is kept for them at their senders.
type Sources interface {
	Set(ctx context.Context, es *v1alpha1.EventSource) []State
	Halt(key string)   // until it is set again
	Remove(key string) // for good
}

// Reconciler turns EventSources into routes and into sources that are read. Every
// replica does so for all of them, since any may be asked; the owner writes the
// status.
type Reconciler struct {
	Client  client.Client
	Secrets *secret.Reader
	Routes  Routes
	Sources Sources
	Hooks   Sources                 // hooks at their senders
	Refused func(key string) string // whom of its senders was sent away since the last look
	Aside   func(key string) string // what of an EventSource could not be stored
	Owns    func(key string) bool
	Tell    kubeevents.EventRecorder // may be nil
}

// Control has the manager call the reconciler, also for what again and news bring.
func (r *Reconciler) Control(mgr manager.Manager, again, news <-chan event.GenericEvent) error {
	err := builder.ControllerManagedBy(mgr).Named("eventsource").For(object.New("EventSource")).
		WatchesRawSource(source.Channel(again, &handler.EnqueueRequestForObject{})).
		WatchesRawSource(source.Channel(news, &handler.EnqueueRequestForObject{})).Complete(r)
	if err != nil {
		return fmt.Errorf("set up the eventsource controller: %w", err)
	}
	return nil
}

// Reconcile brings the routes and sources of one EventSource up to date.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	raw := object.New("EventSource")
	if err := r.Client.Get(ctx, req.NamespacedName, raw); err != nil {
		if apierrors.IsNotFound(err) {
			r.forget(req.String())
			return reconcile.Result{}, nil
		}
		return reconcile.Result{}, fmt.Errorf("read eventsource %s: %w", req, err)
	}
	es, warnings, err := v1alpha1.DecodeTolerant[v1alpha1.EventSource](raw.Object)
	if err != nil {
		r.halt(req.String())
		return reconcile.Result{}, r.report(
			ctx, raw, []v1alpha1.EventCondition{condition("Malformed", err.Error())}, warnings,
		)
	}
	endpoints, err := r.Endpoints(ctx, es)
	if err != nil {
		return reconcile.Result{}, err
	}
	conflicts, states, kept := r.apply(ctx, req.String(), es, endpoints)
	conditions := append(verdict(endpoints, conflicts, states), rejections(r.Refused(req.String()))...)
	conditions = append(conditions, setAside(r.Aside(req.String()))...)
	for _, k := range kept {
		// A hook that is there goes on delivering: keeping it says nothing about readiness.
		conditions = append(conditions, k.Condition())
	}
	return reconcile.Result{
		RequeueAfter: secretRefresh,
	}, r.report(ctx, raw, conditions, append(warnings, withoutEffect(es)...))
}
