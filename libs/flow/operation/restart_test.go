package operation_test

import (
	"testing"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/operation"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

func waiting() flow.Run {
	return flow.Run{Phase: v1alpha1.WorkflowRunning, Nodes: map[string]v1alpha1.NodeStatus{
		"w": {ID: "w", Name: "wf.w", Type: v1alpha1.NodeTypeSuspend, Phase: v1alpha1.NodeRunning,
			Outputs: &v1alpha1.Outputs{Parameters: []v1alpha1.Parameter{{Name: "p"}}}},
		"v": {ID: "v", Name: "wf.v", Type: v1alpha1.NodeTypeSuspend, Phase: v1alpha1.NodeRunning},
		"d": {ID: "d", Name: "wf.d", Type: v1alpha1.NodeTypeSuspend, Phase: v1alpha1.NodeSucceeded},
	}}
}

func TestNodesAreSet(t *testing.T) {
	only := func(name string) func(v1alpha1.NodeStatus) bool {
		return func(n v1alpha1.NodeStatus) bool { return n.Name == name }
	}
	changed, err := operation.Set(waiting(), only("wf.w"), map[string]string{"p": "1"}, "", "seen")
	if err != nil || len(changed) != 1 || changed[0].Message != "seen" || changed[0].Phase != v1alpha1.NodeRunning ||
		changed[0].Outputs.Parameters[0].Value.String() != "1" {
		t.Errorf("%+v %v", changed, err)
	}
	changed, err = operation.Set(waiting(), func(v1alpha1.NodeStatus) bool { return true }, nil, v1alpha1.NodeFailed,
		"")
	if err != nil || len(changed) != 2 || changed[0].Name != "wf.v" || changed[1].Phase != v1alpha1.NodeFailed {
		t.Errorf("%+v %v", changed, err)
	}
	for name, outputs := range map[string]map[string]string{"wf.w": {"ghost": "1"}, "wf.v": {"p": "1"}, "wf.d": nil} {
		if changed, err := operation.Set(waiting(), only(name), outputs, "", ""); err == nil {
			t.Errorf("%s: %+v", name, changed)
		}
	}
}

func TestOnlyWhatEndedIsRetried(t *testing.T) {
	for _, phase := range []v1alpha1.WorkflowPhase{"", v1alpha1.WorkflowRunning, v1alpha1.WorkflowSucceeded} {
		run := waiting()
		run.Phase = phase
		if again, err := operation.Retry(flow.World{Name: "wf", Run: run}, false, nil); err == nil {
			t.Errorf("%s: %+v", phase, again)
		}
	}
}
