package flow

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/argosy-mesh/argosy/libs/flow/nodes"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// maxDepth bounds how deep templates may call templates. Source: Argo Workflows,
// maxCallDepth.
const maxDepth = 100

// engine goes over the tree of calls, and keeps what it found out for the next time.
type engine struct {
	hooks
	blamed string // the failures that the exit handler is told, once they are known
	depth  int    // of calls that the decision is in
}

func newEngine(workflow string, run Run, lent bool) *engine {
	k := &engine{hooks: hooks{state: newState(workflow, run, lent)}}
	k.hooks.execute = k.execute
	return k
}

func (k *engine) decideRun(change *RunChange) {
	var err error
	k.globals, err = k.globalScope()
	switch {
	case errors.Is(err, errPending):
		return
	case err != nil:
		k.end(change, v1alpha1.WorkflowError, "invalid spec: "+err.Error())
		return
	}
	if k.w.Spec, err = k.globals.ResolveSpec(k.w.Spec); err != nil {
		k.end(change, v1alpha1.WorkflowError, "invalid spec: "+err.Error())
		return
	}
	if _, _, err := k.load(call{template: k.w.Spec.Entrypoint}); err != nil {
		k.end(change, v1alpha1.WorkflowError, fmt.Sprintf("invalid spec: spec.entrypoint: %v", err))
		return
	}
	if err := k.describe(change); err != nil {
		k.end(change, v1alpha1.WorkflowError, "invalid spec: "+err.Error())
		return
	}
	k.publishGlobals()
	root, started := k.nodes.Named(k.w.Name)
	switch reason := k.cutShort(); {
	case reason == "":
	case k.w.Spec.Shutdown == v1alpha1.ShutdownTerminate:
		k.terminate(change, reason)
		return
	case !started:
		k.end(change, v1alpha1.WorkflowFailed, reason)
		return
	case !root.Phase.Fulfilled():
		k.stopping = reason
		k.stopNodes(reason, func(n v1alpha1.NodeStatus) bool { return !nodes.Holds(n) && !k.afterRun(n.Name) && !k.exiting(n.Name) })
	}
	k.goOn(change)
}

// goOn takes the run as far as it goes. What ended may have left room for what was refused earlier in the same walk.
func (k *engine) goOn(change *RunChange) {
	for {
		moves := k.nodes.Moves()
		k.memory.Restart()
		root, _ := k.nodes.Named(k.w.Name)
		if !root.Phase.Fulfilled() && !k.lockedOut(workflowHolder(k.w.Name), k.w.Spec.Synchronization, k.globals) {
			root = k.execute(call{name: k.w.Name, display: k.w.Name, template: k.w.Spec.Entrypoint, args: k.arguments()})
		}
		if k.stopping != "" && !k.exitsAtWork() {
			reason := k.stopping
			k.stopping = ""
			k.stopNodes(reason, func(n v1alpha1.NodeStatus) bool { return !k.afterRun(n.Name) })
			root, _ = k.nodes.Named(k.w.Name)
		}
		k.conclusion(change, root)
		if change.FinishedAt != nil || !k.roomLeft(k.nodes.Moves() > moves) {
			return
		}
	}
}

// roomLeft reports whether something that was refused may start now, and touches it. Where nothing moved, nothing will.
func (k *engine) roomLeft(moved bool) bool {
	m := k.memory
	refused := m.Refused()
	m.ClearDirty()
	starves := m.Waits()
	if k.spent() && (starves || len(refused) > 0) {
		k.memory.WakeAt(k.w.Now)
		return false
	}
	again := starves && !k.atCapacity()
	for boundary, limit := range refused {
		if k.nodes.Working(boundary) < limit && m.Touch(boundary) {
			again = true
		}
	}
	return again && moved
}

// arguments are those of the workflow, as everybody sees them.
func (k *engine) arguments() v1alpha1.Arguments {
	if k.w.Spec.Arguments == nil {
		return v1alpha1.Arguments{}
	}
	args := *k.w.Spec.Arguments
	args.Parameters, args.Artifacts = slices.Clone(args.Parameters), slices.Clone(args.Artifacts)
	for i, p := range args.Parameters {
		if value, ok := k.globals.Value("workflow.parameters." + p.Name); ok {
			args.Parameters[i].Value, args.Parameters[i].ValueFrom = v1alpha1.AnyStringPtr(value), nil
		}
	}
	for i, a := range args.Artifacts {
		if resolved, ok := k.globals.Artifact("workflow.artifacts." + a.Name); ok {
			args.Artifacts[i] = resolved
		}
	}
	return args
}

// conclusion runs hooks beside the root node and the exit handler after it, and ends the run after both.
func (k *engine) conclusion(change *RunChange, root v1alpha1.NodeStatus) {
	hooked := k.workflowHooks(root)
	if !root.Phase.Fulfilled() {
		return
	}
	phase, message := workflowPhase(root.Phase), root.Message
	exit, done := k.exitHandler(phase)
	if !done || !hooked {
		return
	}
	// Source: Argo Workflows, a failing exit handler overrides success only.
	if p := workflowPhase(exit.Phase); phase == v1alpha1.WorkflowSucceeded && p != v1alpha1.WorkflowSucceeded {
		phase, message = p, exit.Message
	}
	k.endDaemons("")
	if k.w.Spec.Synchronization != nil {
		k.actions = append(k.actions, Release{Holder: workflowHolder(k.w.Name)})
	}
	change.Outputs = k.globalOutputs()
	k.end(change, phase, message)
}

// workflowPhase is the phase of a workflow by that of its root node.
func workflowPhase(p v1alpha1.NodePhase) v1alpha1.WorkflowPhase {
	switch p {
	case v1alpha1.NodeFailed:
		return v1alpha1.WorkflowFailed
	case v1alpha1.NodeError:
		return v1alpha1.WorkflowError
	default:
		return v1alpha1.WorkflowSucceeded
	}
}

// end ends the run. No pod outlives it.
func (k *engine) end(change *RunChange, phase v1alpha1.WorkflowPhase, message string) {
	k.stopNodes(cmp.Or(message, "the workflow has ended"), func(v1alpha1.NodeStatus) bool { return true })
	change.Phase, change.Message, change.FinishedAt = phase, message, &k.w.Now
}

func (k *engine) decision(change *RunChange) Decision {
	d := Decision{Actions: k.actions, Metrics: k.metrics, Lookups: k.lookups, Before: map[string]v1alpha1.NodePhase{}}
	if at, set := k.memory.Wake(); set && change.FinishedAt == nil {
		d.Wake = at
	}
	for c := range k.nodes.Changes() {
		d.Nodes = append(d.Nodes, c.Node)
		d.Before[c.Node.ID] = c.Before
		if len(c.Added) > 0 && c.Before != "" {
			d.Links = append(d.Links, Link{Parent: c.Node.ID, Children: c.Added, Alone: !c.Body})
		}
	}
	if change.Phase != v1alpha1.WorkflowRunning || change.StartedAt != nil || change.Metadata != nil {
		d.Run = change
	}
	return d
}
