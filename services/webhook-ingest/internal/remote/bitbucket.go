package remote

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/pull"
)

const bitbucketAPI = "https://api.bitbucket.org/2.0"

// bitbucketHooks keeps the hooks of repositories of Bitbucket Cloud.
func bitbucketHooks(base string) func(v1alpha1.BitbucketEventSource) *hookReconciler {
	return func(c v1alpha1.BitbucketEventSource) *hookReconciler {
		if (c.Auth.Basic == nil && c.Auth.OauthToken == nil) || address(&c.Webhook) == "" {
			return nil
		}
		return newHookReconciler(c.DeleteHookOnFinish, func(ctx context.Context, env pull.Env) (site, error) {
			sign, err := bitbucketLogin(ctx, env, c.Auth)
			if err != nil {
				return site{}, err
			}
			secret, err := env.Secrets.Text(ctx, env.Namespace, c.WebhookSecret)
			if err != nil {
				return site{}, err
			}
			want := bitbucketHook{
				Description: "argosy " + env.Name(), URL: address(&c.Webhook), Active: true, Events: c.Events,
				Secret: secret,
			}
			s := site{secrets: secret}
			repositories := c.Repositories
			if len(repositories) == 0 && c.Owner != "" {
				repositories = []v1alpha1.BitbucketRepository{{Owner: c.Owner, RepositorySlug: c.RepositorySlug}}
			}
			for _, r := range repositories {
				s.places = append(
					s.places,
					bitbucketPlace{
						newREST(base, sign), at("repositories", r.Owner, r.RepositorySlug, "hooks"),
						r.Owner + "/" + r.RepositorySlug, want,
					},
				)
			}
			return s, nil
		})
	}
}

func bitbucketLogin(ctx context.Context, env pull.Env, auth v1alpha1.BitbucketAuth) (func(*http.Request), error) {
	if auth.OauthToken != nil {
		token, err := env.Secrets.Text(ctx, env.Namespace, auth.OauthToken)
		return withHeader("Authorization", "Bearer "+token), err
	}
	user, password, err := both(ctx, env, &auth.Basic.Username, &auth.Basic.Password)
	return func(r *http.Request) { r.SetBasicAuth(user, password) }, err
}

type bitbucketHook struct {
	UUID        string   `json:"uuid,omitempty"`
	Description string   `json:"description"`
	URL         string   `json:"url"`
	Active      bool     `json:"active"`
	Events      []string `json:"events"`
	Secret      string   `json:"secret,omitempty"`
}

type bitbucketPlace struct {
	api         rest
	path, label string
	want        bitbucketHook
}

func (p bitbucketPlace) name() string { return p.label }

func (p bitbucketPlace) list(ctx context.Context) ([]hook, error) {
	var out []hook
	path := p.path + "?pagelen=100"
	for range maxPages {
		var page struct {
			Values []bitbucketHook `json:"values"`
			Next   string          `json:"next"`
		}
		if _, err := p.api.call(ctx, http.MethodGet, path, nil, &page); err != nil {
			return nil, err
		}
		for _, h := range page.Values {
			if h.URL == p.want.URL {
				out = append(out, hook{id: h.UUID, same: h.Active && sameSet(h.Events, p.want.Events)})
			}
		}
		if page.Next == "" {
			break
		}
		rest, ours := strings.CutPrefix(page.Next, p.api.base+"/")
		if !ours { // credentials go nowhere else
			return nil, errors.New("the next page of the hooks is on another server")
		}
		path = "/" + rest
	}
	return out, nil
}

func (p bitbucketPlace) create(ctx context.Context) error {
	_, err := p.api.call(ctx, http.MethodPost, p.path, p.want, nil)
	return err
}

func (p bitbucketPlace) update(ctx context.Context, id string) error {
	_, err := p.api.call(ctx, http.MethodPut, p.path+at(id), p.want, nil)
	return err
}

func (p bitbucketPlace) remove(ctx context.Context, id string) error {
	return gone(p.api.call(ctx, http.MethodDelete, p.path+at(id), nil, nil))
}
