package flow

import (
	"fmt"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/libs/flow/nodes"
	"github.com/argosy-mesh/argosy/libs/flow/scope"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// graph is one dag node at work.
type graph struct {
	units
	loops
	node v1alpha1.NodeStatus
	taskOrder
	order    []string        // tasks, each after what it waits for
	decides  map[string]bool // the targets
	decisive []string        // the targets in their order
	outcomes map[string]outcome
	over     map[string]bool               // tasks that nothing more becomes of
	hung     map[string]bool               // tasks whose node hangs where it belongs
	phases   map[string]v1alpha1.NodePhase // memo of branch
	broken   int                           // place in the order of the first target that cannot succeed; -1: none
	scope    scope.Scope
	template v1alpha1.Template
	library  library
}

// dags are the templates whose tasks start when what they depend on is so.
type dags struct{ units }

// do makes or advances a node whose tasks start when what they depend on is so.
func (k dags) do(c call, t v1alpha1.Template, sc scope.Scope) v1alpha1.NodeStatus {
	n := k.begin(c, v1alpha1.NodeTypeDAG, v1alpha1.NodeRunning)
	g, err := k.graphOf(n, c.library, t, sc)
	if err != nil {
		return k.finish(k.nodes.At(n.ID), v1alpha1.NodeError, err.Error())
	}
	failFast := t.DAG.FailFast == nil || *t.DAG.FailFast
	for i, name := range g.order {
		if g.over[name] {
			continue
		}
		g.visit(g.tasks[name], failFast && g.broken >= 0 && g.broken < i)
		g.note(i, name)
	}
	return g.roll(failFast)
}

// graphOf is how far a dag node is.
func (k dags) graphOf(n v1alpha1.NodeStatus, lib library, t v1alpha1.Template, sc scope.Scope) (*graph, error) {
	if known, ok := k.memory.Kept(n.ID).(*graph); ok {
		return known, nil
	}
	g := &graph{units: k.units, node: n, decides: map[string]bool{}, outcomes: map[string]outcome{},
		over: map[string]bool{}, hung: map[string]bool{}, phases: map[string]v1alpha1.NodePhase{}, broken: -1, scope: sc.With(nil), template: t, library: lib}
	tasks := slices.Clone(t.DAG.Tasks)
	for i := range tasks {
		order := struct {
			Depends      string
			Dependencies []string
		}{tasks[i].Depends, tasks[i].Dependencies}
		if err := scope.Substitute(&order, sc); err != nil {
			return nil, fmt.Errorf("task %q: depends: %w", tasks[i].Name, err)
		}
		tasks[i].Depends, tasks[i].Dependencies = order.Depends, order.Dependencies
	}
	g.taskOrder = newTaskOrder(tasks)
	var err error
	if g.decisive, err = g.findTargets(t.DAG.Target); err != nil {
		return nil, err
	}
	for _, name := range g.decisive {
		g.decides[name] = true
	}
	// A mistake anywhere counts, although only what the targets need runs.
	if _, err = g.sorted(g.names); err != nil {
		return nil, err
	}
	if g.order, err = g.sorted(g.decisive); err != nil {
		return nil, err
	}
	k.memory.Keep(n.ID, g)
	return g, nil
}

// note keeps what is settled of a task after a visit.
func (g *graph) note(at int, name string) {
	o := g.outcomes[name]
	if !o.done {
		return
	}
	if g.decides[name] && nodes.Bad(g.branch(name)) && (g.broken < 0 || at < g.broken) {
		g.broken = at
	}
	g.over[name] = !g.serves(o)
}

// findTargets are the tasks that decide: those named, or the leaves.
func (g *graph) findTargets(named string) ([]string, error) {
	if named == "" {
		return g.leaves(), nil
	}
	text, err := g.scope.Text(named)
	if err != nil {
		return nil, fmt.Errorf("target: %w", err)
	}
	names := strings.Fields(text)
	return names, g.check(names)
}

// visit advances one task if what it waits for is finished.
func (g *graph) visit(task v1alpha1.DAGTask, halted bool) {
	existing, started := g.nodes.Named(g.node.Name + "." + task.Name)
	if !started && (halted || g.closed() || !g.decided(task.Name)) || started && g.asBefore(task.Name, existing) {
		return
	}
	u := g.unit(task)
	if !started {
		run, err := ready(task, g.results)
		c := call{name: u.node, display: u.display, template: task.Template, ref: task.TemplateRef, library: g.library, boundary: u.boundary}
		switch {
		case err != nil:
			g.outcomes[task.Name] = outcome{done: true, node: g.fail(c, v1alpha1.NodeTypeSkipped, err)}
			g.hang(task, g.outcomes[task.Name].node.ID)
			return
		case !run:
			n := g.begin(c, v1alpha1.NodeTypeSkipped, v1alpha1.NodeOmitted)
			n.Message = fmt.Sprintf("omitted: depends condition not met: %s", condition(task))
			n.Outputs = g.outputDefaults(c)
			existing, started = g.put(n), true
		}
	}
	if started && existing.Phase == v1alpha1.NodeOmitted {
		g.hang(task, existing.ID)
		g.outcomes[task.Name] = outcome{done: true, node: existing}
		g.publish(g.scope, "tasks."+task.Name, g.outcomes[task.Name])
		return
	}
	out := g.advance(u, g.scope)
	if out.node.ID == "" {
		return
	}
	g.hang(task, out.node.ID)
	g.outcomes[task.Name] = out
	if out.done {
		g.publish(g.scope, "tasks."+task.Name, out)
	}
}

// asBefore reports whether nothing has changed for a task that was visited before.
func (g *graph) asBefore(name string, n v1alpha1.NodeStatus) bool {
	if _, seen := g.outcomes[name]; !seen || n.Phase.Fulfilled() {
		return false
	}
	if n.Type != v1alpha1.NodeTypeTaskGroup {
		return g.clean(n.ID)
	}
	at := g.loops.by[n.Name]
	return at != nil && g.clean(at.key) && at.next == len(at.items) && len(at.gaps) == 0
}

// decided reports whether everything that a task waits for is finished.
func (g *graph) decided(name string) bool {
	for _, a := range g.waits[name] {
		if !g.outcomes[a].done {
			return false
		}
	}
	return true
}

func (g *graph) unit(task v1alpha1.DAGTask) unit {
	parent := g.node.ID
	if len(g.waits[task.Name]) > 0 {
		parent = "" // hang links it to each of them
	}
	u := unit{
		library: g.library, loops: &g.loops,
		name: task.Name, node: g.node.Name + "." + task.Name, display: task.Name, prefix: "tasks", boundary: g.node.ID, parent: parent, group: true,
		step: v1alpha1.WorkflowStep{Name: task.Name, Template: task.Template, TemplateRef: task.TemplateRef, Inline: task.Inline, Arguments: task.Arguments,
			When: task.When, WithItems: task.WithItems, WithParam: task.WithParam, WithSequence: task.WithSequence, Hooks: task.Hooks, OnExit: task.OnExit},
		tolerates: func(v1alpha1.NodePhase) bool { return false },
	}
	u.bound(g.template)
	return u
}

// hang links a task's node to the ends of its ancestors.
func (g *graph) hang(task v1alpha1.DAGTask, id string) {
	if g.hung[task.Name] {
		return
	}
	g.hung[task.Name] = true
	names := g.waits[task.Name]
	if len(names) == 0 {
		g.nodes.Link(g.node.ID, id)
	}
	for _, name := range names {
		for _, from := range g.outbound(g.outcomes[name]) {
			g.nodes.Link(from, id)
		}
	}
}

// results are what depends may ask of a task.
func (g *graph) results(name string) map[string]bool {
	o := g.outcomes[name]
	task := g.tasks[name]
	is := func(p v1alpha1.NodePhase) bool { return o.node.Phase == p }
	one, all := false, len(o.items) > 0
	for _, id := range o.items {
		one = one || g.nodes.At(id).Phase == v1alpha1.NodeSucceeded
		all = all && nodes.Bad(g.nodes.At(id).Phase)
	}
	forgiven := tolerance(task.ContinueOn)(o.node.Phase)
	return map[string]bool{
		"Succeeded": is(v1alpha1.NodeSucceeded) || forgiven, "Failed": is(v1alpha1.NodeFailed), "Errored": is(v1alpha1.NodeError),
		"Skipped": is(v1alpha1.NodeSkipped), "Omitted": is(v1alpha1.NodeOmitted), "Daemoned": nodes.Serves(o.node),
		"AnySucceeded": one, "AllFailed": all,
	}
}

// branch is the phase that a task's branch ended in: a task that did not run
// takes the worst of what it waited for.
func (g *graph) branch(name string) v1alpha1.NodePhase {
	if p, ok := g.phases[name]; ok {
		return p
	}
	o, ok := g.outcomes[name]
	if !ok || !o.done {
		return v1alpha1.NodeRunning
	}
	phase := o.node.Phase
	if nodes.Serves(o.node) {
		phase = v1alpha1.NodeSucceeded
	}
	if tolerance(g.tasks[name].ContinueOn)(phase) {
		phase = v1alpha1.NodeSucceeded
	}
	if phase == v1alpha1.NodeSkipped || phase == v1alpha1.NodeOmitted {
		phase = v1alpha1.NodeSucceeded
		for _, a := range g.waits[name] {
			phase = worse(phase, g.branch(a))
		}
	}
	g.phases[name] = phase
	return phase
}

func worse(a, b v1alpha1.NodePhase) v1alpha1.NodePhase {
	if b == v1alpha1.NodeError || b == v1alpha1.NodeFailed && a != v1alpha1.NodeError {
		return b
	}
	return a
}

// roll ends the dag when its targets are decided and nothing is at work.
func (g *graph) roll(failFast bool) v1alpha1.NodeStatus {
	n := g.nodes.At(g.node.ID)
	clear(g.phases)
	waiting := false
	phase := v1alpha1.NodeSucceeded
	for _, name := range g.decisive {
		p := g.branch(name)
		waiting = waiting || p == v1alpha1.NodeRunning
		phase = worse(phase, p)
	}
	working := false
	for _, o := range g.outcomes {
		working = working || !o.done
	}
	if working || waiting && (!failFast || phase == v1alpha1.NodeSucceeded) {
		return n
	}
	if phase != v1alpha1.NodeSucceeded {
		g.endDaemons(n.ID)
		return g.finish(g.nodes.At(n.ID), phase, "")
	}
	var outbound []string
	for _, name := range g.decisive {
		outbound = append(outbound, g.outbound(g.outcomes[name])...)
	}
	return g.conclude(n, g.template, g.scope, outbound)
}
