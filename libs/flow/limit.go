package flow

import (
	"fmt"

	"github.com/argosy-mesh/argosy/libs/core/span"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// enforceTimeout ends a node that took longer than template.timeout, counted from
// its start, waiting included; or that waited longer than template.pendingTimeout.
func (s *state) enforceTimeout(n v1alpha1.NodeStatus, t v1alpha1.Template) v1alpha1.NodeStatus {
	n = s.limit(n, "timeout", t.Timeout, "Step exceeded its deadline")
	if n.Phase == v1alpha1.NodePending {
		n = s.limit(n, "pendingTimeout", t.PendingTimeout, "Step was pending longer than its pendingTimeout")
	}
	return n
}

// limit ends a node whose time is up.
func (s *state) limit(n v1alpha1.NodeStatus, field, text, message string) v1alpha1.NodeStatus {
	if text == "" {
		return n
	}
	limit, err := span.Parse(text)
	if err != nil {
		return s.finish(n, v1alpha1.NodeError, fmt.Sprintf("%s: %v", field, err))
	}
	deadline := n.StartedAt.Add(limit)
	if s.w.Now.Before(deadline) {
		s.memory.WakeAt(deadline)
		return n
	}
	s.actions = append(s.actions, StopPod{NodeID: n.ID, PodName: s.podName(n)})
	return s.finish(n, v1alpha1.NodeFailed, message)
}
