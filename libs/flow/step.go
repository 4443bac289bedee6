package flow

import (
	"fmt"

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
	tolerates func(v1alpha1.NodePhase) bool
}

// outcome is how far a unit is.
type outcome struct {
	done  bool
	nodes []v1alpha1.NodeStatus // of a loop: one per item, in order
	node  v1alpha1.NodeStatus   // the unit's own, or its only one
}

// failed returns the phase of the first child that counts as failed.
func (o outcome) failed(tolerates func(v1alpha1.NodePhase) bool) (v1alpha1.NodeStatus, bool) {
	nodes := o.nodes
	if nodes == nil {
		nodes = []v1alpha1.NodeStatus{o.node}
	}
	for _, n := range nodes {
		bad := n.Phase == v1alpha1.NodeFailed || n.Phase == v1alpha1.NodeError
		if bad && !tolerates(n.Phase) {
			return n, true
		}
	}
	return v1alpha1.NodeStatus{}, false
}

// advance makes or advances the node or nodes of a unit.
func (k *walk) advance(u unit, sc scope) outcome {
	if n, ok := k.node(u.node); ok && n.Phase.Fulfilled() && n.Type != v1alpha1.NodeTypeTaskGroup {
		k.link(u.parent, n.ID)
		return outcome{done: k.unitHooks(u, n, u.display, sc), node: k.nodes[n.ID]}
	}
	l := loop{items: u.step.WithItems, param: u.step.WithParam, sequence: u.step.WithSequence}
	if !l.repeats() {
		n := k.one(u, u.node, u.display, sc)
		if n.ID != "" {
			k.link(u.parent, n.ID)
		}
		return outcome{done: k.unitHooks(u, n, u.display, sc) && fulfilled(n), node: n}
	}
	return k.many(u, l, sc)
}

// one executes a unit without loop, or one item of a loop.
func (k *walk) one(u unit, node, display string, sc scope) v1alpha1.NodeStatus {
	step := u.step
	step.WithItems, step.WithParam, step.WithSequence = nil, "", nil
	inline := step.Inline
	step.Inline = nil // its tags are resolved with its own inputs later
	step.Hooks = nil  // theirs are resolved when they run
	c := call{name: node, display: display, template: step.Template, ref: step.TemplateRef, library: u.library, inline: inline, boundary: u.boundary,
		extra: map[string]string{u.prefix + ".name": u.name}}
	existing, started := k.node(node)
	if started && existing.Phase.Fulfilled() {
		return existing
	}
	if !started && k.full(u) {
		return v1alpha1.NodeStatus{}
	}
	sc = sc.with(map[string]string{u.prefix + ".name": u.name})
	if step.Arguments != nil {
		step.Arguments = step.Arguments.DeepCopy()
	}
	sc.dropAbsent(step.Arguments)
	if err := substitute(&step, sc); err != nil {
		return k.fail(c, v1alpha1.NodeTypeSkipped, fmt.Errorf("%s: %w", u.name, err))
	}
	c.template, c.ref = step.Template, step.TemplateRef
	if started {
		step.When = "" // it was true when the node began
	}
	run, err := when(step.When)
	if err != nil {
		return k.fail(c, v1alpha1.NodeTypeSkipped, fmt.Errorf("%s: %w", u.name, err))
	}
	if !run {
		n := k.begin(c, v1alpha1.NodeTypeSkipped, v1alpha1.NodeSkipped)
		n.Message = fmt.Sprintf("when '%s' evaluated false", step.When)
		n.Outputs = k.outputDefaults(c)
		return k.put(n)
	}
	if step.Arguments != nil {
		c.args = *step.Arguments
	}
	if err := sc.follow(c.args.Artifacts); err != nil {
		return k.fail(c, v1alpha1.NodeTypeSkipped, fmt.Errorf("%s: %w", u.name, err))
	}
	return k.execute(c)
}

func (k *walk) many(u unit, l loop, sc scope) outcome {
	c := call{name: u.node, display: u.display, boundary: u.boundary}
	var err error
	if l.param, err = sc.text(l.param); err == nil && l.sequence != nil {
		err = substitute(l.sequence, sc)
	}
	var items []v1alpha1.Item
	if err == nil {
		items, err = l.expand()
	}
	if err != nil {
		return outcome{done: true, node: k.fail(c, v1alpha1.NodeTypeSkipped, fmt.Errorf("%s: %w", u.name, err))}
	}
	if len(items) == 0 {
		n := k.begin(c, v1alpha1.NodeTypeSkipped, v1alpha1.NodeSkipped)
		n.Message = "Skipped, empty params"
		return outcome{done: true, node: k.put(n)}
	}
	parent := u.parent
	if u.group {
		g := k.begin(c, v1alpha1.NodeTypeTaskGroup, v1alpha1.NodeRunning)
		k.link(u.parent, g.ID)
		parent = g.ID
	}
	return k.closeGroup(u, k.each(u, items, parent, sc))
}

// each makes or advances the nodes of a loop's items.
func (k *walk) each(u unit, items []v1alpha1.Item, parent string, sc scope) outcome {
	out := outcome{done: true}
	halted, waiting := false, false
	for i, item := range items {
		values, suffix := itemValues(item)
		node, display := childName(u.node, i, suffix), childName(u.display, i, suffix)
		n, started := k.node(node)
		switch {
		case !started && halted:
			continue
		case !started && waiting: // what keeps one item from starting keeps the others too
			out.done = false
			continue
		}
		hooked := true
		if !n.Phase.Fulfilled() || u.hooked() {
			local := sc.with(values)
			if n = k.one(u, node, display, local); n.ID == "" {
				out.done, waiting = false, k.full(u) || k.crowded()
				continue
			}
			hooked = k.unitHooks(u, n, display, local)
		}
		k.link(parent, n.ID)
		out.nodes = append(out.nodes, n)
		out.done = out.done && hooked && fulfilled(n)
		_, bad := outcome{node: n}.failed(u.tolerates)
		halted = halted || bad && u.failFast
	}
	return out
}

// full reports whether the template that encloses a unit has as many children at work as it may.
func (k *walk) full(u unit) bool {
	if u.limit == 0 {
		return false
	}
	count, counted := k.working[u.boundary]
	if !counted {
		for _, n := range k.nodes {
			if n.BoundaryID == u.boundary {
				count += atWork(n)
			}
		}
		k.working[u.boundary] = count
	}
	return count >= u.limit
}

// atWork is 1 for a node that counts for the parallelism of what encloses it, else 0.
func atWork(n v1alpha1.NodeStatus) int64 {
	aside := n.NodeFlag != nil && (n.NodeFlag.Retried || n.NodeFlag.Hooked)
	if n.ID == "" || aside || n.Type == v1alpha1.NodeTypeStepGroup || n.Type == v1alpha1.NodeTypeTaskGroup || n.Phase.Fulfilled() {
		return 0
	}
	return 1
}

func (k *walk) closeGroup(u unit, out outcome) outcome {
	if !u.group {
		return out
	}
	out.node, _ = k.node(u.node)
	if out.done && !out.node.Phase.Fulfilled() {
		phase, message := v1alpha1.NodeSucceeded, ""
		if bad, ok := out.failed(u.tolerates); ok {
			phase, message = bad.Phase, bad.Message
		}
		out.node = k.finish(out.node, phase, message)
	}
	return out
}

// steps makes or advances a node of groups, one after the other.
func (k *walk) steps(c call, t v1alpha1.Template, sc scope) v1alpha1.NodeStatus {
	n := k.begin(c, v1alpha1.NodeTypeSteps, v1alpha1.NodeRunning)
	local := sc.with(nil)
	parents := []string{n.ID}
	for i, group := range t.Steps {
		name := fmt.Sprintf("%s[%d]", c.name, i)
		g := k.begin(call{name: name, display: fmt.Sprintf("[%d]", i), boundary: n.ID}, v1alpha1.NodeTypeStepGroup, v1alpha1.NodeRunning)
		for _, p := range parents {
			k.link(p, g.ID)
		}
		outcomes := make([]outcome, len(group.Steps))
		for j, step := range group.Steps {
			u := stepUnit(n.ID, g, step)
			u.library = c.library
			u.bound(t)
			outcomes[j] = k.advance(u, local)
			if outcomes[j].node.ID != "" {
				// Hooks of its neighbours may look at how far it is.
				local.publishNode("steps."+step.Name, outcomes[j].node)
			}
		}
		g = k.closeStepGroup(g, group, outcomes)
		if !g.Phase.Fulfilled() {
			return k.nodes[n.ID]
		}
		if g.Phase != v1alpha1.NodeSucceeded {
			// Upstream's steps are Failed whatever their child was.
			k.endDaemons(n.ID)
			return k.finish(k.nodes[n.ID], v1alpha1.NodeFailed, g.Message)
		}
		parents = parents[:0]
		for j, step := range group.Steps {
			local.publish("steps."+step.Name, outcomes[j])
			parents = append(parents, k.outbound(outcomes[j])...)
		}
	}
	return k.conclude(k.nodes[n.ID], t, local, parents)
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

func (k *walk) closeStepGroup(g v1alpha1.NodeStatus, group v1alpha1.ParallelSteps, outcomes []outcome) v1alpha1.NodeStatus {
	for _, o := range outcomes {
		if !o.done {
			return k.nodes[g.ID]
		}
	}
	g = k.nodes[g.ID]
	if g.Phase.Fulfilled() {
		return g
	}
	for j, o := range outcomes {
		if bad, ok := o.failed(tolerance(group.Steps[j].ContinueOn)); ok {
			return k.finish(g, v1alpha1.NodeFailed, fmt.Sprintf("child '%s' failed", bad.ID))
		}
	}
	return k.finish(g, v1alpha1.NodeSucceeded, "")
}

// conclude ends a steps or dag node that went well, with its outputs.
func (k *walk) conclude(n v1alpha1.NodeStatus, t v1alpha1.Template, sc scope, outbound []string) v1alpha1.NodeStatus {
	k.endDaemons(n.ID)
	n = k.nodes[n.ID]
	outputs, err := sc.outputs(t.Outputs)
	if err != nil {
		return k.finish(n, v1alpha1.NodeError, err.Error())
	}
	n.Outputs, n.OutboundNodes = outputs, append([]string(nil), outbound...)
	return k.finish(n, v1alpha1.NodeSucceeded, "")
}

// outbound are the nodes that whatever comes next hangs from.
func (k *walk) outbound(o outcome) []string {
	nodes := o.nodes
	if nodes == nil {
		nodes = []v1alpha1.NodeStatus{o.node}
	}
	var ids []string
	for _, n := range nodes {
		if current, ok := k.nodes[n.ID]; ok && len(current.OutboundNodes) > 0 {
			ids = append(ids, current.OutboundNodes...)
			continue
		}
		ids = append(ids, n.ID)
	}
	return ids
}
