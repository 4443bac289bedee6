package forge

import (
	"context"
	"errors"
	"net/http"
)

// gitea is Gitea and Forgejo. Source: its API documentation, pulls by base and head.
var gitea = kind{"gitea", func(ctx context.Context, a api, r Request) error {
	a.header = "Authorization: token "
	pulls := a.base + "/api/v1/repos/" + escaped(a.path) + "/pulls"
	return ensure(func() (bool, error) {
		var pull struct {
			State string `json:"state"`
		}
		err := a.call(ctx, http.MethodGet, pulls+"/"+escaped(r.Base)+"/"+escaped(r.Head), nil, &pull)
		if no, is := errors.AsType[*answerError](err); is && no.status == http.StatusNotFound {
			return false, nil
		}
		return pull.State == "open", err
	}, func() error {
		body := map[string]string{"title": r.Title, "body": r.Body, "head": r.Head, "base": r.Base}
		return a.call(ctx, http.MethodPost, pulls, body, nil)
	})
}}
