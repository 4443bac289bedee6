package nodes

import (
	"maps"
	"slices"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// counts are what is counted of the nodes of a run, so that no decision has to go through all of them.
type counts struct {
	active  int64            // pods that are not finished, for parallelism
	working map[string]int64 // by boundary: its children at work
	daemons map[string]bool  // ids of servers that are up
	writers map[string]bool  // ids of nodes that published outputs for the whole workflow
	clashes map[string]bool  // ids that more than one node wants
	done    int              // nodes of the progress that are complete
	all     int              // nodes of the progress
}

func newCounts(workflow string, nodes map[string]v1alpha1.NodeStatus) counts {
	x := counts{working: map[string]int64{}, daemons: map[string]bool{}, writers: map[string]bool{},
		clashes: map[string]bool{}}
	for _, n := range nodes {
		x.replace(v1alpha1.NodeStatus{}, n)
		if base := ID(workflow, n.Name); base != n.ID {
			x.clashes[base] = true
		}
	}
	return x
}

// Pods counts those that are not finished.
func (x *counts) Pods() int64 { return x.active }

// Working counts the children of a boundary that are at work.
func (x *counts) Working(boundary string) int64 { return x.working[boundary] }

// Servers are the ids of nodes that serve, in order.
func (x *counts) Servers() []string { return slices.Sorted(maps.Keys(x.daemons)) }

// Writers are the ids of nodes that published outputs for the whole workflow, in any order.
func (x *counts) Writers() []string { return slices.Collect(maps.Keys(x.writers)) }

// Progress counts the nodes that are complete, and all that count; see [Progress].
func (x *counts) Progress() (done, all int) { return x.done, x.all }

// replace takes the change of a node into the counts; one that was not there before has no id.
func (x *counts) replace(before, after v1alpha1.NodeStatus) {
	x.active += pods(after) - pods(before)
	if change := atWork(after) - atWork(before); change != 0 {
		x.working[after.BoundaryID] += change
	}
	if Serves(after) && !after.Phase.Fulfilled() {
		x.daemons[after.ID] = true
	} else if Serves(before) {
		delete(x.daemons, after.ID)
	}
	if after.Phase.Fulfilled() && publishes(after.Outputs) {
		x.writers[after.ID] = true
	}
	doneBefore, allBefore := progressOf(before)
	doneAfter, allAfter := progressOf(after)
	x.done, x.all = x.done+doneAfter-doneBefore, x.all+allAfter-allBefore
}

// progressOf is what a node adds to the progress of its run. Source: Argo Workflows, UpdateProgress: what failed stays
// incomplete, and containers of a set and suspended steps count as their pods do.
func progressOf(n v1alpha1.NodeStatus) (done, all int) {
	switch n.Type {
	case v1alpha1.NodeTypePod, v1alpha1.NodeTypeHTTP, v1alpha1.NodeTypePlugin, v1alpha1.NodeTypeContainer,
		v1alpha1.NodeTypeSuspend:
	default:
		return 0, 0
	}
	if n.ID == "" {
		return 0, 0
	}
	if n.Phase == v1alpha1.NodeSucceeded || n.Phase == v1alpha1.NodeSkipped || n.Phase == v1alpha1.NodeOmitted {
		return 1, 1
	}
	return 0, 1
}

// Progress counts the nodes of a run that are complete, and all that count.
func Progress(nodes map[string]v1alpha1.NodeStatus) (done, all int) {
	for _, n := range nodes {
		d, a := progressOf(n)
		done, all = done+d, all+a
	}
	return done, all
}

// pods is 1 for a node whose pod is not finished.
func pods(n v1alpha1.NodeStatus) int64 {
	if n.ID == "" || n.Type != v1alpha1.NodeTypePod || n.Phase.Fulfilled() {
		return 0
	}
	return 1
}

// atWork is 1 for a node that counts for the parallelism of what encloses it, else 0.
func atWork(n v1alpha1.NodeStatus) int64 {
	aside := n.NodeFlag != nil && (n.NodeFlag.Retried || n.NodeFlag.Hooked)
	if n.ID == "" || aside || n.Type == v1alpha1.NodeTypeStepGroup || n.Type == v1alpha1.NodeTypeTaskGroup ||
		n.Phase.Fulfilled() {
		return 0
	}
	return 1
}

// publishes reports whether outputs are for the whole workflow too.
func publishes(o *v1alpha1.Outputs) bool {
	return o != nil && (slices.ContainsFunc(o.Parameters,
		func(p v1alpha1.Parameter) bool { return p.GlobalName != "" }) ||
		slices.ContainsFunc(o.Artifacts, func(a v1alpha1.Artifact) bool { return a.GlobalName != "" }))
}
