package flow

import (
	"maps"
	"slices"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// daemoned reports whether a node is a server that is up: what waits for it may go on.
func daemoned(n v1alpha1.NodeStatus) bool { return n.Daemoned != nil && *n.Daemoned }

// fulfilled reports whether what comes after a node may start.
func fulfilled(n v1alpha1.NodeStatus) bool { return n.Phase.Fulfilled() || daemoned(n) }

// endDaemons stops the servers that a template started: nobody within it needs them any more. Source: Argo Workflows,
// a stopped daemon has succeeded.
func (k *engine) endDaemons(boundary string) {
	for _, id := range slices.Sorted(maps.Keys(k.daemons)) {
		n := k.nodes[id]
		if !daemoned(n) || n.Phase.Fulfilled() || boundary != "" && n.BoundaryID != boundary {
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
	if daemoned(n) == daemoned(attempt) && n.PodIP == attempt.PodIP {
		return n
	}
	n.Daemoned, n.PodIP = attempt.Daemoned, attempt.PodIP
	return k.put(n)
}
