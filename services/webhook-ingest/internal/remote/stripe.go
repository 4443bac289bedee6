package remote

import (
	"context"
	"net/http"
	"net/url"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/pull"
)

const stripeAPI = "https://api.stripe.com"

// stripeHooks keeps the endpoint of an account. Stripe makes the signing secret
// itself: it goes from its dashboard into signingSecret.
func stripeHooks(base string) func(v1alpha1.StripeEventSource) *hookReconciler {
	return func(c v1alpha1.StripeEventSource) *hookReconciler {
		if !c.CreateWebhook || c.ApiKey == nil || address(c.Webhook) == "" {
			return nil
		}
		return newHookReconciler(false, func(ctx context.Context, env pull.Env) (site, error) {
			key, err := env.Secrets.Text(ctx, env.Namespace, c.ApiKey)
			if err != nil {
				return site{}, err
			}
			events := c.EventFilter
			if len(events) == 0 {
				events = []string{"*"}
			}
			return site{
				places: []place{
					stripePlace{newREST(base, withHeader("Authorization", "Bearer "+key)), address(c.Webhook), events},
				},
			}, nil
		})
	}
}

type stripePlace struct {
	api    rest
	url    string
	events []string
}

func (stripePlace) name() string { return "stripe" }

const stripePath = "/v1/webhook_endpoints"

func (p stripePlace) list(ctx context.Context) ([]hook, error) {
	after := ""
	for range maxPages {
		var page struct {
			Data []struct {
				ID            string   `json:"id"`
				URL           string   `json:"url"`
				EnabledEvents []string `json:"enabled_events"`
			} `json:"data"`
			HasMore bool `json:"has_more"`
		}
		query := url.Values{"limit": {"100"}}
		if after != "" {
			query.Set("starting_after", after)
		}
		if _, err := p.api.call(ctx, http.MethodGet, stripePath+"?"+query.Encode(), nil, &page); err != nil {
			return nil, err
		}
		for _, h := range page.Data {
			if h.URL == p.url {
				// Each endpoint has a signing secret of its own: another one is not ours to remove.
				return []hook{{id: h.ID, same: sameSet(h.EnabledEvents, p.events)}}, nil
			}
			after = h.ID
		}
		if !page.HasMore || len(page.Data) == 0 {
			break
		}
	}
	return nil, nil
}

func (p stripePlace) create(ctx context.Context) error {
	_, err := p.api.call(
		ctx, http.MethodPost, stripePath, url.Values{"url": {p.url}, "enabled_events[]": p.events}, nil,
	)
	return err
}

func (p stripePlace) update(ctx context.Context, id string) error {
	_, err := p.api.call(ctx, http.MethodPost, stripePath+at(id), url.Values{"enabled_events[]": p.events}, nil)
	return err
}

func (p stripePlace) remove(ctx context.Context, id string) error {
	return gone(p.api.call(ctx, http.MethodDelete, stripePath+at(id), nil, nil))
}
