package remote

import (
	"context"
	"net/http"
	"strconv"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/pull"
)

// giteaHooks keeps the hooks of repositories and organizations of Gitea and Forgejo.
func giteaHooks(c v1alpha1.GiteaEventSource) *hookReconciler {
	if c.AccessToken == nil || c.BaseURL == "" || address(c.Webhook) == "" {
		return nil
	}
	return newHookReconciler(c.DeleteHookOnFinish, func(ctx context.Context, env pull.Env) (site, error) {
		token, secret, err := both(ctx, env, c.AccessToken, c.WebhookSecret)
		if err != nil {
			return site{}, err
		}
		api := newREST(c.BaseURL, withHeader("Authorization", "token "+token))
		want := giteaHook{
			Type:   "gitea",
			Active: true,
			Events: c.Events,
			Config: map[string]string{"url": address(c.Webhook), "content_type": "json", "secret": secret},
		}
		if len(want.Events) == 0 || want.Events[0] == "*" {
			want.Events = giteaEvents
		}
		s := site{secrets: secret}
		for _, r := range c.Repositories {
			for _, repo := range r.Names {
				s.places = append(
					s.places,
					giteaPlace{api, at("api", "v1", "repos", r.Owner, repo, "hooks"), r.Owner + "/" + repo, want},
				)
			}
		}
		for _, org := range c.Organizations {
			s.places = append(s.places, giteaPlace{api, at("api", "v1", "orgs", org, "hooks"), org, want})
		}
		return s, nil
	})
}

// giteaEvents are those that every version in use knows. Source: Gitea, "Webhooks".
var giteaEvents = []string{
	"create", "delete", "fork", "push", "issues", "issue_comment", "pull_request", "repository", "release", "package",
}

type giteaHook struct {
	ID     int64             `json:"id,omitempty"`
	Type   string            `json:"type"`
	Config map[string]string `json:"config"`
	Events []string          `json:"events"`
	Active bool              `json:"active"`
}

type giteaPlace struct {
	api         rest
	path, label string
	want        giteaHook
}

func (p giteaPlace) name() string { return p.label }

func (p giteaPlace) list(ctx context.Context) ([]hook, error) {
	var out []hook
	for page := 1; page <= maxPages; page++ {
		var hooks []giteaHook
		if _, err := p.api.call(
			ctx, http.MethodGet, p.path+"?limit=50&page="+strconv.Itoa(page), nil, &hooks,
		); err != nil {
			return nil, err
		}
		if len(hooks) == 0 { // a server may give less than it was asked for
			break
		}
		for _, h := range hooks {
			if h.Config["url"] == p.want.Config["url"] {
				out = append(
					out,
					hook{
						id:   strconv.FormatInt(h.ID, 10),
						same: h.Active && sameSet(h.Events, p.want.Events) && h.Config["content_type"] == "json",
					},
				)
			}
		}
	}
	return out, nil
}

func (p giteaPlace) create(ctx context.Context) error {
	_, err := p.api.call(ctx, http.MethodPost, p.path, p.want, nil)
	return err
}

func (p giteaPlace) update(ctx context.Context, id string) error {
	_, err := p.api.call(ctx, http.MethodPatch, p.path+at(id), p.want, nil)
	return err
}

func (p giteaPlace) remove(ctx context.Context, id string) error {
	return gone(p.api.call(ctx, http.MethodDelete, p.path+at(id), nil, nil))
}
