package core

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/tidwall/gjson"
)

var gitlabProvider = Provider{
	Hooks:   func(s *v1alpha1.EventSourceSpec) map[string]Hook { return eachHook(s.Gitlab, gitlabHook) },
	Verify:  bearerAnd(verifyGitLab),
	Secrets: []string{"X-Gitlab-Token"},
	Decode:  decodeGitLab,
}

func gitlabHook(c v1alpha1.GitlabEventSource) Hook {
	h := Hook{Filter: c.Filter, Route: Route{Events: c.Events, Metadata: c.Metadata}}
	h.listen(c.Webhook)
	h.signed(c.SecretToken)
	return h
}

// verifyGitLab compares X-Gitlab-Token: GitLab sends its secret as it is.
func verifyGitLab(route Route, req Request) error {
	if same(req.Header.Get("X-Gitlab-Token"), route.Secret) {
		return nil
	}
	return reject(http.StatusUnauthorized, "unauthorized", "X-Gitlab-Token is missing or wrong")
}

// gitlabHooks are the names that manifests give to events, as X-Gitlab-Event has
// them. Source: fields of the hook in GitLab's API, and its webhook reference.
var gitlabHooks = map[string]string{
	"PushEvents": "Push Hook", "TagPushEvents": "Tag Push Hook", "IssuesEvents": "Issue Hook",
	"ConfidentialIssuesEvents": "Confidential Issue Hook", "NoteEvents": "Note Hook",
	"ConfidentialNoteEvents": "Confidential Note Hook", "MergeRequestsEvents": "Merge Request Hook",
	"JobEvents": "Job Hook", "PipelineEvents": "Pipeline Hook", "WikiPageEvents": "Wiki Page Hook",
	"DeploymentEvents": "Deployment Hook", "ReleasesEvents": "Release Hook", "SubGroupEvents": "Subgroup Hook",
	"FeatureFlagEvents": "Feature Flag Hook", "EmojiEvents": "Emoji Hook", "MemberEvents": "Member Hook",
	"ResourceAccessTokenEvents": "Resource Access Token Hook", "MilestoneEvents": "Milestone Hook",
}

// GitlabEvents are the names that manifests may give.
func GitlabEvents() []string { return slices.Sorted(maps.Keys(gitlabHooks)) }

// decodeGitLab refuses nothing that is signed: GitLab turns off hooks that are
// answered 4xx four times.
func decodeGitLab(route Route, req Request) ([]Item, error) {
	if unwantedHook(route.Events, req.Header.Get("X-Gitlab-Event")) {
		return nil, errIgnored
	}
	b, _, err := objectBody(req.Body)
	if err != nil {
		return nil, err
	}
	id := req.Header.Get("Idempotency-Key")
	if id == "" {
		// The UUID is shared by all hooks that one event leads to.
		if uuid := req.Header.Get("X-Gitlab-Event-UUID"); uuid != "" {
			id = digest(uuid, string(req.Body))
		}
	}
	item := Item{ID: id, Type: "gitlab", Data: view("headers", req, b, route.Metadata)}
	if kind := req.Header.Get("X-Gitlab-Event"); strings.Contains(kind, "Push") || kind == "System Hook" {
		item.Pushed = pushedGitLab(b.text)
		if item.Pushed != nil {
			item.Message = gjson.GetBytes(b.text, `commits.#(id=="`+item.Pushed.Changes[0].Commit+`").message`).String()
		}
	}
	return []Item{item}, nil
}

// unwantedHook is about kinds that are known and were not asked for; of a kind
// that nobody knows yet the manifest cannot say anything.
func unwantedHook(events []string, hook string) bool {
	if len(events) == 0 {
		return false
	}
	known := false
	for _, name := range events {
		if name == "*" || gitlabHooks[name] == hook {
			return false
		}
	}
	for _, name := range gitlabHooks {
		known = known || name == hook
	}
	return known
}
