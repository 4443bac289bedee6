// Package steps does the work of templates of groups of units, one group after the other.
package steps

import (
	"fmt"

	"github.com/argosy-mesh/argosy/libs/flow/nodes"
	"github.com/argosy-mesh/argosy/libs/flow/scope"
	"github.com/argosy-mesh/argosy/libs/flow/state"
	"github.com/argosy-mesh/argosy/libs/flow/unit"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// groupwise is how far a steps node is.
type groupwise struct {
	unit.Loops
	group   int         // the one that is at work
	scope   scope.Scope // what those before it left behind
	parents []string    // the nodes that it hangs from
	hung    bool        // whether it hangs from them
	daemons bool        // whether those before it have servers: what becomes of these must still be seen
}

// sequenceOf is where a steps node goes on.
func (k Kind) sequenceOf(id string, sc scope.Scope) *groupwise {
	at, known := k.Memory.Kept(id).(*groupwise)
	if !known {
		at = &groupwise{scope: sc.With(nil), parents: []string{id}}
		k.Memory.Keep(id, at)
	}
	if at.daemons {
		*at = groupwise{Loops: at.Loops, scope: sc.With(nil), parents: []string{id}}
	}
	return at
}

// Kind is that of the templates of groups of units, one group after the other.
type Kind struct{ unit.Runner }

// Do makes or advances a node of groups, one after the other.
func (k Kind) Do(c state.Call, t v1alpha1.Template, sc scope.Scope) v1alpha1.NodeStatus {
	n := k.Begin(c, v1alpha1.NodeTypeSteps, v1alpha1.NodeRunning)
	at := k.sequenceOf(n.ID, sc)
	for ; at.group < len(t.Steps); at.group++ {
		g, outcomes := k.stepGroup(c, n.ID, t, at)
		if !g.Phase.Fulfilled() {
			return k.Nodes.At(n.ID)
		}
		if g.Phase != v1alpha1.NodeSucceeded {
			// Upstream's steps are Failed whatever their child was.
			k.EndDaemons(n.ID)
			return k.Finish(k.Nodes.At(n.ID), v1alpha1.NodeFailed, g.Message)
		}
		at.parents, at.hung = nil, false
		for j, step := range t.Steps[at.group].Steps {
			k.Publish(at.scope, "steps."+step.Name, outcomes[j])
			at.parents = append(at.parents, k.Outbound(outcomes[j])...)
			at.daemons = at.daemons || k.Serves(outcomes[j])
		}
	}
	return k.Conclude(k.Nodes.At(n.ID), t, at.scope, at.parents)
}

// stepGroup makes or advances the group that a steps node is at.
func (k Kind) stepGroup(c state.Call, boundary string, t v1alpha1.Template, at *groupwise) (v1alpha1.NodeStatus,
	[]unit.Outcome) {
	group := t.Steps[at.group]
	name := fmt.Sprintf("%s[%d]", c.Name, at.group)
	g := k.Begin(state.Call{Name: name, Display: fmt.Sprintf("[%d]", at.group), Boundary: boundary},
		v1alpha1.NodeTypeStepGroup, v1alpha1.NodeRunning)
	if !at.hung {
		at.hung = true
		for _, p := range at.parents {
			k.Nodes.Link(p, g.ID)
		}
	}
	// Neighbours may look at how far those before them are.
	local := at.scope
	if len(group.Steps) > 1 {
		local = local.With(nil)
	}
	outcomes := make([]unit.Outcome, len(group.Steps))
	for j, step := range group.Steps {
		u := stepUnit(boundary, g, step)
		u.Library, u.Loops = c.Library, &at.Loops
		u.Bound(t)
		outcomes[j] = k.Advance(u, local)
		if outcomes[j].Node.ID != "" && len(group.Steps) > 1 {
			local.PublishNode("steps."+step.Name, outcomes[j].Node)
		}
	}
	return k.closeStepGroup(g, group, outcomes), outcomes
}

func stepUnit(boundary string, g v1alpha1.NodeStatus, s v1alpha1.WorkflowStep) unit.Unit {
	return unit.Unit{
		Name: s.Name, Node: g.Name + "." + s.Name, Display: s.Name, Prefix: "steps", Boundary: boundary, Parent: g.ID,
		Step:      s,
		Tolerates: nodes.Tolerates(s.ContinueOn),
	}
}

func (k Kind) closeStepGroup(g v1alpha1.NodeStatus, group v1alpha1.ParallelSteps,
	outcomes []unit.Outcome) v1alpha1.NodeStatus {
	for _, o := range outcomes {
		if !o.Done {
			return k.Nodes.At(g.ID)
		}
	}
	g = k.Nodes.At(g.ID)
	if g.Phase.Fulfilled() {
		return g
	}
	for j, o := range outcomes {
		if first, ok := k.Failed(o, nodes.Tolerates(group.Steps[j].ContinueOn)); ok {
			return k.Finish(g, v1alpha1.NodeFailed, fmt.Sprintf("child '%s' failed", first.ID))
		}
	}
	return k.Finish(g, v1alpha1.NodeSucceeded, "")
}
