package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/hook"
	"github.com/argosy-mesh/argosy/libs/flow/nodes"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// cutShort says why the whole run must end now, "" when it may go on.
func (k *engine) cutShort() string {
	if s := k.World.Spec.Shutdown; s != "" {
		return fmt.Sprintf("Stopped with strategy '%s'", s)
	}
	if deadline := k.RunDeadline(); !deadline.IsZero() {
		if !k.World.Now.Before(deadline) {
			return "Step exceeded its deadline"
		}
		k.Memory.WakeAt(deadline)
	}
	return ""
}

// terminate ends a run at once: no exit handler, no hook.
func (k *engine) terminate(change *flow.RunChange, reason string) {
	if k.World.Spec.Synchronization != nil {
		k.Actions = append(k.Actions, flow.Release{Holder: workflowHolder(k.World.Name)})
	}
	change.Outputs = k.GlobalOutputs()
	k.end(change, v1alpha1.WorkflowFailed, reason)
}

// exiting reports whether a node is an exit hook or handler, or below one. Source: Argo Workflows, they go on when a
// workflow is stopped.
func (k *engine) exiting(name string) bool {
	for at := 0; ; {
		next := strings.Index(name[at:], hook.ExitSuffix)
		if next < 0 {
			return false
		}
		at += next + len(hook.ExitSuffix)
		// A step may be called onExit; a hook is marked.
		if n, ok := k.Nodes.Named(name[:at]); ok && n.NodeFlag != nil && n.NodeFlag.Hooked {
			return true
		}
	}
}

// exitsAtWork reports whether an exit hook is not at its end, or has yet to begin.
func (k *engine) exitsAtWork() bool {
	if len(k.Lookups) > 0 || k.Memory.Waits() {
		return true
	}
	for _, n := range k.Nodes.All() {
		if !n.Phase.Fulfilled() && !k.afterRun(n.Name) && k.exiting(n.Name) {
			return true
		}
	}
	return false
}

// stopNodes fails the open nodes that are chosen, and stops the work behind them.
func (k *engine) stopNodes(reason string, chosen func(v1alpha1.NodeStatus) bool) {
	var ids []string
	for id, n := range k.Nodes.All() {
		if !n.Phase.Fulfilled() && chosen(n) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		n := k.Nodes.At(id)
		if n.Type == v1alpha1.NodeTypePod {
			k.Actions = append(k.Actions, flow.StopPod{NodeID: n.ID, PodName: k.PodName(n)})
		}
		if nodes.Works(n) {
			k.Actions = append(k.Actions, flow.StopTask{NodeID: n.ID})
		}
		if k.World.Held[id] || n.SynchronizationStatus != nil {
			k.Actions = append(k.Actions, flow.Release{Holder: id})
		}
		k.Finish(n, v1alpha1.NodeFailed, reason)
	}
}
