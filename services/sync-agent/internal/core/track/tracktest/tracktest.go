// Package tracktest makes objects for the tests of the core.
package tracktest

import (
	"testing"

	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
	"sigs.k8s.io/yaml"
)

// Object reads an object from YAML.
func Object(t testing.TB, text string) *track.Object {
	t.Helper()
	o := &track.Object{}
	asJSON, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := o.UnmarshalJSON(asJSON); err != nil {
		t.Fatal(err)
	}
	return o
}
