package core

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// body is what a hook carried, fit to be embedded in the view.
type body struct {
	text []byte // JSON
	raw  []byte // what was sent, when text is not that; nil otherwise
	more []pair // keys that stand behind those of text, which is an object then
}

// jsonBody takes one JSON value as it is, or writes it anew where readers could
// differ over it.
func jsonBody(text []byte, reserved ...string) (body, jsonText, error) {
	plain := PlainText(text)
	known, err := inspect(plain, reserved...)
	if err != nil {
		return body{}, known, reject(http.StatusBadRequest, "malformed", "the body is not JSON: %v", err)
	}
	b := body{text: plain}
	if len(plain) != len(text) {
		b.raw = text
	}
	if !known.Odd {
		return b, known, nil
	}
	again, err := rewritten(plain)
	return body{text: again, raw: text}, known, err
}

// objectBody is jsonBody for senders that send objects only.
func objectBody(text []byte, reserved ...string) (body, jsonText, error) {
	b, known, err := jsonBody(text, reserved...)
	if err == nil && !known.Object {
		err = reject(http.StatusBadRequest, "malformed", "the body is not a JSON object")
	}
	return b, known, err
}

// pair is a key of the view with its JSON.
type pair struct {
	key  string
	text []byte
	more []pair // keys at the end of text, which is an object then
}

// with adds keys at the end of an object; ones of the same name must not be there.
func (b body) with(pairs ...pair) body {
	b.more = pairs
	return b
}

// size is how many bytes a pair takes at most, with what separates it from the next one.
func (p pair) size() int {
	n := len(p.key) + len(p.text) + len(`"":,`)
	for _, m := range p.more {
		n += m.size()
	}
	return n
}

// appendPairs writes the inside of an object.
func appendPairs(out []byte, pairs []pair) []byte {
	for i, p := range pairs {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(appendText(out, p.key), ':')
		if len(p.more) == 0 {
			out = append(out, p.text...)
			continue
		}
		inside := p.text[:len(p.text)-1]
		out = append(out, inside...)
		if len(bytes.TrimSpace(inside[1:])) > 0 {
			out = append(out, ',')
		}
		out = append(appendPairs(out, p.more), '}')
	}
	return out
}

// view is the data of an event, which Sensors address with dataKey. Source: Argo
// Events, the EventData types: the headers are called header or headers by kind.
// Written by hand, since the body is large and is JSON already.
func view(headers string, req Request, b body, metadata map[string]string) json.RawMessage {
	pairs := make([]pair, 0, 4)
	if headers != "" {
		pairs = append(pairs, pair{key: headers, text: presented(req.Header)})
	}
	pairs = append(pairs, pair{key: "body", text: b.text, more: b.more})
	if len(metadata) > 0 {
		pairs = append(pairs, pair{key: "metadata", text: encoded(metadata)})
	}
	if b.raw != nil {
		pairs = append(pairs, pair{key: "raw", text: encoded(b.raw)})
	}
	return joinedIn(req.Room, pairs)
}

// joined writes an object.
func joined(pairs []pair) json.RawMessage { return joinedIn(nil, pairs) }

// joinedIn writes an object in one piece, since bodies are large: where there is room, if it is enough.
func joinedIn(room []byte, pairs []pair) json.RawMessage {
	size := len("{}")
	for _, p := range pairs {
		size += p.size()
	}
	if cap(room) < size {
		room = make([]byte, 0, size)
	}
	return append(appendPairs(append(room[:0], '{'), pairs), '}')
}

// encoded is for our own values, which always have a JSON form.
func encoded(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		return []byte("null")
	}
	return text
}

func quote(s string) json.RawMessage { return appendText(make([]byte, 0, len(s)+len(`""`)), s) }

// appendText writes a text as JSON, as encoding/json does.
func appendText(out []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return append(out, encoded(s)...)
		}
	}
	return append(append(append(out, '"'), s...), '"')
}

// Raw returns the bytes that the sender sent and signed, from the data of an
// event, so that a signature can be checked again. It is an error when the data is
// not that of a hook.
func Raw(data []byte) ([]byte, error) {
	var v struct {
		Headers http.Header     `json:"headers"`
		Body    json.RawMessage `json:"body"`
		Raw     []byte          `json:"raw"`
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return nil, fmt.Errorf("read the data of a hook: %w", err)
	}
	if v.Raw != nil {
		return v.Raw, nil
	}
	if v.Body == nil {
		return nil, errors.New("read the data of a hook: it has no body")
	}
	if kind := v.Headers.Get("X-GitHub-Event"); kind != "" {
		added := injected(kind, v.Headers.Get("X-GitHub-Delivery"))
		suffix := append(appendPairs(nil, added), '}')
		if rest, ok := bytes.CutSuffix(v.Body, append([]byte{','}, suffix...)); ok {
			return append(slices.Clip(rest), '}'), nil
		}
		if rest, ok := bytes.CutSuffix(v.Body, suffix); ok {
			return append(slices.Clip(rest), '}'), nil
		}
	}
	return v.Body, nil
}

// withheld stands in the place of a secret.
const withheld = "[redacted]"

// redacted are headers without secrets: those that carry one by their name, of whatever kind the sender is, and any
// that holds one of the route's own.
func redacted(p Provider, route Route, h http.Header) http.Header {
	secret := func(name string, values []string) bool {
		name = http.CanonicalHeaderKey(name)
		return slices.Contains(secretHeaders, name) || slices.Contains(p.Secrets, name) ||
			slices.ContainsFunc(values, route.holdsSecret)
	}
	var out http.Header
	for name, values := range h {
		if !secret(name, values) {
			continue
		}
		if out == nil {
			out = maps.Clone(h)
		}
		out[name] = []string{withheld}
	}
	if out == nil {
		return h
	}
	return out
}

// shortestSecret is what a header must hold of a secret to be one: shorter ones would be found in anything.
const shortestSecret = 4

// holdsSecret reports whether a text holds one of the secrets of a route.
func (r Route) holdsSecret(text string) bool {
	for _, secret := range []string{r.Secret, r.Bearer, r.Token, r.PathSecret, r.Signature.Key} {
		if len(secret) >= shortestSecret && strings.Contains(text, secret) || secret != "" && text == secret {
			return true
		}
	}
	return false
}

// presented are headers as events show them, the names in order.
func presented(h http.Header) json.RawMessage {
	var room [32]string
	names, size := room[:0], len("{}")
	for name, values := range h {
		names = append(names, name)
		size += len(name) + len(`"":[],`)
		for _, v := range values {
			size += len(v) + len(`"",`)
		}
	}
	slices.Sort(names)
	out := append(make([]byte, 0, size), '{')
	for i, name := range names {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(appendText(out, name), ':')
		out = appendTexts(out, headerText(h[name]))
	}
	return append(out, '}')
}

func appendTexts(out []byte, list []string) []byte {
	if list == nil {
		return append(out, "null"...)
	}
	out = append(out, '[')
	for i, v := range list {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendText(out, v)
	}
	return append(out, ']')
}

// headerText makes text of headers that are none: what is not UTF-8 in a header is
// Latin-1. Source: RFC 9110, section 5.5, on the text of older senders.
func headerText(values []string) []string {
	if !slices.ContainsFunc(values, func(v string) bool { return !utf8.ValidString(v) }) {
		return values
	}
	out := slices.Clone(values)
	for i, v := range out {
		if utf8.ValidString(v) {
			continue
		}
		runes := make([]rune, len(v))
		for j := range len(v) {
			runes[j] = rune(v[j])
		}
		out[i] = string(runes)
	}
	return out
}

// secretHeaders carry what whoever reads an event must not learn, whoever sends it. Source: RFC 9110 and 6265; the
// others are those of kinds whose events also come to plain webhooks.
var secretHeaders = []string{"Authorization", "Cookie", "Proxy-Authorization", "X-Gitlab-Token", "X-Jfrog-Event-Auth"}
