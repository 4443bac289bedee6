package core

import (
	"mime"
	"net/http"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

var githubProvider = Provider{
	Hooks:  func(s *v1alpha1.EventSourceSpec) map[string]Hook { return eachHook(s.Github, githubHook) },
	Verify: bearerAnd(verifyGitHub),
	Decode: decodeGitHub,
}

func githubHook(c v1alpha1.GithubEventSource) Hook {
	h := Hook{Filter: c.Filter, Route: Route{Events: c.Events, Metadata: c.Metadata}}
	h.listen(c.Webhook)
	h.signed(c.WebhookSecret)
	return h
}

// verifyGitHub checks X-Hub-Signature-256. SHA-1 alone is not accepted: every
// GitHub since 2020 sends both.
func verifyGitHub(route Route, req Request) error {
	return hubSignature("X-Hub-Signature-256", route, req)
}

func decodeGitHub(route Route, req Request) ([]Item, error) {
	kind, delivery := req.Header.Get("X-GitHub-Event"), req.Header.Get("X-GitHub-Delivery")
	if kind == "" || delivery == "" {
		return nil, reject(http.StatusBadRequest, "malformed", "X-GitHub-Event or X-GitHub-Delivery is missing")
	}
	if kind == "ping" || !wanted(route.Events, kind) {
		return nil, errIgnored
	}
	payload, err := githubPayload(req)
	if err != nil {
		return nil, err
	}
	b, known, err := objectBody(payload, "X-GitHub-Event", "X-GitHub-Delivery")
	if err != nil {
		return nil, err
	}
	if b.raw != nil {
		// Written anew, keys of the sender's own that we are about to add must go.
		if b.text, err = without(b.text, "X-GitHub-Event", "X-GitHub-Delivery"); err != nil {
			return nil, err
		}
	}
	if len(payload) != len(req.Body) {
		b.raw = req.Body // a form was signed, not the JSON in it
	}
	item := Item{
		ID:   delivery,
		Type: "github",
		Data: view("headers", req, b.with(injected(kind, delivery)...), route.Metadata),
	}
	if kind == "push" {
		item.Message, item.Pushed = pushedGitHub(payload, known)
	}
	return []Item{item}, nil
}

// injected are the keys that Argo Events adds to the body.
func injected(kind, delivery string) []pair {
	return []pair{{key: "X-GitHub-Event", text: quote(kind)}, {key: "X-GitHub-Delivery", text: quote(delivery)}}
}

// githubPayload takes both content types that GitHub can be told to send.
func githubPayload(req Request) ([]byte, error) {
	if mediaType(req) != formType {
		return req.Body, nil
	}
	form, err := parseForm(req.Body)
	if err != nil {
		return nil, reject(http.StatusBadRequest, "malformed", "the form cannot be read: %v", err)
	}
	return []byte(form.Get("payload")), nil
}

const formType = "application/x-www-form-urlencoded"

// mediaType is the content type without its parameters.
func mediaType(req Request) string { return mediaTypeOf(req.Header.Get("Content-Type")) }

func mediaTypeOf(header string) string {
	if header == "application/json" {
		return header // as most say it
	}
	kind, _, err := mime.ParseMediaType(header)
	if err != nil {
		// Parameters that cannot be read say nothing about the type before them.
		header, _, _ = strings.Cut(header, ";")
		return strings.ToLower(strings.TrimSpace(header))
	}
	return kind
}
