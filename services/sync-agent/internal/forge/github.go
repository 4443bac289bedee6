package forge

import (
	"context"
	"net/http"
	"net/url"
	"strings"
)

// github is GitHub and GitHub Enterprise. Source: its REST documentation, pulls.
var github = kind{"github", func(ctx context.Context, a api, r Request) error {
	a.header = "Authorization: Bearer "
	root := a.base + "/api/v3"
	if a.base == "https://github.com" {
		root = "https://api.github.com"
	}
	pulls := root + "/repos/" + escaped(a.path) + "/pulls"
	owner, _, _ := strings.Cut(a.path, "/")
	return ensure(func() (bool, error) {
		var open []struct{}
		query := url.Values{"state": {"open"}, "head": {owner + ":" + r.Head}, "base": {r.Base}}
		err := a.call(ctx, http.MethodGet, pulls+"?"+query.Encode(), nil, &open)
		return len(open) > 0, err
	}, func() error {
		body := map[string]string{"title": r.Title, "body": r.Body, "head": r.Head, "base": r.Base}
		return a.call(ctx, http.MethodPost, pulls, body, nil)
	})
}}
