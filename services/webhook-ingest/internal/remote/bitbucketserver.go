package remote

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/pull"
)

// bitbucketServerHooks keeps the hooks of repositories, and of all repositories of
// projects, of Bitbucket Server and Data Center.
func bitbucketServerHooks(c v1alpha1.BitbucketServerEventSource) *hookReconciler {
	if c.AccessToken == nil || address(c.Webhook) == "" {
		return nil
	}
	k := newHookReconciler(c.DeleteHookOnFinish, func(ctx context.Context, env pull.Env) (site, error) {
		token, secret, err := both(ctx, env, c.AccessToken, c.WebhookSecret)
		if err != nil {
			return site{}, err
		}
		base := strings.TrimSuffix(c.BitbucketserverBaseURL, "/")
		if !strings.HasSuffix(base, "/rest") {
			base += "/rest"
		}
		api := newREST(base+"/api/1.0", withHeader("Authorization", "Bearer "+token))
		secure, err := env.TLS(ctx, c.TLS)
		if err != nil {
			return site{}, err
		}
		if secure != nil {
			api.client.Transport = &http.Transport{TLSClientConfig: secure, Proxy: http.ProxyFromEnvironment}
		}
		want := serverHook{
			Name: "argosy " + env.Name(), URL: address(c.Webhook), Active: true, Events: c.Events,
			Configuration: map[string]string{"secret": secret},
		}
		s := site{secrets: secret}
		repositories, err := serverRepositories(ctx, api, c)
		for _, r := range repositories {
			s.places = append(
				s.places,
				serverPlace{
					api, at("projects", r.ProjectKey, "repos", r.RepositorySlug), r.ProjectKey + "/" + r.RepositorySlug,
					want,
				},
			)
		}
		return s, err
	})
	if every, err := time.ParseDuration(c.CheckInterval); err == nil && every >= time.Minute {
		k.every = every
	}
	return k
}

// serverRepositories are those that are named, and those of the projects.
func serverRepositories(
	ctx context.Context, api rest, c v1alpha1.BitbucketServerEventSource,
) ([]v1alpha1.BitbucketServerRepository, error) {
	out := append([]v1alpha1.BitbucketServerRepository(nil), c.Repositories...)
	if len(out) == 0 && c.RepositorySlug != "" {
		out = append(
			out, v1alpha1.BitbucketServerRepository{ProjectKey: c.ProjectKey, RepositorySlug: c.RepositorySlug},
		)
	}
	for _, project := range c.Projects {
		found, err := serverPages[struct {
			Slug string `json:"slug"`
		}](ctx, api, at("projects", project, "repos"))
		if err != nil {
			return nil, err
		}
		for _, r := range found {
			out = append(out, v1alpha1.BitbucketServerRepository{ProjectKey: project, RepositorySlug: r.Slug})
		}
	}
	return out, nil
}

// serverPages reads all pages of a listing.
func serverPages[T any](ctx context.Context, api rest, path string) ([]T, error) {
	var out []T
	for start, n := 0, 0; n < maxPages; n++ {
		var page struct {
			Values        []T  `json:"values"`
			IsLastPage    bool `json:"isLastPage"`
			NextPageStart int  `json:"nextPageStart"`
		}
		if _, err := api.call(
			ctx, http.MethodGet, fmt.Sprintf("%s?limit=100&start=%d", path, start), nil, &page,
		); err != nil {
			return nil, err
		}
		out = append(out, page.Values...)
		if page.IsLastPage || page.NextPageStart <= start {
			break
		}
		start = page.NextPageStart
	}
	return out, nil
}

type serverHook struct {
	ID            int64             `json:"id,omitempty"`
	Name          string            `json:"name"`
	URL           string            `json:"url"`
	Active        bool              `json:"active"`
	Events        []string          `json:"events"`
	Configuration map[string]string `json:"configuration"`
}

type serverPlace struct {
	api         rest
	path, label string
	want        serverHook
}

func (p serverPlace) name() string { return p.label }

func (p serverPlace) list(ctx context.Context) ([]hook, error) {
	hooks, err := serverPages[serverHook](ctx, p.api, p.path+"/webhooks")
	var out []hook
	for _, h := range hooks {
		if h.URL == p.want.URL {
			out = append(out, hook{id: strconv.FormatInt(h.ID, 10), same: h.Active && sameSet(h.Events, p.want.Events)})
		}
	}
	return out, err
}

func (p serverPlace) create(ctx context.Context) error {
	_, err := p.api.call(ctx, http.MethodPost, p.path+"/webhooks", p.want, nil)
	return err
}

func (p serverPlace) update(ctx context.Context, id string) error {
	_, err := p.api.call(ctx, http.MethodPut, p.path+"/webhooks"+at(id), p.want, nil)
	return err
}

func (p serverPlace) remove(ctx context.Context, id string) error {
	return gone(p.api.call(ctx, http.MethodDelete, p.path+"/webhooks"+at(id), nil, nil))
}
