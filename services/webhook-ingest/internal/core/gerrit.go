package core

import (
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/tidwall/gjson"
)

var gerritProvider = Provider{
	Hooks:  func(s *v1alpha1.EventSourceSpec) map[string]Hook { return eachHook(s.Gerrit, gerritHook) },
	Verify: verifyBearer,
	Decode: decodeGerrit,
}

func gerritHook(c v1alpha1.GerritEventSource) Hook {
	h := Hook{Filter: c.Filter, Route: Route{Events: c.Events, Metadata: c.Metadata}}
	h.listen(c.Webhook)
	return h
}

// decodeGerrit takes what the webhooks plugin of Gerrit sends: the event alone, with
// its type in it. It is not signed and has no id; its body holds when it was made.
func decodeGerrit(route Route, req Request) ([]Item, error) {
	b, _, err := objectBody(req.Body)
	if err != nil {
		return nil, err
	}
	if !wanted(route.Events, gjson.GetBytes(b.text, "type").String()) {
		return nil, errIgnored
	}
	return []Item{{ID: digest(string(req.Body)), Type: "gerrit", Data: view("headers", req, b, route.Metadata)}}, nil
}
