package nodes

import "github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"

// Works reports whether a node does work itself, rather than hold others.
func Works(n v1alpha1.NodeStatus) bool {
	return n.Type == v1alpha1.NodeTypePod || n.Type == v1alpha1.NodeTypeHTTP || n.Type == v1alpha1.NodeTypePlugin
}

// Holds reports whether nodes of a type only hold others.
func Holds(n v1alpha1.NodeStatus) bool {
	switch n.Type {
	case v1alpha1.NodeTypeSteps, v1alpha1.NodeTypeStepGroup, v1alpha1.NodeTypeDAG, v1alpha1.NodeTypeTaskGroup,
		v1alpha1.NodeTypeRetry:
		return true
	}
	return false
}

// Serves reports whether a node is a server that is up: what waits for it may go on.
func Serves(n v1alpha1.NodeStatus) bool { return n.Daemoned != nil && *n.Daemoned }

// Passed reports whether what comes after a node may start.
func Passed(n v1alpha1.NodeStatus) bool { return n.Phase.Fulfilled() || Serves(n) }

// Bad reports whether a phase is one of failure.
func Bad(p v1alpha1.NodePhase) bool { return p == v1alpha1.NodeFailed || p == v1alpha1.NodeError }

// Tolerates reports whether a failure of a phase does no harm, as continueOn says.
func Tolerates(c *v1alpha1.ContinueOn) func(v1alpha1.NodePhase) bool {
	return func(p v1alpha1.NodePhase) bool {
		return c != nil && (c.Failed && p == v1alpha1.NodeFailed || c.Error && p == v1alpha1.NodeError)
	}
}
