package flow

import "github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"

// mayStart reports whether a new node that does work may start now. What may not waits for room.
func (s *state) mayStart(kind v1alpha1.NodeType) bool {
	if s.held() || kind == v1alpha1.NodeTypePod && s.packed() {
		s.memory.WaitForRoom()
		return false
	}
	return true
}

// held reports whether the workflow is told to start nothing.
func (s *state) held() bool {
	return s.w.Spec.Shutdown == "" && s.w.Spec.Suspend != nil && *s.w.Spec.Suspend
}

// packed reports whether the workflow has as many pods at work as it may.
func (s *state) packed() bool {
	limit := s.w.Spec.Parallelism
	return limit != nil && s.nodes.Pods() >= *limit
}

// spent reports whether one decision has made as many nodes as it should.
func (s *state) spent() bool { return s.nodes.Begun() >= startsAtOnce }

// atCapacity reports whether nothing that waits for room may start now.
func (s *state) atCapacity() bool { return s.held() || s.packed() || s.spent() }

// startsAtOnce bounds the nodes that one decision makes, as far as loops go: a loop over many items begins in pieces, so
// that its first pods do not wait for its last, and no record grows without bound.
const startsAtOnce = 250
