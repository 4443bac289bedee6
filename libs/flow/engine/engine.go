// Package engine decides what a workflow run does next. It does no I/O and knows no clock: a [flow.World] goes in, a
// [flow.Decision] comes out.
//
// It walks the tree of calls from the entrypoint, makes the nodes that may start, takes in what became of pods, and
// rolls results up. The same world always gives the same decision, and a decision whose nodes were recorded gives no
// further changes until the world moves: that makes every crash between recording and acting harmless.
//
// The engine has what concerns a whole run and a single call: limits, locks, caches, retries, inputs, hooks of the
// workflow. What a template does is its kind's (packages below kind), which gets a [state.State], and, when it composes
// others, a [unit.Runner]. Arrows between the packages point down only:
//
//	engine -> kind/steps, kind/dag -> unit -> hook -> state -> library, nodes, memory, scope -> flow
//	       -> kind/pod, kind/task, kind/suspend    -> state
package engine

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/hook"
	"github.com/argosy-mesh/argosy/libs/flow/nodes"
	"github.com/argosy-mesh/argosy/libs/flow/state"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// maxDepth bounds how deep templates may call templates. Source: Argo Workflows,
// maxCallDepth.
const maxDepth = 100

// engine goes over the tree of calls, and keeps what it found out for the next time.
type engine struct {
	hook.Runner
	blamed string // the failures that the exit handler is told, once they are known
	depth  int    // of calls that the decision is in
}

func newEngine(workflow string, run flow.Run, lent bool) *engine {
	k := &engine{Runner: hook.Runner{State: state.New(workflow, run, lent)}}
	k.Execute = k.execute
	return k
}

func (k *engine) decideRun(change *flow.RunChange) {
	var err error
	k.Globals, err = k.globalScope()
	switch {
	case errors.Is(err, state.ErrPending):
		return
	case err != nil:
		k.end(change, v1alpha1.WorkflowError, "invalid spec: "+err.Error())
		return
	}
	if k.World.Spec, err = k.Globals.ResolveSpec(k.World.Spec); err != nil {
		k.end(change, v1alpha1.WorkflowError, "invalid spec: "+err.Error())
		return
	}
	if _, _, err := k.Load(state.Call{Template: k.World.Spec.Entrypoint}); err != nil {
		k.end(change, v1alpha1.WorkflowError, fmt.Sprintf("invalid spec: spec.entrypoint: %v", err))
		return
	}
	if err := k.describe(change); err != nil {
		k.end(change, v1alpha1.WorkflowError, "invalid spec: "+err.Error())
		return
	}
	k.PublishGlobals()
	root, started := k.Nodes.Named(k.World.Name)
	switch reason := k.cutShort(); {
	case reason == "":
	case k.World.Spec.Shutdown == v1alpha1.ShutdownTerminate:
		k.terminate(change, reason)
		return
	case !started:
		k.end(change, v1alpha1.WorkflowFailed, reason)
		return
	case !root.Phase.Fulfilled():
		k.Stopping = reason
		k.stopNodes(reason, func(n v1alpha1.NodeStatus) bool {
			return !nodes.Holds(n) && !k.afterRun(n.Name) &&
				!k.exiting(n.Name)
		})
	}
	k.goOn(change)
}

// goOn takes the run as far as it goes. What ended may have left room for what was refused earlier in the same walk.
func (k *engine) goOn(change *flow.RunChange) {
	for {
		moves := k.Nodes.Moves()
		k.Memory.Restart()
		root, _ := k.Nodes.Named(k.World.Name)
		if !root.Phase.Fulfilled() && !k.lockedOut(workflowHolder(k.World.Name), k.World.Spec.Synchronization,
			k.Globals) {
			root = k.execute(state.Call{Name: k.World.Name, Display: k.World.Name, Template: k.World.Spec.Entrypoint,
				Args: k.arguments()})
		}
		if k.Stopping != "" && !k.exitsAtWork() {
			reason := k.Stopping
			k.Stopping = ""
			k.stopNodes(reason, func(n v1alpha1.NodeStatus) bool { return !k.afterRun(n.Name) })
			root, _ = k.Nodes.Named(k.World.Name)
		}
		k.conclusion(change, root)
		if change.FinishedAt != nil || !k.roomLeft(k.Nodes.Moves() > moves) {
			return
		}
	}
}

// roomLeft reports whether something that was refused may start now, and touches it. Where nothing moved, nothing will.
func (k *engine) roomLeft(moved bool) bool {
	m := k.Memory
	refused := m.Refused()
	m.ClearDirty()
	starves := m.Waits()
	if k.StartsUsedUp() && (starves || len(refused) > 0) {
		k.Memory.WakeAt(k.World.Now)
		return false
	}
	again := starves && !k.AtCapacity()
	for boundary, limit := range refused {
		if k.Nodes.Working(boundary) < limit && m.Touch(boundary) {
			again = true
		}
	}
	return again && moved
}

// arguments are those of the workflow, as everybody sees them.
func (k *engine) arguments() v1alpha1.Arguments {
	if k.World.Spec.Arguments == nil {
		return v1alpha1.Arguments{}
	}
	args := *k.World.Spec.Arguments
	args.Parameters, args.Artifacts = slices.Clone(args.Parameters), slices.Clone(args.Artifacts)
	for i, p := range args.Parameters {
		if value, ok := k.Globals.Value("workflow.parameters." + p.Name); ok {
			args.Parameters[i].Value, args.Parameters[i].ValueFrom = v1alpha1.AnyStringPtr(value), nil
		}
	}
	for i, a := range args.Artifacts {
		if resolved, ok := k.Globals.Artifact("workflow.artifacts." + a.Name); ok {
			args.Artifacts[i] = resolved
		}
	}
	return args
}

// conclusion runs hooks beside the root node and the exit handler after it, and ends the run after both.
func (k *engine) conclusion(change *flow.RunChange, root v1alpha1.NodeStatus) {
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
	k.EndDaemons("")
	if k.World.Spec.Synchronization != nil {
		k.Actions = append(k.Actions, flow.Release{Holder: workflowHolder(k.World.Name)})
	}
	change.Outputs = k.GlobalOutputs()
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
func (k *engine) end(change *flow.RunChange, phase v1alpha1.WorkflowPhase, message string) {
	k.stopNodes(cmp.Or(message, "the workflow has ended"), func(v1alpha1.NodeStatus) bool { return true })
	change.Phase, change.Message, change.FinishedAt = phase, message, &k.World.Now
}

func (k *engine) decision(change *flow.RunChange) flow.Decision {
	d := flow.Decision{Actions: k.Actions, Metrics: k.Metrics, Lookups: k.Lookups,
		Before: map[string]v1alpha1.NodePhase{}}
	if at, set := k.Memory.Wake(); set && change.FinishedAt == nil {
		d.Wake = at
	}
	for c := range k.Nodes.Changes() {
		d.Nodes = append(d.Nodes, c.Node)
		d.Before[c.Node.ID] = c.Before
		if len(c.Added) > 0 && c.Before != "" {
			d.Links = append(d.Links, flow.Link{Parent: c.Node.ID, Children: c.Added, Alone: !c.Body})
		}
	}
	if change.Phase != v1alpha1.WorkflowRunning || change.StartedAt != nil || change.Metadata != nil {
		d.Run = change
	}
	return d
}
