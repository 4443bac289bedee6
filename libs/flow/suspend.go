package flow

import (
	"fmt"

	"github.com/argosy-mesh/argosy/libs/core/span"
	"github.com/argosy-mesh/argosy/libs/flow/scope"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// suspends are the templates that wait for a person or for time to pass.
type suspends struct{ *state }

// do makes or advances a node that waits for a person or for time to pass.
func (k suspends) do(c call, t v1alpha1.Template, sc scope.Scope) v1alpha1.NodeStatus {
	if err := scope.Substitute(&t, sc.As(scope.FinalTags)); err != nil {
		return k.fail(c, v1alpha1.NodeTypeSuspend, fmt.Errorf("template %q: %w", c.template, err))
	}
	n := k.begin(c, v1alpha1.NodeTypeSuspend, v1alpha1.NodeRunning)
	if n.Outputs == nil && t.Outputs != nil {
		n.Outputs = t.Outputs.DeepCopy()
		n = k.put(n)
	}
	if t.Suspend.Duration == "" {
		return n
	}
	limit, err := span.Parse(t.Suspend.Duration.String())
	if err != nil {
		return k.finish(n, v1alpha1.NodeError, fmt.Sprintf("suspend.duration: %v", err))
	}
	if end := n.StartedAt.Add(limit); k.w.Now.Before(end) {
		k.memory.WakeAt(end)
		return n
	}
	resumed, err := resumeNode(n, nil)
	if err != nil {
		return k.finish(n, v1alpha1.NodeError, err.Error())
	}
	return k.finish(resumed, v1alpha1.NodeSucceeded, "")
}
