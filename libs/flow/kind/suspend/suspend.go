// Package suspend does the work of templates that wait for a person or for time to pass.
package suspend

import (
	"fmt"

	"github.com/argosy-mesh/argosy/libs/core/span"
	"github.com/argosy-mesh/argosy/libs/flow/operation"
	"github.com/argosy-mesh/argosy/libs/flow/scope"
	"github.com/argosy-mesh/argosy/libs/flow/state"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// Kind is that of the templates that wait for a person or for time to pass.
type Kind struct{ *state.State }

// Do makes or advances a node that waits for a person or for time to pass.
func (k Kind) Do(c state.Call, t v1alpha1.Template, sc scope.Scope) v1alpha1.NodeStatus {
	if err := scope.Substitute(&t, sc.As(scope.FinalTags)); err != nil {
		return k.Fail(c, v1alpha1.NodeTypeSuspend, fmt.Errorf("template %q: %w", c.Template, err))
	}
	n := k.Begin(c, v1alpha1.NodeTypeSuspend, v1alpha1.NodeRunning)
	if n.Outputs == nil && t.Outputs != nil {
		n.Outputs = t.Outputs.DeepCopy()
		n = k.Put(n)
	}
	if t.Suspend.Duration == "" {
		return n
	}
	limit, err := span.Parse(t.Suspend.Duration.String())
	if err != nil {
		return k.Finish(n, v1alpha1.NodeError, fmt.Sprintf("suspend.duration: %v", err))
	}
	if end := n.StartedAt.Add(limit); k.World.Now.Before(end) {
		k.Memory.WakeAt(end)
		return n
	}
	resumed, err := operation.Resumed(n, nil)
	if err != nil {
		return k.Finish(n, v1alpha1.NodeError, err.Error())
	}
	return k.Finish(resumed, v1alpha1.NodeSucceeded, "")
}
