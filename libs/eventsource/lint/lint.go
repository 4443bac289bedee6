// Package lint says what is wrong with the manifest of an EventSource before it runs,
// with the line of each finding. It asks what the service asks.
package lint

import (
	"github.com/argosy-mesh/argosy/libs/eventsource"
	"github.com/argosy-mesh/argosy/schemas/argoproj/lint"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// EventSource looks at one manifest. A text that is not YAML is one finding.
func EventSource(text []byte) []lint.Finding {
	object, lines, err := lint.Read(text)
	if err != nil {
		return []lint.Finding{{Message: err.Error(), Line: 1, Severity: lint.Error}}
	}
	es, found := lint.Decode[v1alpha1.EventSource](object)
	wrong := map[string]bool{}
	for _, f := range found {
		wrong[f.Path] = f.Severity == lint.Error
	}
	for _, p := range eventsource.Check(es) {
		if wrong[p.Path] {
			continue // it could not be read, so that more cannot be said of it
		}
		severity := lint.Warning
		if p.Severity == eventsource.Refused {
			severity = lint.Error
		}
		found = append(found, lint.Finding{Path: p.Path, Message: p.Message, Severity: severity})
	}
	return lint.Sorted(found, lines)
}
