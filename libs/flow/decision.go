package flow

import (
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
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

// StopTask asks to give up the work of a node whose result is decided without it.
type StopTask struct{ NodeID string }

// Perform asks for the work of a node that needs no pod: http, resource, data, plugin. It is repeated until World.Tasks
// has the node's end; who performs knows by the id of the node what is under way.
type Perform struct {
	NodeID, NodeName string
	Template         v1alpha1.Template // resolved: no tag is left
	Account          string            // service account to act as, "" for the namespace's default
	Deadline         time.Time         // when its workflow runs out of time; zero: never
}

// Acquire asks for all of some locks at once. World.Held says when it was granted.
type Acquire struct {
	Holder   string // node id, or one that stands for the workflow itself
	Locks    []Lock
	Priority int64
}

// Lock is one mutex or semaphore.
type Lock struct {
	Name  string `json:"name"`  // <namespace>/<kind>/<name>, as status shows it
	Limit int    `json:"limit"` // how many may hold it
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

func (StopPod) action() {}

func (Acquire) action() {}

func (Release) action() {}

func (SaveMemo) action() {}

func (Perform) action() {}

func (StopTask) action() {}
