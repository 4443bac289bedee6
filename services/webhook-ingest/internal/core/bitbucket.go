package core

import (
	"encoding/json"
	"net/http"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/tidwall/gjson"
)

var bitbucketServerProvider = Provider{
	Hooks: func(s *v1alpha1.EventSourceSpec) map[string]Hook {
		return eachHook(s.Bitbucketserver, bitbucketServerHook)
	},
	Greet:  greetBitbucket,
	Verify: bearerAnd(verifyBitbucket),
	Decode: decodeBitbucketServer,
}

func bitbucketServerHook(c v1alpha1.BitbucketServerEventSource) Hook {
	h := Hook{Filter: c.Filter, Route: Route{Events: c.Events, Metadata: c.Metadata, Split: c.OneEventPerChange}}
	h.listen(c.Webhook)
	h.signed(c.WebhookSecret)
	return h
}

var bitbucketProvider = Provider{
	Hooks:  func(s *v1alpha1.EventSourceSpec) map[string]Hook { return eachHook(s.Bitbucket, bitbucketHook) },
	Greet:  greetBitbucket,
	Verify: bearerAnd(verifyBitbucket),
	Decode: decodeBitbucket,
}

func bitbucketHook(c v1alpha1.BitbucketEventSource) Hook {
	h := Hook{Filter: c.Filter, Route: Route{Events: c.Events, Metadata: c.Metadata}}
	h.listen(&c.Webhook)
	h.signed(c.WebhookSecret)
	return h
}

// verifyBitbucket checks X-Hub-Signature, which Bitbucket fills with HMAC-SHA256.
// Source: Bitbucket Cloud, "Manage webhooks"; Bitbucket Data Center, "Manage
// webhooks", both on the secret.
func verifyBitbucket(route Route, req Request) error {
	return hubSignature("X-Hub-Signature", route, req)
}

// greetBitbucket answers the test of a connection, which is not signed: no event comes
// of it.
func greetBitbucket(_ Route, req Request) (Outcome, bool) {
	return Outcome{
		Status: http.StatusOK,
		Text:   errIgnored.text,
		Class:  errIgnored.class,
	}, req.Header.Get("X-Event-Key") == "diagnostics:ping"
}

// bitbucketID names a delivery. The id of the request stays the same when the delivery
// is attempted again, and is shared by all hooks and events that one request of a user
// leads to.
func bitbucketID(req Request) string {
	id := req.Header.Get("X-Request-UUID")
	if id == "" {
		id = req.Header.Get("X-Request-Id")
	}
	if id == "" {
		return ""
	}
	return digest(id, req.Header.Get("X-Event-Key"), string(req.Body))
}

func decodeBitbucket(route Route, req Request) ([]Item, error) {
	if !wanted(route.Events, req.Header.Get("X-Event-Key")) {
		return nil, errIgnored
	}
	b, _, err := objectBody(req.Body)
	if err != nil {
		return nil, err
	}
	item := Item{ID: bitbucketID(req), Type: "bitbucket", Data: view("headers", req, b, route.Metadata)}
	if req.Header.Get("X-Event-Key") == "repo:push" {
		item.Pushed, item.Message = pushedBitbucket(b.text), gjson.GetBytes(
			b.text, "push.changes.0.new.target.message",
		).String()
	}
	return []Item{item}, nil
}

// decodeBitbucketServer can make an event of each change of a push. Source: Argo
// Events, oneEventPerChange: the same body with one change.
func decodeBitbucketServer(route Route, req Request) ([]Item, error) {
	key := req.Header.Get("X-Event-Key")
	if !wanted(route.Events, key) {
		return nil, errIgnored
	}
	b, _, err := objectBody(req.Body)
	if err != nil {
		return nil, err
	}
	bodies := []body{b}
	if route.Split {
		if bodies, err = perChange(b); err != nil {
			return nil, err
		}
	}
	var items []Item
	delivery := bitbucketID(req)
	for i, b := range bodies {
		id := numbered(delivery, i)
		req.Room = nil // each has data of its own
		items = append(
			items,
			Item{
				ID: id, Type: "bitbucketserver", Data: view("headers", req, b, route.Metadata),
				Pushed: pushedBitbucketServer(b.text),
			},
		)
	}
	return items, nil
}

func perChange(b body) ([]body, error) {
	var push map[string]json.RawMessage
	if err := json.Unmarshal(b.text, &push); err != nil {
		return nil, reject(http.StatusBadRequest, "malformed", "the body is not a JSON object: %v", err)
	}
	var changes []json.RawMessage
	if json.Unmarshal(push["changes"], &changes) != nil || len(changes) < 2 {
		return []body{b}, nil //nolint:nilerr // what is no list of changes is one event as it is
	}
	raw := b.raw
	if raw == nil {
		raw = b.text
	}
	out := make([]body, 0, len(changes))
	for i := range changes {
		push["changes"] = encoded(changes[i : i+1])
		out = append(out, body{text: encoded(push), raw: raw})
	}
	return out, nil
}
