package flow

import (
	"fmt"

	"github.com/argosy-mesh/argosy/libs/flow/scope"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

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
func (k steps) sequenceOf(id string, sc scope.Scope) *groupwise {
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

// steps are the templates of groups of units, one group after the other.
type steps struct{ units }

// do makes or advances a node of groups, one after the other.
func (k steps) do(c call, t v1alpha1.Template, sc scope.Scope) v1alpha1.NodeStatus {
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
func (k steps) stepGroup(c call, boundary string, t v1alpha1.Template, at *groupwise) (v1alpha1.NodeStatus, []outcome) {
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

func stepUnit(boundary string, g v1alpha1.NodeStatus, s v1alpha1.WorkflowStep) unit {
	return unit{
		name: s.Name, node: g.Name + "." + s.Name, display: s.Name, prefix: "steps", boundary: boundary, parent: g.ID, step: s,
		tolerates: tolerance(s.ContinueOn),
	}
}

func (k steps) closeStepGroup(g v1alpha1.NodeStatus, group v1alpha1.ParallelSteps, outcomes []outcome) v1alpha1.NodeStatus {
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
