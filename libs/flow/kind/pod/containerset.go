package pod

import (
	"fmt"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/state"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// containers makes or advances the nodes of the containers of a set: they live in the pod of n.
func (k Kind) containers(c state.Call, n v1alpha1.NodeStatus, t v1alpha1.Template, pod flow.Pod) {
	for i := range t.ContainerSet.Containers {
		container := &t.ContainerSet.Containers[i]
		own := state.Call{Name: fmt.Sprintf("%s.%s", c.Name, container.Name), Display: container.Name,
			Template: c.Template,
			Library:  c.Library, Boundary: n.ID}
		child := k.Begin(own, v1alpha1.NodeTypeContainer, v1alpha1.NodePending)
		if len(container.Dependencies) == 0 {
			k.Nodes.Link(n.ID, child.ID)
		}
		for _, d := range container.Dependencies {
			k.Nodes.Link(k.Nodes.ID(c.Name+"."+d), child.ID)
		}
		child = k.Nodes.At(child.ID)
		state := pod.Containers[container.Name]
		switch {
		case child.Phase.Fulfilled():
		case state.Ended && state.ExitCode == 0:
			k.Finish(child, v1alpha1.NodeSucceeded, "")
		case state.Ended:
			k.Finish(child, v1alpha1.NodeFailed, fmt.Sprintf("Error (exit code %d)", state.ExitCode))
		case n.Phase.Fulfilled():
			k.Finish(child, n.Phase, n.Message)
		case state.Started && child.Phase == v1alpha1.NodePending:
			child.Phase = v1alpha1.NodeRunning
			k.Put(child)
		}
	}
}
