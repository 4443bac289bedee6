package operation

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/library"
	"github.com/argosy-mesh/argosy/libs/flow/nodes"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// Retry says how a run that ended is done again from what failed and was not tolerated. With successful, the nodes that
// pick chooses and all that came after them are done again too, whatever became of them. Of the world, Pods and Tasks
// do not count. Source: Argo Workflows, retry of a workflow.
func Retry(w flow.World, successful bool, pick func(v1alpha1.NodeStatus) bool) (flow.Restart, error) {
	run := w.Run
	if !run.Phase.Completed() {
		return flow.Restart{}, fmt.Errorf("the workflow is %s; only one that ended can be retried",
			cmp.Or(string(run.Phase), "not started"))
	}
	r := &restarting{
		workflow: w.Name, nodes: run.Nodes, drop: map[string]bool{}, open: map[string]bool{},
		spec: w.Spec, answers: w.Answers, templates: library.Templates{},
	}
	for id, n := range run.Nodes {
		if r.failed(n) && !r.tolerated(id) {
			r.redo(id)
		}
		if successful && pick(n) {
			r.redoFrom(id)
		}
	}
	if len(r.drop)+len(r.open) == 0 {
		return flow.Restart{}, errors.New("nothing is to be done again: no node failed, and none was selected")
	}
	r.firstAttempts()
	return r.result(w.Now), nil
}

// restarting collects what a restart changes.
type restarting struct {
	workflow   string
	nodes      map[string]v1alpha1.NodeStatus
	drop, open map[string]bool // by id
	spec       v1alpha1.WorkflowSpec
	answers    map[flow.Lookup]flow.Answer
	templates  library.Templates
}

func (r *restarting) failed(n v1alpha1.NodeStatus) bool {
	return n.Phase == v1alpha1.NodeFailed || n.Phase == v1alpha1.NodeError || n.Phase == v1alpha1.NodeOmitted
}

// tolerated reports whether a failure harmed nothing: what waited for it went on, or one of those that hold the node
// succeeded all the same.
func (r *restarting) tolerated(id string) bool {
	if r.failed(r.nodes[id]) && (r.passedOver(r.nodes[id]) || r.continues(r.nodes[id])) {
		return true
	}
	for _, p := range r.holders(id) {
		if r.nodes[p].Phase == v1alpha1.NodeSucceeded || r.tolerated(p) {
			return true
		}
	}
	return false
}

// passedOver reports whether all that waited for a task which failed began nevertheless.
func (r *restarting) passedOver(n v1alpha1.NodeStatus) bool {
	if n.Phase == v1alpha1.NodeOmitted || r.nodes[n.BoundaryID].Type != v1alpha1.NodeTypeDAG {
		return false
	}
	began := false
	for _, id := range n.Children {
		c := r.nodes[id]
		if c.BoundaryID != n.BoundaryID || c.NodeFlag != nil && (c.NodeFlag.Retried || c.NodeFlag.Hooked) ||
			strings.HasPrefix(c.Name, n.Name+"(") {
			continue
		}
		if c.Phase == v1alpha1.NodeOmitted {
			return false
		}
		began = true
	}
	return began
}

// continues reports whether the task of a node says that its failure is to be passed over.
func (r *restarting) continues(n v1alpha1.NodeStatus) bool {
	b := r.nodes[n.BoundaryID]
	if b.Type != v1alpha1.NodeTypeDAG {
		return false
	}
	from, template := library.Of(b.TemplateScope), b.TemplateName
	if ref := b.TemplateRef; ref != nil {
		from, template = library.Ref{Name: ref.Name, Cluster: ref.ClusterScope}, ref.Template
	}
	t, err := r.templates.Load(r.spec, from, template, r.find)
	if err != nil || t.DAG == nil {
		return false
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(n.Name, b.Name+"."), "(")
	for i := range t.DAG.Tasks {
		if t.DAG.Tasks[i].Name == name {
			return nodes.Tolerates(t.DAG.Tasks[i].ContinueOn)(n.Phase)
		}
	}
	return false
}

// find returns an answer that the run has.
func (r *restarting) find(l flow.Lookup) (json.RawMessage, error) {
	if answer, ok := r.answers[l]; ok && answer.Missing == "" {
		return answer.Value, nil
	}
	return nil, fmt.Errorf("%s %q is not known", l.Kind, l.Name)
}

// firstAttempts lets what is tried several times begin with its first attempt again: later ones are forgotten with all
// that they hold.
func (r *restarting) firstAttempts() {
	for id := range r.open {
		n := r.nodes[id]
		if n.Type != v1alpha1.NodeTypeRetry {
			continue
		}
		for _, child := range n.Children {
			c := r.nodes[child]
			if c.NodeFlag == nil || !c.NodeFlag.Retried || c.Name == n.Name+"(0)" {
				continue
			}
			for inner, other := range r.nodes {
				if below, is := strings.CutPrefix(other.Name, c.Name); is &&
					(below == "" || strings.ContainsAny(below[:1], "[.(")) {
					r.drop[inner] = true
				}
			}
		}
	}
}

// holders are the nodes that hold a node directly: its group or attempt, and its boundary.
func (r *restarting) holders(id string) []string {
	var out []string
	for p, n := range r.nodes {
		if p != id && nodes.Holds(n) && (r.nodes[id].BoundaryID == p || n.Type != v1alpha1.NodeTypeDAG &&
			n.Type != v1alpha1.NodeTypeSteps && slices.Contains(n.Children, id)) {
			out = append(out, p)
		}
	}
	return out
}

// redo lets a node be done again: one that holds others is open again, any other is forgotten.
func (r *restarting) redo(id string) {
	if r.drop[id] || r.open[id] {
		return
	}
	n := r.nodes[id]
	if nodes.Holds(n) {
		r.open[id] = true
	} else {
		r.drop[id] = true
	}
	r.dropAfter(n.Name)
	for _, p := range r.holders(id) {
		if !r.open[p] {
			r.open[p] = true
			r.dropAfter(r.nodes[p].Name)
		}
	}
}

// dropAfter forgets the hooks and the exit handler of a node, and the containers of its pod.
func (r *restarting) dropAfter(name string) {
	for id, n := range r.nodes {
		if strings.HasPrefix(n.Name, name+".onExit") || strings.HasPrefix(n.Name, name+".hooks.") ||
			n.Type == v1alpha1.NodeTypeContainer && r.nodes[n.BoundaryID].Name == name {
			r.drop[id] = true
		}
	}
	// Only the root has the workflow's own; whatever is done again, they follow.
	if name != r.workflow {
		r.dropAfter(r.workflow)
	}
}

// redoFrom lets a node, what it holds and what came after it be done again.
func (r *restarting) redoFrom(id string) {
	seen := map[string]bool{}
	var visit func(string)
	visit = func(id string) {
		if seen[id] {
			return
		}
		seen[id] = true
		n, there := r.nodes[id]
		if !there {
			return
		}
		r.redo(id)
		for _, child := range n.Children {
			visit(child)
		}
		if nodes.Holds(n) {
			for inner, other := range r.nodes {
				if other.BoundaryID == id {
					visit(inner)
				}
			}
		}
	}
	visit(id)
}

func (r *restarting) result(now time.Time) flow.Restart {
	out := flow.Restart{Run: flow.RunChange{Phase: v1alpha1.WorkflowRunning, StartedAt: &now}}
	// A group that began only after what is done again has nothing left to hold.
	for id := range r.drop {
		delete(r.open, id)
	}
	out.Drop = slices.Sorted(maps.Keys(r.drop))
	for _, id := range slices.Sorted(maps.Keys(r.open)) {
		n := r.nodes[id]
		n.Phase, n.Message, n.FinishedAt, n.Outputs, n.Daemoned = v1alpha1.NodeRunning, "", nil, nil, nil
		n.Children = slices.DeleteFunc(slices.Clone(n.Children), func(c string) bool { return r.drop[c] })
		out.Nodes = append(out.Nodes, n)
	}
	return out
}
