package flow

import (
	"fmt"
	"iter"

	"github.com/argosy-mesh/argosy/libs/flow/expression"
	"github.com/argosy-mesh/argosy/libs/flow/nodes"
	"github.com/argosy-mesh/argosy/libs/flow/scope"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// units makes and advances what steps and dags are made of.
type units struct{ hooks }

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
func (k units) nodesOf(o outcome) iter.Seq[v1alpha1.NodeStatus] {
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
func (k units) failed(o outcome, tolerates func(v1alpha1.NodePhase) bool) (v1alpha1.NodeStatus, bool) {
	for n := range k.nodesOf(o) {
		if nodes.Bad(n.Phase) && !tolerates(n.Phase) {
			return n, true
		}
	}
	return v1alpha1.NodeStatus{}, false
}

// advance makes or advances the node or nodes of a unit.
func (k units) advance(u unit, sc scope.Scope) outcome {
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
func (k units) one(u unit, node, display string, sc scope.Scope) v1alpha1.NodeStatus {
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
func (k units) resolveCall(c *call, step v1alpha1.WorkflowStep, sc scope.Scope) (err error) {
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
func (k units) full(u unit) bool { return u.limit != 0 && k.nodes.Working(u.boundary) >= u.limit }

func (k units) closeGroup(u unit, out outcome) outcome {
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

// conclude ends a steps or dag node that went well, with its outputs.
func (k units) conclude(n v1alpha1.NodeStatus, t v1alpha1.Template, sc scope.Scope, outbound []string) v1alpha1.NodeStatus {
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
func (k units) outbound(o outcome) []string {
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

// publish makes what a unit left behind known to its successors.
func (k units) publish(s scope.Scope, prefix string, o outcome) {
	if o.items == nil {
		s.PublishNode(prefix, o.node)
		return
	}
	s.PublishLoop(prefix, o.node, k.nodesOf(o), k.outputNames(o.calls))
}

// unitHooks runs the hooks of one step, task or item, and says whether the unit is done with them.
func (k units) unitHooks(u unit, n v1alpha1.NodeStatus, display string, sc scope.Scope) bool {
	hooks := u.step.Hooks
	exit, has := hooks[exitHook]
	if !has && u.step.OnExit != "" {
		exit, has = v1alpha1.LifecycleHook{Template: u.step.OnExit}, true
	}
	if len(hooks) == 0 && !has {
		return true
	}
	k.hooked = true
	if n.ID == "" {
		return true
	}
	local := sc.With(nil)
	local.PublishNode(u.prefix+"."+u.name, n)
	if n.Outputs != nil {
		for _, a := range n.Outputs.Artifacts {
			local.SetArtifact("outputs.artifacts."+a.Name, a)
		}
	}
	place := hookPlace{scope: local, boundary: u.boundary, library: u.library}
	done := k.namedHooks(n.Name, display, hooks, place)
	// Source: Argo Workflows, exit hooks follow nodes that completed; skipped and omitted ones did nothing.
	if !has || !n.Phase.Completed() {
		return done
	}
	return k.exitOf(n, display, exit, place) && done
}

// serves reports whether a unit that is done has servers that are still up.
func (k units) serves(o outcome) bool {
	for n := range k.nodesOf(o) {
		if !n.Phase.Fulfilled() {
			return true
		}
	}
	return false
}
