package eventsource

import (
	"context"

	"github.com/argosy-mesh/argosy/libs/eventsource"
	"github.com/argosy-mesh/argosy/libs/kube/secret"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/core"
)

// Declared is what one EventSource asks for.
type Declared struct {
	Created string // RFC 3339, to find the older
	Routes  []Endpoint
}

// Endpoint is a route with the path that its manifest names, which may be empty, and
// the port that upstream would listen on. All ports are one here; it tells apart what
// is sent to one path.
type Endpoint struct {
	Path  string
	Route core.Route
	Port  string
}

// Endpoints are those that an EventSource asks for, with their secrets.
func (r *Reconciler) Endpoints(ctx context.Context, es *v1alpha1.EventSource) ([]Endpoint, error) {
	var out []Endpoint
	refused := eventsource.Refusals(eventsource.Check(es))
	for _, h := range core.Hooks(es) {
		h.Route.Broken = refused[h.Route.Event]
		for _, ref := range h.Refs {
			value, err := r.Secrets.Text(ctx, es.Namespace, ref.Ref)
			if missing, is := secret.IsMissing(err); is {
				// It breaks its own route only.
				h.Route.Broken = missing
				continue
			}
			if err != nil {
				return nil, err
			}
			*ref.Into(&h.Route) = value
		}
		if h.Filter != nil {
			if filter, err := eventsource.NewFilter(h.Filter.Expression); err == nil && filter != nil {
				h.Route.Filter = filter
			}
		}
		out = append(out, Endpoint{h.Path, h.Route, h.Port})
	}
	return out, nil
}
