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

// Decision is what to record and what to do. Record first, then act.
type Decision struct {
	Nodes   []v1alpha1.NodeStatus         // changed nodes, in the order of their first change
	Links   []Link                        // of Nodes: those that were there and got children, in the same order
	Before  map[string]v1alpha1.NodePhase // of Nodes: the phase that each had, by id; empty: it is new
	Run     *RunChange                    // set when the run itself changed
	Actions []Action
	Metrics []Metric  // what to report, once the rest is recorded
	Lookups []Lookup  // what must be found out before more can be decided
	Wake    time.Time // when to look again although nothing happened; zero: never
}

// Link says which children a node got in one decision. Of a node that holds many, nothing else should be recorded.
type Link struct {
	Parent   string   `json:"parent"`
	Children []string `json:"children,omitempty"` // empty: it keeps those that it has
	Alone    bool     `json:"-"`                  // nothing else of the node has changed
}

// Record returns what to write down of the nodes: those that changed, without the children that they had before, and
// which children came. [Run.Fold] joins them again.
func (d Decision) Record() ([]v1alpha1.NodeStatus, []Link) {
	added := make(map[string]Link, len(d.Links))
	for _, l := range d.Links {
		added[l.Parent] = l
	}
	var nodes []v1alpha1.NodeStatus
	var links []Link
	for i := range d.Nodes {
		n := d.Nodes[i]
		l, grew := added[n.ID]
		had := d.Before[n.ID] != "" && len(n.Children) > 0
		if had {
			n.Children, l.Parent = nil, n.ID
			links = append(links, l)
		}
		if !grew || !l.Alone {
			nodes = append(nodes, n)
		}
	}
	return nodes, links
}

// RunChange is a new phase of the whole run.
type RunChange struct {
	Phase      v1alpha1.WorkflowPhase `json:"phase"`
	Message    string                 `json:"message,omitempty"`
	StartedAt  *time.Time             `json:"startedAt,omitempty"`
	FinishedAt *time.Time             `json:"finishedAt,omitempty"`
	Outputs    *v1alpha1.Outputs      `json:"outputs,omitempty"`
	Metadata   *v1alpha1.Metadata     `json:"metadata,omitempty"`
}

// Empty reports whether there is nothing to record.
func (d Decision) Empty() bool { return len(d.Nodes) == 0 && d.Run == nil }

// Action is something to do in the world. Each is safe to repeat.
//
//sumtype:decl
type Action interface{ action() }

// CreatePod asks for the pod of a node. Its name is the key: a pod of that name
// that exists is this effect, done before.
type CreatePod struct {
	NodeID, NodeName string
	PodName          string
	Template         v1alpha1.Template      // resolved: no tag is left, and every artifact has its place
	Logs             []v1alpha1.Artifact    // of its containers that are to be kept, named <container>-logs
	Spec             *v1alpha1.WorkflowSpec // what of the workflow's spec goes into every pod, resolved too
	Retry            int                    // attempt, from 0
	Deadline         time.Time              // when its workflow runs out of time; zero: never
}

// StopPod asks to end the pod of a node whose result is decided without it.
type StopPod struct{ NodeID, PodName string }

// Acquire asks for all of some locks at once. World.Held says when it was granted.
type Acquire struct {
	Holder   string // node id, or one that stands for the workflow itself
	Locks    []Lock
	Priority int64
}

// Release gives back whatever a holder has or waits for.
type Release struct{ Holder string }

// SaveMemo asks to remember the outputs of a node under a key.
type SaveMemo struct {
	ConfigMap, Key string
	NodeID         string
	Outputs        *v1alpha1.Outputs
}

func (CreatePod) action() {}
func (StopPod) action()   {}
func (Acquire) action()   {}
func (Release) action()   {}
func (SaveMemo) action()  {}

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
