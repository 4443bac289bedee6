package nodes

import (
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// Source: Argo Workflows, UpdateProgress: what failed stays incomplete, and what only holds others does not count.
func TestProgress(t *testing.T) {
	node := func(kind v1alpha1.NodeType, phase v1alpha1.NodePhase) v1alpha1.NodeStatus {
		return v1alpha1.NodeStatus{ID: string(kind) + string(phase), Type: kind, Phase: phase}
	}
	nodes := map[string]v1alpha1.NodeStatus{}
	for _, n := range []v1alpha1.NodeStatus{
		node(v1alpha1.NodeTypePod, v1alpha1.NodeSucceeded), node(v1alpha1.NodeTypePod, v1alpha1.NodeFailed),
		node(v1alpha1.NodeTypePod, v1alpha1.NodeRunning),
		node(v1alpha1.NodeTypeHTTP, v1alpha1.NodeSucceeded), node(v1alpha1.NodeTypePlugin, v1alpha1.NodeError),
		node(v1alpha1.NodeTypeContainer, v1alpha1.NodeSucceeded),
		node(v1alpha1.NodeTypeSuspend, v1alpha1.NodeRunning), node(v1alpha1.NodeTypeSteps, v1alpha1.NodeSucceeded),
		node(v1alpha1.NodeTypeSkipped, v1alpha1.NodeSkipped),
		node(v1alpha1.NodeTypeRetry, v1alpha1.NodeSucceeded), node(v1alpha1.NodeTypeTaskGroup, v1alpha1.NodeRunning),
	} {
		nodes[n.ID] = n
	}
	if done, all := Progress(nodes); done != 3 || all != 7 {
		t.Errorf("%d/%d", done, all)
	}
	// Counted as it changes it is the same.
	x := newCounts("wf", nil)
	for _, n := range nodes {
		pending := n
		pending.Phase = v1alpha1.NodePending
		x.replace(v1alpha1.NodeStatus{}, pending)
		x.replace(pending, n)
	}
	if x.done != 3 || x.all != 7 {
		t.Errorf("by and by %d/%d", x.done, x.all)
	}
}
