package flow

import (
	"fmt"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// containers makes or advances the nodes of the containers of a set: they live in the pod of n.
func (k pods) containers(c call, n v1alpha1.NodeStatus, t v1alpha1.Template, pod Pod) {
	for i := range t.ContainerSet.Containers {
		container := &t.ContainerSet.Containers[i]
		own := call{name: fmt.Sprintf("%s.%s", c.name, container.Name), display: container.Name, template: c.template, library: c.library, boundary: n.ID}
		child := k.begin(own, v1alpha1.NodeTypeContainer, v1alpha1.NodePending)
		if len(container.Dependencies) == 0 {
			k.nodes.Link(n.ID, child.ID)
		}
		for _, d := range container.Dependencies {
			k.nodes.Link(k.nodes.ID(c.name+"."+d), child.ID)
		}
		child = k.nodes.At(child.ID)
		state := pod.Containers[container.Name]
		switch {
		case child.Phase.Fulfilled():
		case state.Ended && state.ExitCode == 0:
			k.finish(child, v1alpha1.NodeSucceeded, "")
		case state.Ended:
			k.finish(child, v1alpha1.NodeFailed, fmt.Sprintf("Error (exit code %d)", state.ExitCode))
		case n.Phase.Fulfilled():
			k.finish(child, n.Phase, n.Message)
		case state.Started && child.Phase == v1alpha1.NodePending:
			child.Phase = v1alpha1.NodeRunning
			k.put(child)
		}
	}
}
