package flow

import (
	"fmt"
	"iter"

	"github.com/argosy-mesh/argosy/libs/flow/expression"
	"github.com/argosy-mesh/argosy/libs/flow/nodes"
	"github.com/argosy-mesh/argosy/libs/flow/scope"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// unit is one step or task, whose differences are settled by its caller.
type unit struct {
	name      string // in the manifest
	node      string // name of the node
	display   string
	prefix    string // "steps" or "tasks", for tags
	boundary  string
	parent    string // id of the node that it hangs from
	group     bool   // whether a loop gets a TaskGroup node of its own
	library   library
	limit     int64 // how many children of the boundary may be at work; 0: any number
	failFast  bool  // no further item of a loop once one has failed
	step      v1alpha1.WorkflowStep
	loops     *loops // of what encloses it
	tolerates func(v1alpha1.NodePhase) bool
}

// outcome is how far a unit is.
type outcome struct {
	done  bool
	items []string            // of a loop that is done: the ids of its items' nodes, in order
	node  v1alpha1.NodeStatus // the unit's own, or its only one
	calls call                // of a loop: what each item calls
}

// nodesOf are the nodes that count for what comes after a unit.
func (k *engine) nodesOf(o outcome) iter.Seq[v1alpha1.NodeStatus] {
	return func(yield func(v1alpha1.NodeStatus) bool) {
		if o.items == nil {
			yield(o.node)
			return
		}
		for _, id := range o.items {
			if !yield(k.nodes.At(id)) {
				return
			}
		}
	}
}

// failed returns the first child that counts as failed.
func (k *engine) failed(o outcome, tolerates func(v1alpha1.NodePhase) bool) (v1alpha1.NodeStatus, bool) {
	for n := range k.nodesOf(o) {
		if nodes.Bad(n.Phase) && !tolerates(n.Phase) {
			return n, true
		}
	}
	return v1alpha1.NodeStatus{}, false
}

// advance makes or advances the node or nodes of a unit.
func (k *engine) advance(u unit, sc scope.Scope) outcome {
	if n, ok := k.nodes.Named(u.node); ok && n.Phase.Fulfilled() && n.Type != v1alpha1.NodeTypeTaskGroup {
		k.nodes.Link(u.parent, n.ID)
		return outcome{done: k.unitHooks(u, n, u.display, sc), node: k.nodes.At(n.ID)}
	}
	l := loop{items: u.step.WithItems, param: u.step.WithParam, sequence: u.step.WithSequence}
	if !l.repeats() {
		n := k.one(u, u.node, u.display, sc)
		if n.ID != "" {
			k.nodes.Link(u.parent, n.ID)
		}
		return outcome{done: k.unitHooks(u, n, u.display, sc) && nodes.Passed(n), node: n}
	}
	return k.fanOut(u, l, sc)
}

// one executes a unit without loop, or one item of a loop.
func (k *engine) one(u unit, node, display string, sc scope.Scope) v1alpha1.NodeStatus {
	existing, started := k.nodes.Named(node)
	switch {
	case started && (existing.Phase.Fulfilled() || k.clean(existing.ID)):
		return existing
	case !started && k.closed():
		return v1alpha1.NodeStatus{} // what would be skipped is not even looked at
	case !started && k.full(u):
		k.memory.Refuse(u.boundary, u.limit)
		return v1alpha1.NodeStatus{}
	}
	step := u.step
	c := call{name: node, display: display, template: step.Template, ref: step.TemplateRef, library: u.library, inline: step.Inline, boundary: u.boundary,
		extra: map[string]string{u.prefix + ".name": u.name}}
	sc = sc.With(map[string]string{u.prefix + ".name": u.name})
	// What does not run needs nothing: its condition comes before its arguments.
	condition, err := sc.Text(step.When)
	if err != nil {
		return k.fail(c, v1alpha1.NodeTypeSkipped, fmt.Errorf("%s: when: %w", u.name, err))
	}
	if started {
		condition = "" // it was true when the node began
	}
	run, err := expression.Condition(condition)
	if err != nil {
		return k.fail(c, v1alpha1.NodeTypeSkipped, fmt.Errorf("%s: %w", u.name, err))
	}
	if !run {
		n := k.begin(c, v1alpha1.NodeTypeSkipped, v1alpha1.NodeSkipped)
		n.Message = fmt.Sprintf("when '%s' evaluated false", condition)
		n.Outputs = k.outputDefaults(c)
		return k.put(n)
	}
	if err := k.resolveCall(&c, step, sc); err != nil {
		return k.fail(c, v1alpha1.NodeTypeSkipped, fmt.Errorf("%s: %w", u.name, err))
	}
	return k.execute(c)
}

// resolveCall resolves the tags of what a step or task calls, and of its arguments.
func (k *engine) resolveCall(c *call, step v1alpha1.WorkflowStep, sc scope.Scope) (err error) {
	c.caller = &sc
	if c.template, err = sc.Text(step.Template); err != nil {
		return err
	}
	if step.Inline != nil {
		if c.inline, err = sc.Inlined(*step.Inline); err != nil {
			return err
		}
	}
	if step.TemplateRef != nil {
		ref := *step.TemplateRef
		if err := scope.Substitute(&ref, sc); err != nil {
			return err
		}
		c.ref = &ref
	}
	if step.Arguments != nil {
		c.args, c.missing, err = scope.SubstituteArguments(*step.Arguments, sc)
	}
	return err
}

// full reports whether the template that encloses a unit has as many children at work as it may.
func (k *engine) full(u unit) bool { return u.limit != 0 && k.nodes.Working(u.boundary) >= u.limit }

func (k *engine) closeGroup(u unit, out outcome) outcome {
	if !u.group {
		return out
	}
	out.node, _ = k.nodes.Named(u.node)
	if out.done && !out.node.Phase.Fulfilled() {
		phase, message := v1alpha1.NodeSucceeded, ""
		if first, ok := k.failed(out, u.tolerates); ok {
			phase, message = first.Phase, first.Message
		}
		out.node = k.finish(out.node, phase, message)
	}
	return out
}

// groupwise is how far a steps node is.
type groupwise struct {
	loops
	group   int         // the one that is at work
	scope   scope.Scope // what those before it left behind
	parents []string    // the nodes that it hangs from
	hung    bool        // whether it hangs from them
	daemons bool        // whether those before it have servers: what becomes of these must still be seen
}

// sequenceOf is where a steps node goes on.
func (k *engine) sequenceOf(id string, sc scope.Scope) *groupwise {
	at, known := k.memory.Kept(id).(*groupwise)
	if !known {
		at = &groupwise{scope: sc.With(nil), parents: []string{id}}
		k.memory.Keep(id, at)
	}
	if at.daemons {
		*at = groupwise{loops: at.loops, scope: sc.With(nil), parents: []string{id}}
	}
	return at
}

// steps makes or advances a node of groups, one after the other.
func (k *engine) steps(c call, t v1alpha1.Template, sc scope.Scope) v1alpha1.NodeStatus {
	n := k.begin(c, v1alpha1.NodeTypeSteps, v1alpha1.NodeRunning)
	at := k.sequenceOf(n.ID, sc)
	for ; at.group < len(t.Steps); at.group++ {
		g, outcomes := k.stepGroup(c, n.ID, t, at)
		if !g.Phase.Fulfilled() {
			return k.nodes.At(n.ID)
		}
		if g.Phase != v1alpha1.NodeSucceeded {
			// Upstream's steps are Failed whatever their child was.
			k.endDaemons(n.ID)
			return k.finish(k.nodes.At(n.ID), v1alpha1.NodeFailed, g.Message)
		}
		at.parents, at.hung = nil, false
		for j, step := range t.Steps[at.group].Steps {
			k.publish(at.scope, "steps."+step.Name, outcomes[j])
			at.parents = append(at.parents, k.outbound(outcomes[j])...)
			at.daemons = at.daemons || k.serves(outcomes[j])
		}
	}
	return k.conclude(k.nodes.At(n.ID), t, at.scope, at.parents)
}

// stepGroup makes or advances the group that a steps node is at.
func (k *engine) stepGroup(c call, boundary string, t v1alpha1.Template, at *groupwise) (v1alpha1.NodeStatus, []outcome) {
	group := t.Steps[at.group]
	name := fmt.Sprintf("%s[%d]", c.name, at.group)
	g := k.begin(call{name: name, display: fmt.Sprintf("[%d]", at.group), boundary: boundary}, v1alpha1.NodeTypeStepGroup, v1alpha1.NodeRunning)
	if !at.hung {
		at.hung = true
		for _, p := range at.parents {
			k.nodes.Link(p, g.ID)
		}
	}
	// Neighbours may look at how far those before them are.
	local := at.scope
	if len(group.Steps) > 1 {
		local = local.With(nil)
	}
	outcomes := make([]outcome, len(group.Steps))
	for j, step := range group.Steps {
		u := stepUnit(boundary, g, step)
		u.library, u.loops = c.library, &at.loops
		u.bound(t)
		outcomes[j] = k.advance(u, local)
		if outcomes[j].node.ID != "" && len(group.Steps) > 1 {
			local.PublishNode("steps."+step.Name, outcomes[j].node)
		}
	}
	return k.closeStepGroup(g, group, outcomes), outcomes
}

// serves reports whether a unit that is done has servers that are still up.
func (k *engine) serves(o outcome) bool {
	for n := range k.nodesOf(o) {
		if !n.Phase.Fulfilled() {
			return true
		}
	}
	return false
}

func stepUnit(boundary string, g v1alpha1.NodeStatus, s v1alpha1.WorkflowStep) unit {
	return unit{
		name: s.Name, node: g.Name + "." + s.Name, display: s.Name, prefix: "steps", boundary: boundary, parent: g.ID, step: s,
		tolerates: tolerance(s.ContinueOn),
	}
}

// hooked reports whether anything is to run beside its nodes or after them.
func (u *unit) hooked() bool { return len(u.step.Hooks) > 0 || u.step.OnExit != "" }

// bound takes over how many children a template lets work at once, and whether a failed item stops the others.
func (u *unit) bound(t v1alpha1.Template) {
	if t.Parallelism != nil {
		u.limit = *t.Parallelism
	}
	u.failFast = t.FailFast != nil && *t.FailFast
}

func tolerance(c *v1alpha1.ContinueOn) func(v1alpha1.NodePhase) bool {
	return func(p v1alpha1.NodePhase) bool {
		return c != nil && (c.Failed && p == v1alpha1.NodeFailed || c.Error && p == v1alpha1.NodeError)
	}
}

func (k *engine) closeStepGroup(g v1alpha1.NodeStatus, group v1alpha1.ParallelSteps, outcomes []outcome) v1alpha1.NodeStatus {
	for _, o := range outcomes {
		if !o.done {
			return k.nodes.At(g.ID)
		}
	}
	g = k.nodes.At(g.ID)
	if g.Phase.Fulfilled() {
		return g
	}
	for j, o := range outcomes {
		if first, ok := k.failed(o, tolerance(group.Steps[j].ContinueOn)); ok {
			return k.finish(g, v1alpha1.NodeFailed, fmt.Sprintf("child '%s' failed", first.ID))
		}
	}
	return k.finish(g, v1alpha1.NodeSucceeded, "")
}

// conclude ends a steps or dag node that went well, with its outputs.
func (k *engine) conclude(n v1alpha1.NodeStatus, t v1alpha1.Template, sc scope.Scope, outbound []string) v1alpha1.NodeStatus {
	k.endDaemons(n.ID)
	n = k.nodes.At(n.ID)
	outputs, err := sc.Outputs(t.Outputs)
	if err != nil {
		return k.finish(n, v1alpha1.NodeError, err.Error())
	}
	n.Outputs, n.OutboundNodes = outputs, append([]string(nil), outbound...)
	return k.finish(n, v1alpha1.NodeSucceeded, "")
}

// outbound are the nodes that whatever comes next hangs from.
func (k *engine) outbound(o outcome) []string {
	var ids []string
	for n := range k.nodesOf(o) {
		if onward := k.nodes.At(n.ID).OutboundNodes; len(onward) > 0 {
			ids = append(ids, onward...)
			continue
		}
		ids = append(ids, n.ID)
	}
	return ids
}
