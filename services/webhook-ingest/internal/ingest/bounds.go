package ingest

import (
	"strings"
	"unicode/utf8"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/core"
)

// The bounds of what travels beside the data of an event. The bus counts it together
// with the data and takes a message whole or not at all; what is escaped is up to three
// times as long there. The data has no bound here: a large one travels by claim check.
const (
	attributeMost = 2048
	lineageMost   = 256
	idMost        = 256
)

// storable says why an event can never be stored; nil when it can.
func storable(subject string, e bus.Event) error {
	for _, a := range [...]struct{ name, value string }{
		{"subject of the bus", subject}, {"id", e.ID()}, {"source", e.Source()}, {"type", e.Type()},
		{"subject", e.Subject()}, {"datacontenttype", e.DataContentType()}, {"dataschema", e.DataSchema()},
	} {
		if len(a.value) > attributeMost {
			return fault.Poisonf(
				"event %.64q: the attribute %s is %d bytes long, at most %d can be stored; send a shorter one", e.ID(),
				a.name, len(a.value), attributeMost,
			)
		}
	}
	for name, value := range bus.Extensions(e) {
		if text, ok := value.(string); ok && len(text) > attributeMost {
			return fault.Poisonf(
				"event %.64q: the extension %s is %d bytes long, at most %d can be stored; send a shorter one", e.ID(),
				name, len(text), attributeMost,
			)
		}
	}
	return nil
}

// bounded drops what is too long to be true: lineage steers the record only, and must
// not keep an event away.
func bounded(l lineage.Lineage) lineage.Lineage {
	for _, part := range []*string{&l.Trace, &l.Correlation, &l.Causation} {
		if len(*part) > lineageMost || !utf8.ValidString(*part) {
			*part = ""
		}
	}
	return l
}

// plainID keeps ids of senders readable where they can be.
func plainID(id string) string {
	if len(id) > idMost || !utf8.ValidString(id) ||
		strings.ContainsFunc(id, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return core.Digest(id)
	}
	return id
}
