package flow

import (
	"maps"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow/nodes"
	"github.com/argosy-mesh/argosy/libs/flow/protocol"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// World is everything that a decision may look at.
type World struct {
	Name, Namespace, UID string
	Labels, Annotations  map[string]string
	Created              time.Time
	Spec                 v1alpha1.WorkflowSpec
	Repository           *v1alpha1.ArtifactRepository // where artifacts are kept; nil: in the built-in store
	Run                  Run
	Pods                 map[string]Pod  // by node id, as far as they were seen
	Tasks                map[string]Task // by node id: how work without a pod ended
	Answers              map[Lookup]Answer
	Held                 map[string]bool // holders that have the locks they asked for
	Now                  time.Time
}

// Run is the state of one workflow: the fold of its journal.
type Run struct {
	Phase      v1alpha1.WorkflowPhase
	Message    string
	StartedAt  time.Time
	FinishedAt time.Time
	Nodes      map[string]v1alpha1.NodeStatus // by id
	Outputs    *v1alpha1.Outputs
	Metadata   *v1alpha1.Metadata // labels and annotations that the run gives its workflow
}

// Pod is what was seen of the pod of a node.
type Pod struct {
	Name       string
	Phase      PodPhase
	Message    string // why it failed or waits, empty when all is well
	Broken     bool   // failed for a reason other than its main program: Error, not Failed
	ExitCode   *int32
	Ready      bool // every container that has a probe says so
	Containers map[string]ContainerState
	Host, IP   string
	StartedAt  time.Time
	FinishedAt time.Time
	Report     *protocol.Report // what the executor collected; nil without executor
	Resources  nodes.Resources  // what its containers used, once they ended
}

// ContainerState is how far one container of a set is.
type ContainerState struct {
	Started, Ended bool
	ExitCode       int32
}

// PodPhase is how far a pod is. PodLost is a pod that was seen and is gone.
type PodPhase string

// The phases of a pod.
const (
	PodPending   PodPhase = "Pending"
	PodRunning   PodPhase = "Running"
	PodSucceeded PodPhase = "Succeeded"
	PodFailed    PodPhase = "Failed"
	PodLost      PodPhase = "Lost"
)

// Apply folds one recorded change into the state.
func (r Run) Apply(nodes []v1alpha1.NodeStatus, change *RunChange) Run {
	r.Nodes = maps.Clone(r.Nodes)
	return r.Fold(nodes, nil, change)
}

// Fold is [Run.Apply] that changes the nodes of the state in place. Links add to the children of nodes.
func (r Run) Fold(nodes []v1alpha1.NodeStatus, links []Link, change *RunChange) Run {
	if r.Nodes == nil {
		r.Nodes = make(map[string]v1alpha1.NodeStatus, len(nodes))
	}
	kept := map[string][]string{}
	for _, l := range links {
		kept[l.Parent] = append(r.Nodes[l.Parent].Children, l.Children...)
	}
	for _, n := range nodes {
		if children, more := kept[n.ID]; more {
			n.Children = children
			delete(kept, n.ID)
		}
		r.Nodes[n.ID] = n
	}
	for id, children := range kept {
		n := r.Nodes[id]
		n.Children = children
		r.Nodes[id] = n
	}
	return r.With(change)
}

// With is the state after a change of the run itself, nil for none.
func (r Run) With(change *RunChange) Run {
	next := r
	if change == nil {
		return next
	}
	next.Phase, next.Message, next.Outputs = change.Phase, change.Message, change.Outputs
	if change.Metadata != nil {
		next.Metadata = change.Metadata
	}
	if change.StartedAt != nil {
		next.StartedAt = *change.StartedAt
	}
	if change.FinishedAt != nil {
		next.FinishedAt = *change.FinishedAt
	}
	return next
}

// Task is how the work of a node ended that needs no pod. The shell keeps it until the node's end is recorded; a task
// whose end was lost with a process is performed again under the same key.
type Task struct {
	Phase   v1alpha1.NodePhase
	Message string
	Outputs *v1alpha1.Outputs
	At      time.Time // when it ended
}

// Restart is how a run that ended goes on: some nodes are forgotten and done anew, those that hold them are open again.
type Restart struct {
	Drop  []string              // ids of nodes that are forgotten
	Nodes []v1alpha1.NodeStatus // those that are open again
	Run   RunChange
}

// Restarted folds a restart into the state of a run.
func (r Run) Restarted(s Restart) Run {
	next := r.Apply(s.Nodes, &s.Run)
	next.FinishedAt, next.Outputs, next.Message = time.Time{}, nil, ""
	for _, id := range s.Drop {
		delete(next.Nodes, id)
	}
	return next
}
