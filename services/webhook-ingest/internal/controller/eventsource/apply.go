package eventsource

import (
	"context"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// apply serves what an EventSource asks for, and no longer what it asked for before.
func (r *Reconciler) apply(ctx context.Context, key string, es *v1alpha1.EventSource, endpoints []Endpoint) (
	conflicts []string, states, hooks []State,
) {
	conflicts = r.Routes.Set(
		key, Declared{Created: es.CreationTimestamp.UTC().Format(time.RFC3339), Routes: endpoints},
	)
	return conflicts, r.Sources.Set(ctx, es), r.Hooks.Set(ctx, es)
}

// halt serves nothing of an EventSource for now: what cannot be read must not go on under an old secret or endpoint.
func (r *Reconciler) halt(key string) {
	r.Routes.Remove(key)
	r.Sources.Halt(key)
	r.Hooks.Halt(key)
}

// forget serves nothing of an EventSource that is gone, and undoes what was done for it at the other side.
func (r *Reconciler) forget(key string) {
	r.Routes.Remove(key)
	r.Sources.Remove(key)
	r.Hooks.Remove(key)
}
