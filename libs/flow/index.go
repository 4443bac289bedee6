package flow

import (
	"slices"
	"strconv"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// index is what is counted of the nodes of a run, so that no decision has to go through all of them.
type index struct {
	active  int64            // pods that are not finished, for parallelism
	working map[string]int64 // by boundary: its children at work
	daemons map[string]bool  // ids of servers that are up
	writers map[string]bool  // ids of nodes that published outputs for the whole workflow
	clashes map[string]bool  // ids that more than one node wants
	done    int              // nodes of the progress that are complete
	all     int              // nodes of the progress
}

func newIndex(workflow string, nodes map[string]v1alpha1.NodeStatus) index {
	x := index{working: map[string]int64{}, daemons: map[string]bool{}, writers: map[string]bool{}, clashes: map[string]bool{}}
	for _, n := range nodes {
		x.replace(v1alpha1.NodeStatus{}, n)
		if base := NodeID(workflow, n.Name); base != n.ID {
			x.clashes[base] = true
		}
	}
	return x
}

// replace takes the change of a node into the counts; one that was not there before has no id.
func (x *index) replace(before, after v1alpha1.NodeStatus) {
	x.active += pods(after) - pods(before)
	if change := atWork(after) - atWork(before); change != 0 {
		x.working[after.BoundaryID] += change
	}
	if daemoned(after) && !after.Phase.Fulfilled() {
		x.daemons[after.ID] = true
	} else if daemoned(before) {
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
	case v1alpha1.NodeTypePod, v1alpha1.NodeTypeHTTP, v1alpha1.NodeTypePlugin, v1alpha1.NodeTypeContainer, v1alpha1.NodeTypeSuspend:
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
	if n.ID == "" || aside || n.Type == v1alpha1.NodeTypeStepGroup || n.Type == v1alpha1.NodeTypeTaskGroup || n.Phase.Fulfilled() {
		return 0
	}
	return 1
}

// Works reports whether a node does work itself, rather than hold others.
func Works(n v1alpha1.NodeStatus) bool {
	return n.Type == v1alpha1.NodeTypePod || n.Type == v1alpha1.NodeTypeHTTP || n.Type == v1alpha1.NodeTypePlugin
}

// publishes reports whether outputs are for the whole workflow too.
func publishes(o *v1alpha1.Outputs) bool {
	return o != nil && (slices.ContainsFunc(o.Parameters, func(p v1alpha1.Parameter) bool { return p.GlobalName != "" }) ||
		slices.ContainsFunc(o.Artifacts, func(a v1alpha1.Artifact) bool { return a.GlobalName != "" }))
}

// id is the id of the node of that name: upstream's, with a number behind it when a
// node of another name was first to have it. Its hash has 32 bits: of 100,000 nodes
// two have the same in two of three workflows.
func (k *engine) id(name string) string {
	base := NodeID(k.w.Name, name)
	first, taken := k.nodes[base]
	if taken && first.Name == name || !taken && !k.clashes[base] {
		return base
	}
	free := ""
	if !taken {
		free = base
	}
	for n := 1; ; n++ {
		id := base + "-" + strconv.Itoa(n)
		other, taken := k.nodes[id]
		if taken && other.Name == name {
			return id
		}
		if !taken && free == "" {
			free = id
		}
		// The first may have been dropped by a retry since.
		if !taken {
			return free
		}
	}
}
