package pull

import (
	"encoding/base64"
	"encoding/json"
	"unicode/utf8"

	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/core"
)

// base64Encoding marks bytes that are no text, where text is expected.
const base64Encoding = "base64"

// Content is what a message carries.
type Content struct {
	// Body is JSON, text, base64, or null for nothing.
	Body any `json:"body"`
	// Encoding is base64 for bytes that the manifest takes for text; empty otherwise.
	Encoding string `json:"bodyEncoding,omitempty"`
}

// content is a body as the manifest wants it: JSON as it is, or bytes, which become
// base64. Source: Argo Events, jsonBody. What was to be JSON and is not becomes a
// string, since dropping it would lose it; an empty body, such as Kafka's mark of
// something deleted, is null.
func content(asJSON bool, raw []byte) Content {
	switch {
	case raw == nil:
		return Content{}
	case !asJSON:
		return Content{Body: raw}
	default:
		return jsonContent(raw)
	}
}

// jsonContent is a body that is JSON, or text.
func jsonContent(raw []byte) Content {
	plain := core.PlainText(raw)
	switch {
	case len(plain) == 0:
		return Content{}
	case !utf8.Valid(plain):
		return Content{Body: raw, Encoding: base64Encoding}
	case json.Valid(plain):
		return Content{Body: json.RawMessage(plain)}
	default:
		return Content{Body: string(plain)}
	}
}

// textContent is a body that upstream hands on as text; jsonBody makes it JSON.
func textContent(asJSON bool, raw []byte) Content {
	if asJSON {
		return jsonContent(raw)
	}
	text, encoding := plainText(string(raw))
	return Content{Body: text, Encoding: encoding}
}

// plainText keeps text, and writes bytes that are none as base64, which it then says.
func plainText(s string) (text, encoding string) {
	if utf8.ValidString(s) {
		return s, ""
	}
	return base64.StdEncoding.EncodeToString([]byte(s)), base64Encoding
}

// Marks are the encodings of named values that are no text, by name.
type Marks map[string]string

// plain is plainText of a value that has a name. A name that is no text becomes base64
// too, which its mark then says.
func (m *Marks) plain(name, value string) (plainName, text string) {
	plainName, nameEncoding := plainText(name)
	text, encoding := plainText(value)
	if nameEncoding == "" && encoding == "" {
		return plainName, text
	}
	if *m == nil {
		*m = Marks{}
	}
	if (*m)[plainName] = encoding; nameEncoding != "" {
		(*m)[plainName] = "name " + nameEncoding
		if encoding != "" {
			(*m)[plainName] += ", value " + encoding
		}
	}
	return plainName, text
}

// headers are those of messages of NATS.
func (m *Marks) headers(in map[string][]string) map[string][]string {
	if in == nil {
		return nil
	}
	out := make(map[string][]string, len(in))
	for name, values := range in {
		for _, value := range values {
			plainName, text := m.plain(name, value)
			out[plainName] = append(out[plainName], text)
		}
	}
	return out
}
