package flow

import (
	"github.com/argosy-mesh/argosy/libs/flow/nodes"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// endDaemons stops the servers that a template started: nobody within it needs them any more. Source: Argo Workflows,
// a stopped daemon has succeeded.
func (k *engine) endDaemons(boundary string) {
	for _, id := range k.nodes.Servers() {
		n := k.nodes.At(id)
		if !nodes.Serves(n) || n.Phase.Fulfilled() || boundary != "" && n.BoundaryID != boundary {
			continue
		}
		if n.Type == v1alpha1.NodeTypePod {
			k.actions = append(k.actions, StopPod{NodeID: n.ID, PodName: k.podName(n)})
		}
		n.Daemoned = nil
		k.finish(n, v1alpha1.NodeSucceeded, "")
	}
}

// follow lets a Retry node be as far as the attempt that is at work.
func (k *engine) follow(n, attempt v1alpha1.NodeStatus) v1alpha1.NodeStatus {
	if nodes.Serves(n) == nodes.Serves(attempt) && n.PodIP == attempt.PodIP {
		return n
	}
	n.Daemoned, n.PodIP = attempt.Daemoned, attempt.PodIP
	return k.put(n)
}
