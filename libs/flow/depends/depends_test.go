package depends_test

import (
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/libs/flow/depends"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

func TestWhatDependsMayAsk(t *testing.T) {
	for text, good := range map[string]bool{
		"a": true, "a.Succeeded && !b.Failed": true, "(a || b-1.AnySucceeded)": true, "1a.Omitted": true,
		"a.Done": false, "a &&": false, "a b": false, "a.Succeeded +": false,
	} {
		if err := depends.Check(v1alpha1.DAGTask{Name: "x", Depends: text}); (err == nil) != good {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestDependsIsBounded(t *testing.T) {
	task := v1alpha1.DAGTask{Name: "x", Depends: strings.Repeat("(", 1<<20) + "a" + strings.Repeat(")", 1<<20)}
	if err := depends.Check(task); err == nil {
		t.Error("it is read")
	}
}
