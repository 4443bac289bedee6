package core

import (
	"errors"
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
		return outcome{done: true, node: n}
	}
	l := loop{items: u.step.WithItems, param: u.step.WithParam, sequence: u.step.WithSequence}
	if !l.repeats() {
		n := k.one(u, u.node, u.display, sc)
		if n.ID != "" {
			k.link(u.parent, n.ID)
		}
		return outcome{done: n.Phase.Fulfilled(), node: n}
	}
	return k.many(u, l, sc)
}

// one executes a unit without loop, or one item of a loop.
func (k *walk) one(u unit, node, display string, sc scope) v1alpha1.NodeStatus {
	step := u.step
	step.WithItems, step.WithParam, step.WithSequence = nil, "", nil
	inline := step.Inline
	step.Inline = nil // its tags are resolved with its own inputs later
	c := call{name: node, display: display, template: step.Template, inline: inline, boundary: u.boundary}
	if n, ok := k.node(node); ok && n.Phase.Fulfilled() {
		return n
	}
	if err := substitute(&step, sc); err != nil {
		return k.fail(c, v1alpha1.NodeTypeSkipped, fmt.Errorf("%s: %w", u.name, err))
	}
	c.template = step.Template
	run, err := when(step.When)
	if err != nil {
		return k.fail(c, v1alpha1.NodeTypeSkipped, fmt.Errorf("%s: %w", u.name, err))
	}
	if !run {
		n := k.begin(c, v1alpha1.NodeTypeSkipped, v1alpha1.NodeSkipped)
		n.Message = fmt.Sprintf("when '%s' evaluated false", step.When)
		return k.put(n)
	}
	if step.TemplateRef != nil {
		return k.fail(c, v1alpha1.NodeTypeSkipped, errors.New(u.name+": templateRef is not supported by this version; name a template of this workflow"))
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
	out := outcome{done: true}
	for i, item := range items {
		values, suffix := itemValues(item)
		n := k.one(u, childName(u.node, i, suffix), childName(u.display, i, suffix), sc.with(values))
		if n.ID == "" {
			out.done = false
			continue
		}
		k.link(parent, n.ID)
		out.nodes = append(out.nodes, n)
		out.done = out.done && n.Phase.Fulfilled()
	}
	return k.closeGroup(u, out)
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
			outcomes[j] = k.advance(stepUnit(n.ID, g, step), local)
		}
		g = k.closeStepGroup(g, group, outcomes)
		if !g.Phase.Fulfilled() {
			return k.nodes[n.ID]
		}
		if g.Phase != v1alpha1.NodeSucceeded {
			// Upstream's steps are Failed whatever their child was.
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
