package bus

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	cloudevents "github.com/cloudevents/sdk-go/v2/event"
)

// decodeStructured reads an event in the JSON format. It does not leave that to the SDK, which takes the data of any
// type ending in +json for text: it refuses the objects that everybody else writes there.
func decodeStructured(text []byte) (Event, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return Event{}, fault.Poisonf("decode structured event: %w", err)
	}
	version, err := scalar(members["specversion"])
	if err != nil || version != cloudevents.CloudEventsVersionV1 {
		var e Event // of an older version, or none
		if err := json.Unmarshal(text, &e); err != nil {
			return e, fault.Poisonf("decode structured event: %w", err)
		}
		return e, nil
	}
	e := cloudevents.New()
	for name, raw := range members {
		if name == "data" || name == "data_base64" {
			continue
		}
		value, err := scalar(raw)
		if err != nil {
			return e, fault.Poisonf("decode structured event: attribute %s: %w", short(name), err)
		}
		if value == "" {
			continue
		}
		if err := setAttribute(&e, name, value); err != nil {
			return e, fault.AsPoison(err)
		}
	}
	if e.DataEncoded, err = structuredData(members, e.DataContentType()); err != nil {
		return e, fault.Poisonf("decode structured event %q: %w", short(e.ID()), err)
	}
	if err := e.Validate(); err != nil {
		return e, fault.Poisonf("decode structured event %q: %w", short(e.ID()), err)
	}
	return e, nil
}

// scalar is an attribute as text; null and what is missing are "".
func scalar(raw json.RawMessage) (string, error) {
	switch {
	case len(raw) == 0 || bytes.Equal(raw, []byte("null")):
		return "", nil
	case raw[0] == '"':
		var s string
		return s, json.Unmarshal(raw, &s)
	case raw[0] == '{' || raw[0] == '[':
		return "", fmt.Errorf("%s is neither text, number nor boolean", short(string(raw)))
	}
	return string(raw), nil
}

// structuredData is the body. Source: CloudEvents, JSON format 1.0, section 3.1.
func structuredData(members map[string]json.RawMessage, contentType string) ([]byte, error) {
	if coded, ok := members["data_base64"]; ok {
		text, err := scalar(coded)
		if err != nil {
			return nil, err
		}
		body, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, fmt.Errorf("data_base64: %w", err)
		}
		return body, nil
	}
	data, ok := members["data"]
	if !ok {
		return nil, nil
	}
	switch jsonKind(contentType) {
	case exactJSON:
		return data, nil
	case suffixJSON:
		if text, err := scalar(data); err == nil && data[0] == '"' && isDocument(text) {
			return []byte(text), nil // as the Go SDK writes it
		}
		return data, nil
	}
	if bytes.Equal(data, []byte("null")) {
		return nil, nil
	}
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return nil, fmt.Errorf("data of type %q must be a string in JSON, or data_base64: %w", contentType, err)
	}
	return []byte(text), nil
}

// Kinds of content types.
const (
	otherType  = iota
	exactJSON  // application/json, text/json, or none
	suffixJSON // any other of JSON
)

func jsonKind(contentType string) int {
	media, _, _ := strings.Cut(contentType, ";")
	media = strings.ToLower(strings.TrimSpace(media))
	switch {
	case media == "" || media == "application/json" || media == "text/json":
		return exactJSON
	case strings.HasSuffix(media, "+json") || strings.HasSuffix(media, "/json"):
		return suffixJSON
	}
	return otherType
}

// isDocument tells an object or a list from other text.
func isDocument(text string) bool {
	trimmed := strings.TrimSpace(text)
	return (strings.HasPrefix(trimmed, "{") || strings.HasPrefix(trimmed, "[")) && json.Valid([]byte(trimmed))
}
