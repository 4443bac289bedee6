// Package unit makes and advances what steps and dags are made of: one step or task, whether it loops or not.
package unit

import (
	"fmt"
	"iter"

	"github.com/argosy-mesh/argosy/libs/flow/expression"
	"github.com/argosy-mesh/argosy/libs/flow/hook"
	"github.com/argosy-mesh/argosy/libs/flow/library"
	"github.com/argosy-mesh/argosy/libs/flow/loop"
	"github.com/argosy-mesh/argosy/libs/flow/nodes"
	"github.com/argosy-mesh/argosy/libs/flow/scope"
	"github.com/argosy-mesh/argosy/libs/flow/state"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// Runner makes and advances what steps and dags are made of.
type Runner struct{ hook.Runner }

// Unit is one step or task, whose differences are settled by its caller.
type Unit struct {
	Name      string // in the manifest
	Node      string // name of the node
	Display   string
	Prefix    string // "steps" or "tasks", for tags
	Boundary  string
	Parent    string // id of the node that it hangs from
	Group     bool   // whether a loop gets a TaskGroup node of its own
	Library   library.Ref
	limit     int64 // how many children of the boundary may be at work; 0: any number
	failFast  bool  // no further item of a loop once one has failed
	Step      v1alpha1.WorkflowStep
	Loops     *Loops // of what encloses it
	Tolerates func(v1alpha1.NodePhase) bool
}

// Outcome is how far a unit is.
type Outcome struct {
	Done  bool
	Items []string            // of a loop that is done: the ids of its items' nodes, in order
	Node  v1alpha1.NodeStatus // the unit's own, or its only one
	calls state.Call          // of a loop: what each item calls
}

// nodesOf are the nodes that count for what comes after a unit.
func (k Runner) nodesOf(o Outcome) iter.Seq[v1alpha1.NodeStatus] {
	return func(yield func(v1alpha1.NodeStatus) bool) {
		if o.Items == nil {
			yield(o.Node)
			return
		}
		for _, id := range o.Items {
			if !yield(k.Nodes.At(id)) {
				return
			}
		}
	}
}

// Failed returns the first child that counts as failed.
func (k Runner) Failed(o Outcome, tolerates func(v1alpha1.NodePhase) bool) (v1alpha1.NodeStatus, bool) {
	for n := range k.nodesOf(o) {
		if nodes.Bad(n.Phase) && !tolerates(n.Phase) {
			return n, true
		}
	}
	return v1alpha1.NodeStatus{}, false
}

// Advance makes or advances the node or nodes of a unit.
func (k Runner) Advance(u Unit, sc scope.Scope) Outcome {
	if n, ok := k.Nodes.Named(u.Node); ok && n.Phase.Fulfilled() && n.Type != v1alpha1.NodeTypeTaskGroup {
		k.Nodes.Link(u.Parent, n.ID)
		return Outcome{Done: k.unitHooks(u, n, u.Display, sc), Node: k.Nodes.At(n.ID)}
	}
	l := loop.Loop{Items: u.Step.WithItems, Param: u.Step.WithParam, Sequence: u.Step.WithSequence}
	if !l.Repeats() {
		n := k.one(u, u.Node, u.Display, sc)
		if n.ID != "" {
			k.Nodes.Link(u.Parent, n.ID)
		}
		return Outcome{Done: k.unitHooks(u, n, u.Display, sc) && nodes.Passed(n), Node: n}
	}
	return k.fanOut(u, l, sc)
}

// one executes a unit without loop, or one item of a loop.
func (k Runner) one(u Unit, node, display string, sc scope.Scope) v1alpha1.NodeStatus {
	existing, started := k.Nodes.Named(node)
	switch {
	case started && (existing.Phase.Fulfilled() || k.Clean(existing.ID)):
		return existing
	case !started && k.Closed():
		return v1alpha1.NodeStatus{} // what would be skipped is not even looked at
	case !started && k.full(u):
		k.Memory.Refuse(u.Boundary, u.limit)
		return v1alpha1.NodeStatus{}
	}
	step := u.Step
	c := state.Call{Name: node, Display: display, Template: step.Template, Ref: step.TemplateRef, Library: u.Library,
		Inline: step.Inline, Boundary: u.Boundary,
		Extra: map[string]string{u.Prefix + ".name": u.Name}}
	sc = sc.With(map[string]string{u.Prefix + ".name": u.Name})
	// What does not run needs nothing: its condition comes before its arguments.
	condition, err := sc.Text(step.When)
	if err != nil {
		return k.Fail(c, v1alpha1.NodeTypeSkipped, fmt.Errorf("%s: when: %w", u.Name, err))
	}
	if started {
		condition = "" // it was true when the node began
	}
	run, err := expression.Condition(condition)
	if err != nil {
		return k.Fail(c, v1alpha1.NodeTypeSkipped, fmt.Errorf("%s: %w", u.Name, err))
	}
	if !run {
		n := k.Begin(c, v1alpha1.NodeTypeSkipped, v1alpha1.NodeSkipped)
		n.Message = fmt.Sprintf("when '%s' evaluated false", condition)
		n.Outputs = k.OutputDefaults(c)
		return k.Put(n)
	}
	if err := k.resolveCall(&c, step, sc); err != nil {
		return k.Fail(c, v1alpha1.NodeTypeSkipped, fmt.Errorf("%s: %w", u.Name, err))
	}
	return k.Execute(c)
}

// resolveCall resolves the tags of what a step or task calls, and of its arguments.
func (k Runner) resolveCall(c *state.Call, step v1alpha1.WorkflowStep, sc scope.Scope) (err error) {
	c.Caller = &sc
	if c.Template, err = sc.Text(step.Template); err != nil {
		return err
	}
	if step.Inline != nil {
		if c.Inline, err = sc.Inlined(*step.Inline); err != nil {
			return err
		}
	}
	if step.TemplateRef != nil {
		ref := *step.TemplateRef
		if err := scope.Substitute(&ref, sc); err != nil {
			return err
		}
		c.Ref = &ref
	}
	if step.Arguments != nil {
		c.Args, c.Missing, err = scope.SubstituteArguments(*step.Arguments, sc)
	}
	return err
}

// full reports whether the template that encloses a unit has as many children at work as it may.
func (k Runner) full(u Unit) bool { return u.limit != 0 && k.Nodes.Working(u.Boundary) >= u.limit }

func (k Runner) closeGroup(u Unit, out Outcome) Outcome {
	if !u.Group {
		return out
	}
	out.Node, _ = k.Nodes.Named(u.Node)
	if out.Done && !out.Node.Phase.Fulfilled() {
		phase, message := v1alpha1.NodeSucceeded, ""
		if first, ok := k.Failed(out, u.Tolerates); ok {
			phase, message = first.Phase, first.Message
		}
		out.Node = k.Finish(out.Node, phase, message)
	}
	return out
}

// hooked reports whether anything is to run beside its nodes or after them.
func (u *Unit) hooked() bool { return len(u.Step.Hooks) > 0 || u.Step.OnExit != "" }

// Bound takes over how many children a template lets work at once, and whether a failed item stops the others.
func (u *Unit) Bound(t v1alpha1.Template) {
	if t.Parallelism != nil {
		u.limit = *t.Parallelism
	}
	u.failFast = t.FailFast != nil && *t.FailFast
}

// Conclude ends a steps or dag node that went well, with its outputs.
func (k Runner) Conclude(n v1alpha1.NodeStatus, t v1alpha1.Template, sc scope.Scope,
	outbound []string) v1alpha1.NodeStatus {
	k.EndDaemons(n.ID)
	n = k.Nodes.At(n.ID)
	outputs, err := sc.Outputs(t.Outputs)
	if err != nil {
		return k.Finish(n, v1alpha1.NodeError, err.Error())
	}
	n.Outputs, n.OutboundNodes = outputs, append([]string(nil), outbound...)
	return k.Finish(n, v1alpha1.NodeSucceeded, "")
}

// Outbound are the nodes that whatever comes next hangs from.
func (k Runner) Outbound(o Outcome) []string {
	var ids []string
	for n := range k.nodesOf(o) {
		if onward := k.Nodes.At(n.ID).OutboundNodes; len(onward) > 0 {
			ids = append(ids, onward...)
			continue
		}
		ids = append(ids, n.ID)
	}
	return ids
}

// Publish makes what a unit left behind known to its successors.
func (k Runner) Publish(s scope.Scope, prefix string, o Outcome) {
	if o.Items == nil {
		s.PublishNode(prefix, o.Node)
		return
	}
	s.PublishLoop(prefix, o.Node, k.nodesOf(o), k.OutputNames(o.calls))
}

// unitHooks runs the hooks of one step, task or item, and says whether the unit is done with them.
func (k Runner) unitHooks(u Unit, n v1alpha1.NodeStatus, display string, sc scope.Scope) bool {
	hooks := u.Step.Hooks
	exit, has := hooks[hook.Exit]
	if !has && u.Step.OnExit != "" {
		exit, has = v1alpha1.LifecycleHook{Template: u.Step.OnExit}, true
	}
	if len(hooks) == 0 && !has {
		return true
	}
	k.Hooked = true
	if n.ID == "" {
		return true
	}
	local := sc.With(nil)
	local.PublishNode(u.Prefix+"."+u.Name, n)
	if n.Outputs != nil {
		for _, a := range n.Outputs.Artifacts {
			local.SetArtifact("outputs.artifacts."+a.Name, a)
		}
	}
	place := hook.Place{Scope: local, Boundary: u.Boundary, Library: u.Library}
	done := k.NamedHooks(n.Name, display, hooks, place)
	// Source: Argo Workflows, exit hooks follow nodes that completed; skipped and omitted ones did nothing.
	if !has || !n.Phase.Completed() {
		return done
	}
	return k.ExitOf(n, display, exit, place) && done
}

// Serves reports whether a unit that is done has servers that are still up.
func (k Runner) Serves(o Outcome) bool {
	for n := range k.nodesOf(o) {
		if !n.Phase.Fulfilled() {
			return true
		}
	}
	return false
}
