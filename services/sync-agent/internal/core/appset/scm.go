package appset

import (
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// Repository is a branch of a repository at a forge.
type Repository struct {
	Organization, Name, ID string
	URL                    string // to clone from
	Branch, SHA            string
	Labels                 []string
}

// scmKind gives the repositories of an owner. Source: the scmProvider generator of Argo CD.
func scmKind() kind {
	return asking("scmProvider", dearNet,
		func(_ *v1alpha1.SCMProviderGenerator, all []Repository, e *engine) ([]Params, error) {
			out := make([]Params, len(all))
			for i, r := range all {
				out[i] = e.params(map[string]any{
					"organization": r.Organization, "repository": r.Name, "repository_id": r.ID, "url": r.URL,
					"branch": r.Branch, "branchNormalized": normalize(r.Branch),
					"sha": r.SHA, "short_sha": cut(r.SHA, 8), "short_sha_7": cut(r.SHA, 7),
					"labels": strings.Join(r.Labels, ","),
				})
			}
			return out, nil
		})
}

// cut is the beginning of a text.
func cut(s string, n int) string { return s[:min(len(s), n)] }
