package status

import (
	"testing"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/nodes"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

func TestTheStatusSumsWhatPodsUsed(t *testing.T) {
	pod := func(id string, cpu int64, children ...string) nodeShort { return nodeShort{id, "Pod", cpu, children} }
	nodes := nodesFrom(nodeShort{"wf", "Steps", 0, []string{"[0]"}},
		nodeShort{"[0]", "StepGroup", 0, []string{"a", "b"}},
		pod("a", 1, "[1]"), pod("b", 2, "[1]"),
		nodeShort{"[1]", "StepGroup", 0, []string{"c"}}, pod("c", 4), pod("wf.onExit", 8))
	status := Of(flow.Run{Nodes: nodes})
	if got := status.ResourcesDuration["cpu"]; got != 15 {
		t.Errorf("workflow: %d", got)
	}
	for id, want := range map[string]int64{"wf": 7, "[0]": 7, "[1]": 4, "a": 1, "c": 4} {
		if got := status.Nodes[id].ResourcesDuration["cpu"]; got != want {
			t.Errorf("%s: %d, want %d", id, got, want)
		}
	}
	if nodes["wf"].ResourcesDuration != nil {
		t.Error("the state itself was changed")
	}
}

func nodesFrom(all ...nodeShort) map[string]v1alpha1.NodeStatus {
	out := map[string]v1alpha1.NodeStatus{}
	for _, n := range all {
		node := v1alpha1.NodeStatus{ID: n.id, Name: n.id, Type: v1alpha1.NodeType(n.kind),
			Phase:    v1alpha1.NodeSucceeded,
			Children: n.children}
		if n.cpu > 0 {
			node.ResourcesDuration = nodes.Resources{"cpu": n.cpu}
		}
		out[n.id] = node
	}
	return out
}

type nodeShort struct {
	id, kind string
	cpu      int64
	children []string
}
