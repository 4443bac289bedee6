package flow

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/expr-lang/expr"
)

// graph is one dag node at work.
type graph struct {
	*walk
	node     v1alpha1.NodeStatus
	tasks    map[string]v1alpha1.DAGTask
	outcomes map[string]outcome
	phases   map[string]v1alpha1.NodePhase // memo of branch
	scope    scope
	template v1alpha1.Template
	library  library
}

// dag makes or advances a node whose tasks start when what they depend on is so.
func (k *walk) dag(c call, t v1alpha1.Template, sc scope) v1alpha1.NodeStatus {
	g := &graph{walk: k, node: k.begin(c, v1alpha1.NodeTypeDAG, v1alpha1.NodeRunning), tasks: map[string]v1alpha1.DAGTask{},
		outcomes: map[string]outcome{}, phases: map[string]v1alpha1.NodePhase{}, scope: sc.with(nil),
		template: t, library: c.library}
	for _, task := range t.DAG.Tasks {
		g.tasks[task.Name] = task
	}
	targets, err := g.targets(*t.DAG)
	if err != nil {
		return k.finish(k.nodes[g.node.ID], v1alpha1.NodeError, err.Error())
	}
	// A mistake anywhere counts, although only what the targets need runs.
	if _, err = g.order(namesOf(t.DAG.Tasks)); err != nil {
		return k.finish(k.nodes[g.node.ID], v1alpha1.NodeError, err.Error())
	}
	order, err := g.order(targets)
	if err != nil {
		return k.finish(k.nodes[g.node.ID], v1alpha1.NodeError, err.Error())
	}
	failFast := t.DAG.FailFast == nil || *t.DAG.FailFast
	for _, name := range order {
		g.visit(g.tasks[name], failFast && g.broken(targets))
	}
	return g.roll(t, targets, failFast)
}

// taskName finds the names in a depends expression; a name may be followed by the
// result that is asked for.
var taskName = regexp.MustCompile(`[A-Za-z0-9_][-A-Za-z0-9_]*(\.[A-Za-z]+)?`)

// ancestors are the tasks that a task waits for.
func ancestors(task v1alpha1.DAGTask) []string {
	if task.Depends == "" {
		return task.Dependencies
	}
	var names []string
	for _, m := range taskName.FindAllString(task.Depends, -1) {
		name, _, _ := strings.Cut(m, ".")
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func namesOf(tasks []v1alpha1.DAGTask) []string {
	names := make([]string, len(tasks))
	for i := range tasks {
		names[i] = tasks[i].Name
	}
	return names
}

// order sorts tasks and all that they wait for, so that each comes after what it waits for.
func (g *graph) order(tasks []string) ([]string, error) {
	var order []string
	state := map[string]int{} // 1: on the way, 2: done
	var visit func(name, from string) error
	visit = func(name, from string) error {
		task, ok := g.tasks[name]
		switch {
		case !ok:
			return fmt.Errorf("task %q depends on %q, which does not exist", from, name)
		case state[name] == 1:
			return fmt.Errorf("task %q depends on itself through %q", name, from)
		case state[name] == 2:
			return nil
		}
		state[name] = 1
		for _, a := range ancestors(task) {
			if err := visit(a, name); err != nil {
				return err
			}
		}
		state[name] = 2
		order = append(order, name)
		return nil
	}
	for _, name := range tasks {
		if err := visit(name, ""); err != nil {
			return nil, err
		}
	}
	return order, nil
}

// targets are the tasks that decide: those named, or the leaves.
func (g *graph) targets(d v1alpha1.DAGTemplate) ([]string, error) {
	if d.Target != "" {
		text, err := g.scope.text(d.Target)
		if err != nil {
			return nil, fmt.Errorf("target: %w", err)
		}
		names := strings.Fields(text)
		for _, name := range names {
			if _, ok := g.tasks[name]; !ok {
				return nil, fmt.Errorf("target: no task is named %q", name)
			}
		}
		return names, nil
	}
	inner := map[string]bool{}
	for _, task := range d.Tasks {
		for _, a := range ancestors(task) {
			inner[a] = true
		}
	}
	var leaves []string
	for _, task := range d.Tasks {
		if !inner[task.Name] {
			leaves = append(leaves, task.Name)
		}
	}
	return leaves, nil
}

// visit advances one task if what it waits for is finished.
func (g *graph) visit(task v1alpha1.DAGTask, halted bool) {
	u := g.unit(task)
	existing, started := g.walk.node(u.node)
	if !started && halted {
		return
	}
	if !started {
		ready, run, err := g.ready(task)
		c := call{name: u.node, display: u.display, template: task.Template, ref: task.TemplateRef, library: g.library, boundary: u.boundary}
		switch {
		case err != nil:
			g.outcomes[task.Name] = outcome{done: true, node: g.fail(c, v1alpha1.NodeTypeSkipped, err)}
			return
		case !ready:
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
		g.scope.publish("tasks."+task.Name, g.outcomes[task.Name])
		return
	}
	out := g.advance(u, g.scope)
	if out.node.ID == "" && out.nodes == nil {
		return
	}
	g.hang(task, out.node.ID)
	g.outcomes[task.Name] = out
	if out.done {
		g.scope.publish("tasks."+task.Name, out)
	}
}

func (g *graph) unit(task v1alpha1.DAGTask) unit {
	parent := g.node.ID
	if names := ancestors(task); len(names) > 0 {
		parent = "" // hang links it to each of them
	}
	u := unit{
		library: g.library,
		name:    task.Name, node: g.node.Name + "." + task.Name, display: task.Name, prefix: "tasks", boundary: g.node.ID, parent: parent, group: true,
		step: v1alpha1.WorkflowStep{Name: task.Name, Template: task.Template, TemplateRef: task.TemplateRef, Inline: task.Inline, Arguments: task.Arguments,
			When: task.When, WithItems: task.WithItems, WithParam: task.WithParam, WithSequence: task.WithSequence, Hooks: task.Hooks, OnExit: task.OnExit},
		tolerates: func(v1alpha1.NodePhase) bool { return false },
	}
	u.bound(g.template)
	return u
}

// hang links a task's node to the ends of its ancestors.
func (g *graph) hang(task v1alpha1.DAGTask, id string) {
	names := ancestors(task)
	if len(names) == 0 {
		g.link(g.node.ID, id)
	}
	for _, name := range names {
		for _, from := range g.outbound(g.outcomes[name]) {
			g.link(from, id)
		}
	}
}

// ready says whether everything a task names is finished, and whether it may run.
func (g *graph) ready(task v1alpha1.DAGTask) (ready, run bool, err error) {
	for _, name := range ancestors(task) {
		if !g.outcomes[name].done {
			return false, false, nil
		}
	}
	source := condition(task)
	if source == "" {
		return true, true, nil
	}
	env := map[string]any{}
	for _, name := range ancestors(task) {
		env[identifier(name)] = g.results(name)
	}
	source = taskName.ReplaceAllStringFunc(source, func(m string) string {
		name, result, asks := strings.Cut(m, ".")
		id := identifier(name)
		if asks {
			return id + "." + result
		}
		return fmt.Sprintf("(%s.Succeeded || %s.Skipped || %s.Daemoned)", id, id, id)
	})
	program, err := expr.Compile(source, expr.Env(env), expr.AsBool(), expr.MaxNodes(10_000))
	if err != nil {
		return false, false, fmt.Errorf("task %q: depends %q: %w", task.Name, task.Depends, err)
	}
	result, err := expr.Run(program, env)
	if err != nil {
		return false, false, fmt.Errorf("task %q: depends %q: %w", task.Name, task.Depends, err)
	}
	return true, result.(bool), nil
}

// condition is depends, or what dependencies mean in its terms.
func condition(task v1alpha1.DAGTask) string {
	if task.Depends != "" {
		return task.Depends
	}
	return strings.Join(task.Dependencies, " && ")
}

// identifier makes a task's name fit for an expression; the letter keeps a
// leading digit out.
func identifier(name string) string { return "t_" + strings.ReplaceAll(name, "-", "_") }

// results are what depends may ask of a task.
func (g *graph) results(name string) map[string]bool {
	o := g.outcomes[name]
	task := g.tasks[name]
	is := func(p v1alpha1.NodePhase) bool { return o.node.Phase == p }
	one, all := false, len(o.nodes) > 0
	for _, n := range o.nodes {
		one = one || n.Phase == v1alpha1.NodeSucceeded
		all = all && (n.Phase == v1alpha1.NodeFailed || n.Phase == v1alpha1.NodeError)
	}
	forgiven := tolerance(task.ContinueOn)(o.node.Phase)
	return map[string]bool{
		"Succeeded": is(v1alpha1.NodeSucceeded) || forgiven, "Failed": is(v1alpha1.NodeFailed), "Errored": is(v1alpha1.NodeError),
		"Skipped": is(v1alpha1.NodeSkipped), "Omitted": is(v1alpha1.NodeOmitted), "Daemoned": daemoned(o.node),
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
	if daemoned(o.node) {
		phase = v1alpha1.NodeSucceeded
	}
	if tolerance(g.tasks[name].ContinueOn)(phase) {
		phase = v1alpha1.NodeSucceeded
	}
	if phase == v1alpha1.NodeSkipped || phase == v1alpha1.NodeOmitted {
		phase = v1alpha1.NodeSucceeded
		for _, a := range ancestors(g.tasks[name]) {
			phase = worse(phase, g.branch(a))
		}
	}
	g.phases[name] = phase
	return phase
}

func worse(a, b v1alpha1.NodePhase) v1alpha1.NodePhase {
	rank := map[v1alpha1.NodePhase]int{v1alpha1.NodeFailed: 1, v1alpha1.NodeError: 2}
	if rank[b] > rank[a] {
		return b
	}
	return a
}

// broken reports whether a target cannot succeed any more.
func (g *graph) broken(targets []string) bool {
	return slices.ContainsFunc(targets, func(name string) bool {
		p := g.branch(name)
		return p == v1alpha1.NodeFailed || p == v1alpha1.NodeError
	})
}

// roll ends the dag when its targets are decided and nothing is at work.
func (g *graph) roll(t v1alpha1.Template, targets []string, failFast bool) v1alpha1.NodeStatus {
	n := g.nodes[g.node.ID]
	clear(g.phases)
	waiting := false
	phase := v1alpha1.NodeSucceeded
	for _, name := range targets {
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
		return g.finish(g.nodes[n.ID], phase, "")
	}
	var outbound []string
	for _, name := range targets {
		outbound = append(outbound, g.outbound(g.outcomes[name])...)
	}
	return g.conclude(n, t, g.scope, outbound)
}
