package appset

import (
	"strconv"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// PullRequest is an open request to merge a branch.
type PullRequest struct {
	Number               int64
	Title                string
	Branch, TargetBranch string
	HeadSHA              string
	Labels               []string
	Author               string
}

// pullRequestKind gives open pull requests; their labels are a list, which only Go templates know. Source: the
// pullRequest generator of Argo CD.
func pullRequestKind() kind {
	return asking("pullRequest", dearNet,
		func(_ *v1alpha1.PullRequestGenerator, all []PullRequest, e *engine) ([]Params, error) {
			out := make([]Params, len(all))
			for i, r := range all {
				p := map[string]any{
					"number": strconv.FormatInt(r.Number, 10), "title": r.Title, "author": r.Author,
					"branch": r.Branch, "branch_slug": slug(r.Branch, slugLimit, false),
					"target_branch": r.TargetBranch, "target_branch_slug": slug(r.TargetBranch, slugLimit, false),
					"head_sha": r.HeadSHA, "head_short_sha": cut(r.HeadSHA, 8), "head_short_sha_7": cut(r.HeadSHA, 7),
				}
				if e.tree {
					p["labels"] = plain(r.Labels)
				}
				out[i] = e.params(p)
			}
			return out, nil
		})
}
