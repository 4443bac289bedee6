package remote

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/pull"
)

// gitlabHooks keeps the hooks of projects and groups.
func gitlabHooks(c v1alpha1.GitlabEventSource) *hookReconciler {
	if c.AccessToken == nil || address(c.Webhook) == "" {
		return nil
	}
	return newHookReconciler(c.DeleteHookOnFinish, func(ctx context.Context, env pull.Env) (site, error) {
		token, secret, err := both(ctx, env, c.AccessToken, c.SecretToken)
		if err != nil {
			return site{}, err
		}
		base := c.GitlabBaseURL
		if base == "" {
			base = "https://gitlab.com"
		}
		if !strings.HasSuffix(strings.TrimSuffix(base, "/"), "/api/v4") {
			base = strings.TrimSuffix(base, "/") + "/api/v4"
		}
		api := newREST(base, withHeader("PRIVATE-TOKEN", token))
		want := gitlabHook(c, secret)
		s := site{secrets: secret}
		projects := c.Projects
		if len(projects) == 0 && c.ProjectID != "" {
			projects = []string{c.ProjectID}
		}
		for _, p := range projects {
			s.places = append(s.places, gitlabPlace{api, at("projects", p), p, want})
		}
		for _, g := range c.Groups {
			s.places = append(s.places, gitlabPlace{api, at("groups", g), g, want})
		}
		return s, nil
	})
}

// gitlabEvents are the switches of a hook. Source: GitLab, "Project webhooks API".
var gitlabEvents = []string{
	"confidential_issues_events", "confidential_note_events", "deployment_events", "feature_flag_events",
	"issues_events", "job_events", "merge_requests_events", "note_events", "pipeline_events", "push_events",
	"releases_events", "subgroup_events", "tag_push_events", "wiki_page_events",
}

// gitlabHook sets every switch: some are on unless they are told.
func gitlabHook(c v1alpha1.GitlabEventSource, secret string) map[string]any {
	hook := map[string]any{"url": address(c.Webhook), "enable_ssl_verification": c.EnableSSLVerification}
	if secret != "" {
		hook["token"] = secret
	}
	wanted := map[string]bool{}
	for _, e := range c.Events {
		wanted[gitlabSwitch(e)] = true
	}
	for _, e := range gitlabEvents {
		hook[e] = wanted[e] || wanted["*"]
	}
	return hook
}

// gitlabSwitch is the switch of an event as manifests name it, by the field of a Go
// client, such as MergeRequestsEvents.
func gitlabSwitch(event string) string {
	var b strings.Builder
	for i, r := range strings.Replace(event, "SubGroup", "Subgroup", 1) {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

type gitlabPlace struct {
	api         rest
	path, label string
	want        map[string]any
}

func (p gitlabPlace) name() string { return p.label }

func (p gitlabPlace) list(ctx context.Context) ([]hook, error) {
	var out []hook
	for page := "1"; page != ""; {
		var hooks []map[string]any
		header, err := p.api.call(ctx, http.MethodGet, p.path+"/hooks?per_page=100&page="+page, nil, &hooks)
		if err != nil {
			return nil, err
		}
		for _, h := range hooks {
			if h["url"] != p.want["url"] {
				continue
			}
			id, _ := h["id"].(float64)
			out = append(out, hook{id: strconv.FormatInt(int64(id), 10), same: p.same(h)})
		}
		page = header.Get("X-Next-Page")
		if n, err := strconv.Atoi(page); page != "" && (err != nil || n > maxPages) {
			return nil, fmt.Errorf("page %q of the hooks is too far", page)
		}
	}
	return out, nil
}

func (p gitlabPlace) same(h map[string]any) bool {
	for _, e := range gitlabEvents {
		if on, known := h[e].(bool); known && on != p.want[e] { // a project knows no subgroups
			return false
		}
	}
	return h["enable_ssl_verification"] == p.want["enable_ssl_verification"]
}

func (p gitlabPlace) create(ctx context.Context) error {
	_, err := p.api.call(ctx, http.MethodPost, p.path+"/hooks", p.want, nil)
	return err
}

func (p gitlabPlace) update(ctx context.Context, id string) error {
	_, err := p.api.call(ctx, http.MethodPut, p.path+"/hooks"+at(id), p.want, nil)
	return err
}

func (p gitlabPlace) remove(ctx context.Context, id string) error {
	return gone(p.api.call(ctx, http.MethodDelete, p.path+"/hooks"+at(id), nil, nil))
}
