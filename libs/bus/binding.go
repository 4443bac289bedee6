package bus

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
	"github.com/nats-io/nats.go"
)

// The NATS protocol binding of CloudEvents, section 3.1 (binary content mode): one
// header per attribute, datacontenttype included, prefixed "ce-", values
// percent-encoded as in the HTTP binding section 3.1.3.2; the body is the data as
// it is.
const (
	headerPrefix      = "ce-"
	headerContentType = "content-type" // set in structured mode only
	structuredType    = "application/cloudevents"
)

func encode(subject string, e Event) (m *nats.Msg, size headerBytes, err error) {
	return encodeIn(&attributes{header: make(nats.Header, mostAttributes)}, subject, e)
}

// encodeIn is encode with the memory for its header, which is empty.
func encodeIn(h *attributes, subject string, e Event) (m *nats.Msg, size headerBytes, err error) {
	if err := e.Validate(); err != nil {
		return nil, size, fault.Poisonf("event %q for %s: %w", e.ID(), subject, err)
	}
	extensions := Extensions(e)
	h.size = headerBytes{all: headerFrame}
	h.values = slices.Grow(h.values[:0], mostAttributes+len(extensions))
	h.put(headerPrefix+"specversion", e.SpecVersion())
	h.put(headerPrefix+"id", e.ID())
	h.put(headerPrefix+"source", e.Source())
	h.put(headerPrefix+"type", e.Type())
	h.put(headerPrefix+"subject", e.Subject())
	h.put(headerPrefix+"datacontenttype", e.DataContentType())
	h.put(headerPrefix+"dataschema", e.DataSchema())
	if at := e.Time(); !at.IsZero() {
		h.put(headerPrefix+"time", at.UTC().Format(time.RFC3339Nano))
	}
	for name, value := range extensions {
		text, isText := value.(string)
		if !isText {
			if text, err = types.Format(value); err != nil {
				return nil, size, fault.Poisonf("extension %s of event %q: %w", name, e.ID(), err)
			}
		}
		h.put(headerPrefix+name, text)
	}
	return &nats.Msg{Subject: subject, Header: h.header, Data: e.Data()}, h.size, nil
}

// mostAttributes is how many headers there are beside the extensions: the attributes, and the id of the message.
const mostAttributes = 9

// attributes is a header that is being written. Its values lie side by side, since each hook makes some ten.
type attributes struct {
	header nats.Header
	values []string
	size   headerBytes
}

// headerBytes is how large a header is on the wire, and its longest value.
type headerBytes struct{ all, longest int }

func (a *attributes) put(name, value string) {
	if value == "" {
		return
	}
	value = percentEncode(value)
	a.size.all += len(name) + headerLine + len(value)
	a.size.longest = max(a.size.longest, len(value))
	n := len(a.values)
	a.values = append(a.values, value)
	a.header[name] = a.values[n : n+1 : n+1]
}

// structured reports whether a message holds all of its event in its body.
func structured(header nats.Header) bool {
	return strings.HasPrefix(strings.ToLower(first(header, headerContentType)), structuredType)
}

func decode(header nats.Header, body []byte) (Event, error) {
	if structured(header) {
		return decodeStructured(body)
	}
	e := cloudevents.New()
	for name, values := range header {
		lower := strings.ToLower(name)
		if !strings.HasPrefix(lower, headerPrefix) || len(values) == 0 {
			continue
		}
		if err := setAttribute(&e, lower[len(headerPrefix):], percentDecode(values[0])); err != nil {
			return e, fault.AsPoison(err)
		}
	}
	e.DataEncoded = body
	if err := e.Validate(); err != nil {
		return e, fault.Poisonf("decode event %q: %w", e.ID(), err)
	}
	return e, nil
}

func setAttribute(e *Event, name, value string) error {
	switch name {
	case "specversion":
		e.SetSpecVersion(value)
	case "id":
		e.SetID(value)
	case "source":
		e.SetSource(value)
	case "type":
		e.SetType(value)
	case "subject":
		e.SetSubject(value)
	case "datacontenttype":
		e.SetDataContentType(value)
	case "dataschema":
		e.SetDataSchema(value)
	case "time":
		at, err := time.Parse(time.RFC3339Nano, value)
		if err != nil {
			return fmt.Errorf("attribute time: %w", err)
		}
		e.SetTime(at)
	default:
		e.SetExtension(name, value)
	}
	return nil
}

// first is case-insensitive, since senders differ in the case of header names.
func first(h nats.Header, name string) string {
	for k, v := range h {
		if len(v) > 0 && strings.EqualFold(k, name) {
			return v[0]
		}
	}
	return ""
}

// percentEncode escapes space, double quote, percent and everything outside
// printable ASCII, as the binding demands.
func percentEncode(s string) string {
	first := 0
	for first < len(s) && !escaped(s[first]) {
		first++
	}
	if first == len(s) {
		return s
	}
	var b strings.Builder
	b.WriteString(s[:first])
	for i := first; i < len(s); i++ {
		c := s[i]
		if escaped(c) {
			fmt.Fprintf(&b, "%%%02X", c)
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

func escaped(c byte) bool { return c <= ' ' || c == '"' || c == '%' || c >= 0x7f }

// percentDecode leaves malformed escapes as they are: the spec asks readers to
// be lenient with what old writers did not encode.
func percentDecode(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			if hi >= 0 && lo >= 0 {
				b.WriteByte(byte(hi<<4 | lo))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
