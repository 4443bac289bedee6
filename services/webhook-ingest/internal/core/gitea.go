package core

import (
	"encoding/hex"
	"net/http"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

var giteaProvider = Provider{
	Hooks:  func(s *v1alpha1.EventSourceSpec) map[string]Hook { return eachHook(s.Gitea, giteaHook) },
	Verify: bearerAnd(verifyGitea),
	Decode: decodeGitea,
}

func giteaHook(c v1alpha1.GiteaEventSource) Hook {
	h := Hook{Filter: c.Filter, Route: Route{Events: c.Events, Metadata: c.Metadata}}
	h.listen(c.Webhook)
	h.signed(c.WebhookSecret)
	return h
}

// verifyGitea checks X-Gitea-Signature or X-Forgejo-Signature, hex of HMAC-SHA256;
// newer servers send GitHub's header too.
func verifyGitea(route Route, req Request) error {
	for _, name := range []string{"X-Gitea-Signature", "X-Forgejo-Signature"} {
		if got := req.Header.Get(name); got != "" {
			return matchMAC(name, sign(route.Secret, req.Body), encodedMAC{text: got, decode: hex.DecodeString})
		}
	}
	return hubSignature("X-Hub-Signature-256", route, req)
}

// giteaHeader returns what either server calls a header.
func giteaHeader(req Request, name string) string {
	if v := req.Header.Get("X-Gitea-" + name); v != "" {
		return v
	}
	return req.Header.Get("X-Forgejo-" + name)
}

func decodeGitea(route Route, req Request) ([]Item, error) {
	kind, delivery := giteaHeader(req, "Event"), giteaHeader(req, "Delivery")
	if kind == "" || delivery == "" {
		return nil, reject(http.StatusBadRequest, "malformed", "X-Gitea-Event or X-Gitea-Delivery is missing")
	}
	if !wanted(route.Events, kind) {
		return nil, errIgnored
	}
	payload, err := githubPayload(req)
	if err != nil {
		return nil, err
	}
	b, known, err := objectBody(payload)
	if err != nil {
		return nil, err
	}
	if len(payload) != len(req.Body) {
		b.raw = req.Body
	}
	item := Item{ID: delivery, Type: "gitea", Data: view("headers", req, b, route.Metadata)}
	if kind == "push" {
		item.Message, item.Pushed = pushedGitHub(payload, known)
	}
	return []Item{item}, nil
}
