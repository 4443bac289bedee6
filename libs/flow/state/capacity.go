package state

import "github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"

// MayStart reports whether a new node that does work may start now. What may not waits for room.
func (s *State) MayStart(kind v1alpha1.NodeType) bool {
	if s.held() || kind == v1alpha1.NodeTypePod && s.packed() {
		s.Memory.WaitForRoom()
		return false
	}
	return true
}

// held reports whether the workflow is told to start nothing.
func (s *State) held() bool {
	return s.World.Spec.Shutdown == "" && s.World.Spec.Suspend != nil && *s.World.Spec.Suspend
}

// packed reports whether the workflow has as many pods at work as it may.
func (s *State) packed() bool {
	limit := s.World.Spec.Parallelism
	return limit != nil && s.Nodes.Pods() >= *limit
}

// StartsUsedUp reports whether one decision has made as many nodes as it should.
func (s *State) StartsUsedUp() bool { return s.Nodes.Begun() >= startsAtOnce }

// AtCapacity reports whether nothing that waits for room may start now.
func (s *State) AtCapacity() bool { return s.held() || s.packed() || s.StartsUsedUp() }

// startsAtOnce bounds the nodes that one decision makes, as far as loops go: a loop over many items begins in pieces,
// so that its first pods do not wait for its last, and no record grows without bound.
const startsAtOnce = 250
