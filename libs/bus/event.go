package bus

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/argosy-mesh/argosy/libs/core/lineage"
	cloudevents "github.com/cloudevents/sdk-go/v2/event"
)

// Event is a CloudEvent 1.0.
type Event = cloudevents.Event

// Extension attributes that every event of the mesh carries. CloudEvents allows
// only lower-case letters and digits in names.
const (
	extTrace       = "traceparent"
	extCorrelation = "correlationid"
	extCausation   = "causationid"
	extDataRef     = "dataref"
)

// NewEvent makes an event of the given type with JSON data. The id should come
// from its cause, so that the same cause makes the same event.
func NewEvent(id, source, kind string, data any) (Event, error) {
	e := cloudevents.New()
	e.SetID(id)
	e.SetSource(source)
	e.SetType(kind)
	if err := e.SetData(cloudevents.ApplicationJSON, data); err != nil {
		return e, fmt.Errorf("encode data of event %s: %w", id, err)
	}
	return e, nil
}

// Key derives a short stable identity from its causes: 26 lower-case hex
// characters, fit for an object name, a message id or an idempotency key.
func Key(causes ...string) string {
	var room [256]byte
	text := room[:0]
	for _, c := range causes {
		text = append(append(strconv.AppendInt(text, int64(len(c)), 10), ':'), c...)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:13])
}

// LineageOf reads what caused e.
func LineageOf(e Event) lineage.Lineage {
	return lineage.Lineage{
		Trace: extension(e, extTrace), Correlation: extension(e, extCorrelation), Causation: extension(e, extCausation),
	}
}

// After is the lineage of whatever e causes: same trace and chain, caused by e.
// An event without a chain starts one.
func After(e Event) lineage.Lineage {
	l := LineageOf(e)
	if l.Correlation == "" {
		l.Correlation = e.ID()
	}
	l.Causation = e.ID()
	return l
}

// WithLineage writes l into e's extensions; unknown parts are left alone.
func WithLineage(e Event, l lineage.Lineage) Event {
	for _, part := range [...][2]string{
		{extTrace, l.Trace}, {extCorrelation, l.Correlation}, {extCausation, l.Causation},
	} {
		if part[1] != "" {
			e.SetExtension(part[0], part[1])
		}
	}
	return e
}

func extension(e Event, name string) string {
	s, _ := Extensions(e)[name].(string)
	return s
}

// Extensions are the extensions of an event, to be read only: [Event.Extensions] makes a copy.
func Extensions(e Event) map[string]any {
	if c, ok := e.Context.(*cloudevents.EventContextV1); ok {
		return c.Extensions
	}
	return e.Extensions()
}

// Token escapes one token of a subject: what NATS reserves and what it cannot
// carry becomes %XX. The empty string becomes "%00", since no token is empty.
func Token(s string) string {
	if s == "" {
		return "%00"
	}
	first := 0
	for first < len(s) && !reserved(s[first]) {
		first++
	}
	if first == len(s) {
		return s
	}
	var b strings.Builder
	b.WriteString(s[:first])
	for i := first; i < len(s); i++ {
		c := s[i]
		if reserved(c) {
			fmt.Fprintf(&b, "%%%02X", c)
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

func reserved(c byte) bool { return c <= ' ' || c >= 0x7f || strings.IndexByte(".*>%", c) >= 0 }

// Subject joins escaped tokens.
func Subject(tokens ...string) string {
	escaped := make([]string, len(tokens))
	for i, t := range tokens {
		escaped[i] = Token(t)
	}
	return strings.Join(escaped, ".")
}
