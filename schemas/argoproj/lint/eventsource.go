package lint

import (
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// EventSource looks at one manifest of an EventSource. A text that is not YAML is one finding.
func EventSource(text []byte) []Finding {
	object, lines, err := Read(text)
	if err != nil {
		return []Finding{{Message: err.Error(), Line: 1, Severity: Error}}
	}
	_, found := decode[v1alpha1.EventSource](object)
	return sorted(found, lines)
}
