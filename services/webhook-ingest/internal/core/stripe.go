package core

import (
	"encoding/hex"
	"net/http"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/tidwall/gjson"
)

var stripeProvider = Provider{
	Hooks:  func(s *v1alpha1.EventSourceSpec) map[string]Hook { return eachHook(s.Stripe, stripeHook) },
	Verify: bearerAnd(verifyStripe),
	Decode: decodeStripe,
}

func stripeHook(c v1alpha1.StripeEventSource) Hook {
	h := Hook{Route: Route{Events: c.EventFilter, Metadata: c.Metadata}}
	h.listen(c.Webhook)
	h.signed(c.SigningSecret)
	return h
}

// verifyStripe checks Stripe-Signature: a time and one signature for each secret
// that is valid now. Source: Stripe, "Verify webhook signatures manually".
func verifyStripe(route Route, req Request) error {
	var at string
	var given []string
	for part := range strings.SplitSeq(req.Header.Get("Stripe-Signature"), ",") {
		switch key, value, _ := strings.Cut(strings.TrimSpace(part), "="); key {
		case "t":
			at = value
		case "v1":
			given = append(given, value)
		}
	}
	if len(given) == 0 {
		return reject(http.StatusUnauthorized, "unauthorized", "Stripe-Signature is missing or has no v1")
	}
	want := sign(route.Secret, []byte(at+"."), req.Body)
	for _, text := range given {
		if matchMAC("Stripe-Signature", want, encodedMAC{text: text, decode: hex.DecodeString}) == nil {
			return fresh("Stripe-Signature", at, req.Now)
		}
	}
	return reject(http.StatusUnauthorized, "unauthorized", "Stripe-Signature does not match the body")
}

// decodeStripe leaves the headers out, as upstream does. Events that are not asked
// for are taken and dropped: Stripe turns off endpoints that refuse.
func decodeStripe(route Route, req Request) ([]Item, error) {
	b, _, err := objectBody(req.Body)
	if err != nil {
		return nil, err
	}
	id := gjson.GetBytes(b.text, "id").String()
	if id == "" {
		return nil, reject(http.StatusBadRequest, "malformed", "the event has no id")
	}
	if !wanted(route.Events, gjson.GetBytes(b.text, "type").String()) {
		return nil, errIgnored
	}
	pairs := []pair{{key: "event", text: b.text}}
	if len(route.Metadata) > 0 {
		pairs = append(pairs, pair{key: "metadata", text: encoded(route.Metadata)})
	}
	if b.raw != nil {
		pairs = append(pairs, pair{key: "raw", text: encoded(b.raw)})
	}
	return []Item{{ID: id, Type: "stripe", Data: joined(pairs)}}, nil
}
