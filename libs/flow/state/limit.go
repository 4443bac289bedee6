package state

import (
	"fmt"

	"github.com/argosy-mesh/argosy/libs/core/span"
	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// EnforceTimeout ends a node that took longer than template.timeout, counted from
// its start, waiting included; or that waited longer than template.pendingTimeout.
func (s *State) EnforceTimeout(n v1alpha1.NodeStatus, t v1alpha1.Template) v1alpha1.NodeStatus {
	n = s.limit(n, "timeout", t.Timeout, "Step exceeded its deadline")
	if n.Phase == v1alpha1.NodePending {
		n = s.limit(n, "pendingTimeout", t.PendingTimeout, "Step was pending longer than its pendingTimeout")
	}
	return n
}

// limit ends a node whose time is up.
func (s *State) limit(n v1alpha1.NodeStatus, field, text, message string) v1alpha1.NodeStatus {
	if text == "" {
		return n
	}
	limit, err := span.Parse(text)
	if err != nil {
		return s.Finish(n, v1alpha1.NodeError, fmt.Sprintf("%s: %v", field, err))
	}
	deadline := n.StartedAt.Add(limit)
	if s.World.Now.Before(deadline) {
		s.Memory.WakeAt(deadline)
		return n
	}
	s.Actions = append(s.Actions, flow.StopPod{NodeID: n.ID, PodName: s.PodName(n)})
	return s.Finish(n, v1alpha1.NodeFailed, message)
}
