package engine

import (
	"testing"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// A run that ended before its plan was made is counted all the same: its status is written anew after a retry was
// refused.
func TestAPlanOfARunThatEnded(t *testing.T) {
	p := NewPlan(flow.Run{Phase: v1alpha1.WorkflowFailed, Nodes: map[string]v1alpha1.NodeStatus{
		"wf":   {ID: "wf", Name: "wf", Type: v1alpha1.NodeTypeSteps, Phase: v1alpha1.NodeFailed},
		"wf-1": {ID: "wf-1", Name: "wf[0].a", Type: v1alpha1.NodeTypePod, Phase: v1alpha1.NodeSucceeded},
		"wf-2": {ID: "wf-2", Name: "wf[1].b", Type: v1alpha1.NodeTypePod, Phase: v1alpha1.NodeFailed},
	}})
	if d := p.Decide(flow.World{Name: "wf"}); !d.Empty() {
		t.Errorf("%+v", d)
	}
	if done, all := p.Progress(); done != 1 || all != 2 {
		t.Errorf("%d/%d", done, all)
	}
	if s := p.Spec(); s.Entrypoint != "" {
		t.Errorf("%+v", s)
	}
	p.Again("wf-2")
}
