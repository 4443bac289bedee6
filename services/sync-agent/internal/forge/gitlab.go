package forge

import (
	"context"
	"net/http"
	"net/url"
)

// gitlab is GitLab, whose projects may lie in groups of groups. Source: its REST documentation, merge requests.
var gitlab = kind{"gitlab", func(ctx context.Context, a api, r Request) error {
	a.header = "PRIVATE-TOKEN: "
	requests := a.base + "/api/v4/projects/" + url.PathEscape(a.path) + "/merge_requests"
	return ensure(func() (bool, error) {
		var open []struct{}
		query := url.Values{"state": {"opened"}, "source_branch": {r.Head}, "target_branch": {r.Base}}
		err := a.call(ctx, http.MethodGet, requests+"?"+query.Encode(), nil, &open)
		return len(open) > 0, err
	}, func() error {
		body := map[string]string{
			"title": r.Title, "description": r.Body, "source_branch": r.Head, "target_branch": r.Base,
		}
		return a.call(ctx, http.MethodPost, requests, body, nil)
	})
}}
