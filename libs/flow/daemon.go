package flow

import (
	"github.com/argosy-mesh/argosy/libs/flow/nodes"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// follow lets a Retry node be as far as the attempt that is at work.
func (k *engine) follow(n, attempt v1alpha1.NodeStatus) v1alpha1.NodeStatus {
	if nodes.Serves(n) == nodes.Serves(attempt) && n.PodIP == attempt.PodIP {
		return n
	}
	n.Daemoned, n.PodIP = attempt.Daemoned, attempt.PodIP
	return k.put(n)
}
