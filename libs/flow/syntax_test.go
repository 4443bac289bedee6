package flow_test

import (
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/span"
	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

func TestDurationsAndCounts(t *testing.T) {
	for text, want := range map[string]time.Duration{"20": 20 * time.Second, "1m30s": 90 * time.Second, "0": 0} {
		if got, err := span.Parse(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "1 day", "x"} {
		if _, err := span.Parse(text); err == nil {
			t.Errorf("%q is taken for a duration", text)
		}
		if _, err := flow.ParseCount(text); err == nil {
			t.Errorf("%q is taken for a number", text)
		}
	}
	if n, err := flow.ParseCount(" 3 "); err != nil || n != 3 {
		t.Errorf("%d, %v", n, err)
	}
}

func TestWhatDependsMayAsk(t *testing.T) {
	for depends, good := range map[string]bool{
		"a": true, "a.Succeeded && !b.Failed": true, "(a || b-1.AnySucceeded)": true, "1a.Omitted": true,
		"a.Done": false, "a &&": false, "a b": false, "a.Succeeded +": false,
	} {
		if err := flow.CheckDepends(v1alpha1.DAGTask{Name: "x", Depends: depends}); (err == nil) != good {
			t.Errorf("%q: %v", depends, err)
		}
	}
}
