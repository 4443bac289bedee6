package flow

import (
	"fmt"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/libs/flow/nodes"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// cutShort says why the whole run must end now, "" when it may go on.
func (k *engine) cutShort() string {
	if s := k.w.Spec.Shutdown; s != "" {
		return fmt.Sprintf("Stopped with strategy '%s'", s)
	}
	if deadline := k.runDeadline(); !deadline.IsZero() {
		if !k.w.Now.Before(deadline) {
			return "Step exceeded its deadline"
		}
		k.memory.WakeAt(deadline)
	}
	return ""
}

// terminate ends a run at once: no exit handler, no hook.
func (k *engine) terminate(change *RunChange, reason string) {
	if k.w.Spec.Synchronization != nil {
		k.actions = append(k.actions, Release{Holder: workflowHolder(k.w.Name)})
	}
	change.Outputs = k.globalOutputs()
	k.end(change, v1alpha1.WorkflowFailed, reason)
}

// exiting reports whether a node is an exit hook or handler, or below one. Source: Argo Workflows, they go on when a
// workflow is stopped.
func (k *engine) exiting(name string) bool {
	for at := 0; ; {
		next := strings.Index(name[at:], exitSuffix)
		if next < 0 {
			return false
		}
		at += next + len(exitSuffix)
		// A step may be called onExit; a hook is marked.
		if n, ok := k.nodes.Named(name[:at]); ok && n.NodeFlag != nil && n.NodeFlag.Hooked {
			return true
		}
	}
}

// exitsAtWork reports whether an exit hook is not at its end, or has yet to begin.
func (k *engine) exitsAtWork() bool {
	if len(k.lookups) > 0 || k.memory.Waits() {
		return true
	}
	for _, n := range k.nodes.All() {
		if !n.Phase.Fulfilled() && !k.afterRun(n.Name) && k.exiting(n.Name) {
			return true
		}
	}
	return false
}

// stopNodes fails the open nodes that are chosen, and stops the work behind them.
func (k *engine) stopNodes(reason string, chosen func(v1alpha1.NodeStatus) bool) {
	var ids []string
	for id, n := range k.nodes.All() {
		if !n.Phase.Fulfilled() && chosen(n) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		n := k.nodes.At(id)
		if n.Type == v1alpha1.NodeTypePod {
			k.actions = append(k.actions, StopPod{NodeID: n.ID, PodName: k.podName(n)})
		}
		if nodes.Works(n) {
			k.actions = append(k.actions, StopTask{NodeID: n.ID})
		}
		if k.w.Held[id] || n.SynchronizationStatus != nil {
			k.actions = append(k.actions, Release{Holder: id})
		}
		k.finish(n, v1alpha1.NodeFailed, reason)
	}
}
