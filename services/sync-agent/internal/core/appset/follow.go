package appset

import (
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/push"
)

// Follows reports whether a push may change what an ApplicationSet generates: one of its generators reads that
// repository, or lists those of its owner. What a template names is known only when it is filled in, so it counts for
// every repository or revision.
func Follows(set map[string]any, p push.Push) bool {
	spec, _ := set["spec"].(map[string]any)
	return slices.ContainsFunc(list(spec["generators"]), func(g any) bool { return follows(g, p, 0) })
}

func follows(generator any, p push.Push, depth int) bool {
	tree, _ := generator.(map[string]any)
	for _, field := range fieldsOf(tree) {
		spec, _ := tree[field].(map[string]any)
		switch field {
		case "matrix", "merge":
			if depth < maxDepth && slices.ContainsFunc(
				list(spec["generators"]), func(g any) bool { return follows(g, p, depth+1) },
			) {
				return true
			}
		case "git":
			if followsGit(spec, p) {
				return true
			}
		case "scmProvider", "pullRequest":
			if followsForge(spec, p) {
				return true
			}
		}
	}
	return false
}

func followsGit(spec map[string]any, p push.Push) bool {
	url, _ := spec["repoURL"].(string)
	revision, _ := spec["revision"].(string)
	if strings.Contains(url, "{{") {
		return true
	}
	if strings.Contains(revision, "{{") {
		return slices.Contains(p.URLs, push.NormalURL(url))
	}
	_, concerns := p.Concerns(v1alpha1.ApplicationSource{RepoURL: url, TargetRevision: revision})
	return concerns
}

// owners are the fields of forges that name whose repositories they list, and one repository of theirs.
var owners = []string{"organization", "group", "owner", "project", "teamProject", "repo"}

// followsForge compares the names that a generator gives its forge with the path of the repository.
func followsForge(spec map[string]any, p push.Push) bool {
	for _, v := range spec {
		forge, ok := v.(map[string]any)
		if !ok {
			continue
		}
		var names []string
		for _, field := range owners {
			if s, _ := forge[field].(string); s != "" {
				names = append(names, strings.ToLower(s))
			}
		}
		if len(names) > 0 && slices.ContainsFunc(p.URLs, func(url string) bool {
			_, path, _ := strings.Cut(strings.ToLower(url), "/")
			return !slices.ContainsFunc(names, func(n string) bool {
				return !strings.Contains(n, "{{") && !isNumber(n) && !strings.Contains("/"+path+"/", "/"+n+"/")
			})
		}) {
			return true
		}
	}
	return false
}

// isNumber holds for the ids of groups and projects, which no URL shows.
func isNumber(s string) bool { return strings.Trim(s, "0123456789") == "" }
