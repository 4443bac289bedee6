// Package dag does the work of templates whose tasks start when what they depend on is so.
package dag

import (
	"fmt"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/libs/flow/depends"
	"github.com/argosy-mesh/argosy/libs/flow/library"
	"github.com/argosy-mesh/argosy/libs/flow/nodes"
	"github.com/argosy-mesh/argosy/libs/flow/scope"
	"github.com/argosy-mesh/argosy/libs/flow/state"
	"github.com/argosy-mesh/argosy/libs/flow/unit"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// graph is one dag node at work.
type graph struct {
	unit.Runner
	unit.Loops
	node v1alpha1.NodeStatus
	depends.Order
	order    []string        // tasks, each after what it waits for
	decides  map[string]bool // the targets
	decisive []string        // the targets in their order
	outcomes map[string]unit.Outcome
	over     map[string]bool               // tasks that nothing more becomes of
	hung     map[string]bool               // tasks whose node hangs where it belongs
	phases   map[string]v1alpha1.NodePhase // memo of branch
	broken   int                           // place in the order of the first target that cannot succeed; -1: none
	scope    scope.Scope
	template v1alpha1.Template
	library  library.Ref
}

// Kind is that of the templates whose tasks start when what they depend on is so.
type Kind struct{ unit.Runner }

// Do makes or advances a node whose tasks start when what they depend on is so.
func (k Kind) Do(c state.Call, t v1alpha1.Template, sc scope.Scope) v1alpha1.NodeStatus {
	n := k.Begin(c, v1alpha1.NodeTypeDAG, v1alpha1.NodeRunning)
	g, err := k.graphOf(n, c.Library, t, sc)
	if err != nil {
		return k.Finish(k.Nodes.At(n.ID), v1alpha1.NodeError, err.Error())
	}
	failFast := t.DAG.FailFast == nil || *t.DAG.FailFast
	for i, name := range g.order {
		if g.over[name] {
			continue
		}
		g.visit(g.Tasks[name], failFast && g.broken >= 0 && g.broken < i)
		g.note(i, name)
	}
	return g.roll(failFast)
}

// graphOf is how far a dag node is.
func (k Kind) graphOf(n v1alpha1.NodeStatus, lib library.Ref, t v1alpha1.Template, sc scope.Scope) (*graph, error) {
	if known, ok := k.Memory.Kept(n.ID).(*graph); ok {
		return known, nil
	}
	g := &graph{Runner: k.Runner, node: n, decides: map[string]bool{}, outcomes: map[string]unit.Outcome{},
		over: map[string]bool{}, hung: map[string]bool{}, phases: map[string]v1alpha1.NodePhase{}, broken: -1,
		scope: sc.With(nil), template: t, library: lib}
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
	g.Order = depends.New(tasks)
	var err error
	if g.decisive, err = g.findTargets(t.DAG.Target); err != nil {
		return nil, err
	}
	for _, name := range g.decisive {
		g.decides[name] = true
	}
	// A mistake anywhere counts, although only what the targets need runs.
	if _, err = g.Sorted(g.Names); err != nil {
		return nil, err
	}
	if g.order, err = g.Sorted(g.decisive); err != nil {
		return nil, err
	}
	k.Memory.Keep(n.ID, g)
	return g, nil
}

// note keeps what is settled of a task after a visit.
func (g *graph) note(at int, name string) {
	o := g.outcomes[name]
	if !o.Done {
		return
	}
	if g.decides[name] && nodes.Bad(g.branch(name)) && (g.broken < 0 || at < g.broken) {
		g.broken = at
	}
	g.over[name] = !g.Serves(o)
}

// findTargets are the tasks that decide: those named, or the leaves.
func (g *graph) findTargets(named string) ([]string, error) {
	if named == "" {
		return g.Leaves(), nil
	}
	text, err := g.scope.Text(named)
	if err != nil {
		return nil, fmt.Errorf("target: %w", err)
	}
	names := strings.Fields(text)
	return names, g.Check(names)
}

// visit advances one task if what it waits for is finished.
func (g *graph) visit(task v1alpha1.DAGTask, halted bool) {
	existing, started := g.Nodes.Named(g.node.Name + "." + task.Name)
	if !started && (halted || g.Closed() || !g.decided(task.Name)) || started && g.asBefore(task.Name, existing) {
		return
	}
	u := g.unit(task)
	if !started {
		run, err := depends.Ready(task, g.results)
		c := state.Call{Name: u.Node, Display: u.Display, Template: task.Template, Ref: task.TemplateRef,
			Library:  g.library,
			Boundary: u.Boundary}
		switch {
		case err != nil:
			g.outcomes[task.Name] = unit.Outcome{Done: true, Node: g.Fail(c, v1alpha1.NodeTypeSkipped, err)}
			g.hang(task, g.outcomes[task.Name].Node.ID)
			return
		case !run:
			n := g.Begin(c, v1alpha1.NodeTypeSkipped, v1alpha1.NodeOmitted)
			n.Message = fmt.Sprintf("omitted: depends condition not met: %s", depends.Condition(task))
			n.Outputs = g.OutputDefaults(c)
			existing, started = g.Put(n), true
		}
	}
	if started && existing.Phase == v1alpha1.NodeOmitted {
		g.hang(task, existing.ID)
		g.outcomes[task.Name] = unit.Outcome{Done: true, Node: existing}
		g.Publish(g.scope, "tasks."+task.Name, g.outcomes[task.Name])
		return
	}
	out := g.Advance(u, g.scope)
	if out.Node.ID == "" {
		return
	}
	g.hang(task, out.Node.ID)
	g.outcomes[task.Name] = out
	if out.Done {
		g.Publish(g.scope, "tasks."+task.Name, out)
	}
}

// asBefore reports whether nothing has changed for a task that was visited before.
func (g *graph) asBefore(name string, n v1alpha1.NodeStatus) bool {
	if _, seen := g.outcomes[name]; !seen || n.Phase.Fulfilled() {
		return false
	}
	if n.Type != v1alpha1.NodeTypeTaskGroup {
		return g.Clean(n.ID)
	}
	at := g.By[n.Name]
	return at != nil && g.Clean(at.Key) && at.Next == len(at.Items) && len(at.Gaps) == 0
}

// decided reports whether everything that a task waits for is finished.
func (g *graph) decided(name string) bool {
	for _, a := range g.Waits[name] {
		if !g.outcomes[a].Done {
			return false
		}
	}
	return true
}

func (g *graph) unit(task v1alpha1.DAGTask) unit.Unit {
	parent := g.node.ID
	if len(g.Waits[task.Name]) > 0 {
		parent = "" // hang links it to each of them
	}
	u := unit.Unit{
		Library: g.library, Loops: &g.Loops,
		Name: task.Name, Node: g.node.Name + "." + task.Name, Display: task.Name, Prefix: "tasks", Boundary: g.node.ID,
		Parent: parent, Group: true,
		Step: v1alpha1.WorkflowStep{Name: task.Name, Template: task.Template, TemplateRef: task.TemplateRef,
			Inline: task.Inline, Arguments: task.Arguments,
			When: task.When, WithItems: task.WithItems, WithParam: task.WithParam, WithSequence: task.WithSequence,
			Hooks: task.Hooks, OnExit: task.OnExit},
		Tolerates: func(v1alpha1.NodePhase) bool { return false },
	}
	u.Bound(g.template)
	return u
}

// hang links a task's node to the ends of its ancestors.
func (g *graph) hang(task v1alpha1.DAGTask, id string) {
	if g.hung[task.Name] {
		return
	}
	g.hung[task.Name] = true
	names := g.Waits[task.Name]
	if len(names) == 0 {
		g.Nodes.Link(g.node.ID, id)
	}
	for _, name := range names {
		for _, from := range g.Outbound(g.outcomes[name]) {
			g.Nodes.Link(from, id)
		}
	}
}

// results are what depends may ask of a task.
func (g *graph) results(name string) map[string]bool {
	o := g.outcomes[name]
	task := g.Tasks[name]
	is := func(p v1alpha1.NodePhase) bool { return o.Node.Phase == p }
	one, all := false, len(o.Items) > 0
	for _, id := range o.Items {
		one = one || g.Nodes.At(id).Phase == v1alpha1.NodeSucceeded
		all = all && nodes.Bad(g.Nodes.At(id).Phase)
	}
	forgiven := nodes.Tolerates(task.ContinueOn)(o.Node.Phase)
	return map[string]bool{
		"Succeeded": is(v1alpha1.NodeSucceeded) || forgiven, "Failed": is(v1alpha1.NodeFailed),
		"Errored": is(v1alpha1.NodeError),
		"Skipped": is(v1alpha1.NodeSkipped), "Omitted": is(v1alpha1.NodeOmitted), "Daemoned": nodes.Serves(o.Node),
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
	if !ok || !o.Done {
		return v1alpha1.NodeRunning
	}
	phase := o.Node.Phase
	if nodes.Serves(o.Node) {
		phase = v1alpha1.NodeSucceeded
	}
	if nodes.Tolerates(g.Tasks[name].ContinueOn)(phase) {
		phase = v1alpha1.NodeSucceeded
	}
	if phase == v1alpha1.NodeSkipped || phase == v1alpha1.NodeOmitted {
		phase = v1alpha1.NodeSucceeded
		for _, a := range g.Waits[name] {
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
	n := g.Nodes.At(g.node.ID)
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
		working = working || !o.Done
	}
	if working || waiting && (!failFast || phase == v1alpha1.NodeSucceeded) {
		return n
	}
	if phase != v1alpha1.NodeSucceeded {
		g.EndDaemons(n.ID)
		return g.Finish(g.Nodes.At(n.ID), phase, "")
	}
	var outbound []string
	for _, name := range g.decisive {
		outbound = append(outbound, g.Outbound(g.outcomes[name])...)
	}
	return g.Conclude(n, g.template, g.scope, outbound)
}
