package engine

import (
	"maps"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/memory"
	"github.com/argosy-mesh/argosy/libs/flow/nodes"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// Plan is a run that is decided event by event. It keeps what its walks found out, so that a decision visits only what
// an event can affect: the nodes that the event is about, what holds them, what may start next, and what waits for
// room, locks, answers or time. Where there are hooks each decision visits everything, since their conditions may look
// at anything. It decides as [Decide] does; only actions of nodes that nothing has happened to are not asked for again.
type Plan struct {
	engine *engine // nil until a world was seen
	run    flow.Run
	pods   map[string]flow.Pod
	tasks  map[string]flow.Task
	lent   bool // whether lists within the nodes belong to somebody else
}

// NewPlan begins with the state of a run, whose nodes belong to the plan from then on.
func NewPlan(run flow.Run) *Plan {
	if run.Nodes == nil {
		run.Nodes = map[string]v1alpha1.NodeStatus{}
	}
	return &Plan{run: run, pods: map[string]flow.Pod{}, tasks: map[string]flow.Task{}}
}

// Decide says what to record and do next for one run: a plan that knows nothing from before. The world is not changed.
func Decide(w flow.World) flow.Decision {
	run := w.Run
	run.Nodes = maps.Clone(run.Nodes)
	p := NewPlan(run)
	p.lent = true
	return p.Decide(w)
}

// Decide says what to record and do next. Of the world, Pods and Tasks are those that something happened to since the
// last decision, all of them at the first; Run is the plan's own. The state of the run already has what it returns.
func (p *Plan) Decide(w flow.World) flow.Decision {
	if p.run.Phase.Completed() {
		return flow.Decision{}
	}
	p.take(w)
	k := p.engine
	change := &flow.RunChange{Phase: v1alpha1.WorkflowRunning}
	if p.run.Phase == "" {
		change.StartedAt = &k.World.Now
		k.World.Run.StartedAt, k.World.Run.Phase = k.World.Now, v1alpha1.WorkflowRunning
	}
	k.decideRun(change)
	k.measureRun(change)
	d := k.decision(change)
	p.run = p.run.With(d.Run)
	return d
}

// Spec is that of the run with the tags resolved that stand outside of templates, as the last decision saw it.
func (p *Plan) Spec() v1alpha1.WorkflowSpec {
	if p.engine == nil {
		return v1alpha1.WorkflowSpec{}
	}
	return p.engine.World.Spec
}

// Run is the state of the run with all that was decided.
func (p *Plan) Run() flow.Run { return p.run }

// Progress counts the nodes of the run that are complete, and all that count; see [Progress].
func (p *Plan) Progress() (done, all int) {
	if p.engine == nil {
		return nodes.Progress(p.run.Nodes)
	}
	return p.engine.Nodes.Progress()
}

// Again lets the next decision look at nodes although nothing is known to have happened to them. Their actions are
// asked for again.
func (p *Plan) Again(nodes ...string) {
	if p.engine == nil {
		return
	}
	for _, id := range nodes {
		p.touch(id)
	}
}

// take makes the world of the next decision.
func (p *Plan) take(w flow.World) {
	k := p.engine
	if p.engine == nil {
		k = newEngine(w.Name, p.run, p.lent)
		p.engine = k
	} else if k.Hooked || ordered(k.World.Spec, w.Spec) {
		k.Memory = memory.New()
	}
	news, tasks := w.Pods, w.Tasks
	w.Run, w.Pods, w.Tasks = p.run, p.pods, p.tasks
	k.Turn(w)
	k.depth = 0
	for id, pod := range news {
		p.pods[id] = pod
		p.touch(id)
	}
	for id, task := range tasks {
		p.tasks[id] = task
		p.touch(id)
	}
	k.Memory.WakeDue(w.Now)
}

// touch lets the next decision look at a node. What no walk has come by yet is found by looking everywhere.
func (p *Plan) touch(id string) {
	k := p.engine
	n := k.Nodes.At(id)
	there := n.ID != ""
	if there && n.Phase.Fulfilled() {
		delete(p.pods, id)
		delete(p.tasks, id)
		return
	}
	if there && k.Memory.Seen() && !k.Memory.Touch(id) {
		k.Memory = memory.New()
	}
}

// ordered reports whether a person gave a run another order: to wait, to go on, to stop, or by when to end.
func ordered(before, now v1alpha1.WorkflowSpec) bool {
	same := before.Shutdown == now.Shutdown && equalPtr(before.Suspend, now.Suspend) &&
		equalPtr(before.ActiveDeadlineSeconds, now.ActiveDeadlineSeconds) &&
		equalPtr(before.Parallelism, now.Parallelism)
	return !same
}

func equalPtr[T comparable](a, b *T) bool {
	return a == b || a != nil && b != nil && *a == *b
}
