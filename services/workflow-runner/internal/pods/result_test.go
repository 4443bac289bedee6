package pods

import (
	"fmt"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// The text of a spec is made once for a run, whose pods have settings of their own, and of few runs at a time.
func TestASpecIsEncodedOnceForARun(t *testing.T) {
	var s specTexts
	spec := func(i int) *v1alpha1.WorkflowSpec {
		return &v1alpha1.WorkflowSpec{Templates: []v1alpha1.Template{{Name: fmt.Sprintf("t%d", i)}}}
	}
	first := spec(0)
	pod := *first
	pod.PodSpecPatch = "of one pod"
	if text := s.of(first); !strings.Contains(text, "t0") || s.of(&pod) != text {
		t.Errorf("%q, %q", text, s.of(&pod))
	}
	for i := range 2 * textsKept {
		if text := s.of(spec(i)); !strings.Contains(text, fmt.Sprintf("%q", fmt.Sprintf("t%d", i))) {
			t.Errorf("%d: %s", i, text)
		}
	}
	if len(s.kept) != textsKept {
		t.Errorf("%d texts are kept", len(s.kept))
	}
	if text := s.of(&v1alpha1.WorkflowSpec{Entrypoint: "none"}); !strings.Contains(text, "none") {
		t.Error(text)
	}
}
