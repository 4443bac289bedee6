package demo

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestADemoStartsWhereTheLastOneEnded(t *testing.T) {
	for name, c := range map[string]struct {
		status map[string]any
		want   bool
	}{
		"promoted":           {map[string]any{"phase": "Healthy"}, true},
		"aborted":            {map[string]any{"phase": "Degraded", "abort": true, "stableRS": "abc"}, true},
		"never served":       {map[string]any{"phase": "Degraded", "abort": true}, false},
		"broken by itself":   {map[string]any{"phase": "Degraded", "stableRS": "abc"}, false},
		"a change under way": {map[string]any{"phase": "Progressing", "stableRS": "abc"}, false},
		"nothing known":      {map[string]any{}, false},
	} {
		if got := serving(&unstructured.Unstructured{Object: map[string]any{"status": c.status}}); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
