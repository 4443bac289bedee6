package flow

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// maxDepth bounds how deep templates may call templates. Source: Argo Workflows,
// maxCallDepth.
const maxDepth = 100

// walk is one pass over the tree.
type walk struct {
	w         World
	globals   scope
	nodes     map[string]v1alpha1.NodeStatus
	libraries map[library][]v1alpha1.Template
	dirty     []string                   // ids of changed nodes, in the order of their first change
	changed   map[string]bool            // the same as a set
	children  map[string]map[string]bool // of nodes that got an edge in this pass
	working   map[string]int64           // children at work of templates that bound them
	actions   []Action
	metrics   []Metric
	needs     []Need
	wake      time.Time
	depth     int
	active    int64 // pods that are not finished, for parallelism
	published v1alpha1.Outputs
	ending    bool // the exit handler is at work: deadlines do not count for it
}

// Decide says what to record and do next for one run.
func Decide(w World) Decision {
	if w.Run.Phase.Completed() {
		return Decision{}
	}
	k := &walk{w: w, nodes: make(map[string]v1alpha1.NodeStatus, len(w.Run.Nodes)), libraries: map[library][]v1alpha1.Template{},
		changed: map[string]bool{}, children: map[string]map[string]bool{}, working: map[string]int64{}}
	for id, n := range w.Run.Nodes {
		k.nodes[id] = n
		if n.Type == v1alpha1.NodeTypePod && !n.Phase.Fulfilled() {
			k.active++
		}
	}
	change := &RunChange{Phase: v1alpha1.WorkflowRunning}
	if w.Run.Phase == "" {
		change.StartedAt = &w.Now
		k.w.Run.StartedAt, k.w.Run.Phase = w.Now, v1alpha1.WorkflowRunning
	}
	k.decideRun(change)
	k.measureRun(change)
	return k.decision(change)
}

func (k *walk) decideRun(change *RunChange) {
	var err error
	k.globals, err = k.globalScope()
	switch {
	case errors.Is(err, errPending):
		return
	case err != nil:
		k.end(change, v1alpha1.WorkflowError, "invalid spec: "+err.Error())
		return
	}
	if _, _, err := k.load(call{template: k.w.Spec.Entrypoint}); err != nil {
		k.end(change, v1alpha1.WorkflowError, fmt.Sprintf("invalid spec: spec.entrypoint: %v", err))
		return
	}
	if err := k.describe(change); err != nil {
		k.end(change, v1alpha1.WorkflowError, "invalid spec: "+err.Error())
		return
	}
	k.publishGlobals()
	root, _ := k.node(k.w.Name)
	if reason := k.cutShort(); reason != "" && !root.Phase.Fulfilled() {
		k.stopAll(reason)
		stopped, started := k.node(k.w.Name)
		if !started {
			k.end(change, v1alpha1.WorkflowFailed, reason)
			return
		}
		root = stopped
	}
	if !root.Phase.Fulfilled() && !k.lockedOut(k.w.Name, k.w.Spec.Synchronization, k.globals) {
		root = k.execute(call{name: k.w.Name, display: k.w.Name, template: k.w.Spec.Entrypoint, args: k.arguments()})
	}
	k.conclusion(change, root)
}

func (k *walk) arguments() v1alpha1.Arguments {
	if k.w.Spec.Arguments == nil {
		return v1alpha1.Arguments{}
	}
	return *k.w.Spec.Arguments
}

// conclusion runs hooks beside the root node and the exit handler after it, and ends the run after both.
func (k *walk) conclusion(change *RunChange, root v1alpha1.NodeStatus) {
	hooked := k.workflowHooks(root)
	if !root.Phase.Fulfilled() {
		return
	}
	phase, message := workflowPhase(root.Phase), root.Message
	exit, done := k.exitHandler(phase)
	if !done || !hooked {
		return
	}
	// Source: Argo Workflows, a failing exit handler overrides success only.
	if p := workflowPhase(exit.Phase); phase == v1alpha1.WorkflowSucceeded && p != v1alpha1.WorkflowSucceeded {
		phase, message = p, exit.Message
	}
	k.endDaemons("")
	if k.w.Spec.Synchronization != nil {
		k.actions = append(k.actions, Release{Holder: k.w.Name})
	}
	change.Outputs = k.globalOutputs()
	k.end(change, phase, message)
}

// workflowPhase is the phase of a workflow by that of its root node.
func workflowPhase(p v1alpha1.NodePhase) v1alpha1.WorkflowPhase {
	switch p {
	case v1alpha1.NodeFailed:
		return v1alpha1.WorkflowFailed
	case v1alpha1.NodeError:
		return v1alpha1.WorkflowError
	default:
		return v1alpha1.WorkflowSucceeded
	}
}

func (k *walk) end(change *RunChange, phase v1alpha1.WorkflowPhase, message string) {
	change.Phase, change.Message, change.FinishedAt = phase, message, &k.w.Now
}

// cutShort says why the whole run must end now, "" when it may go on.
func (k *walk) cutShort() string {
	if s := k.w.Spec.Shutdown; s != "" {
		return fmt.Sprintf("Stopped with strategy '%s'", s)
	}
	if deadline := k.runDeadline(); !deadline.IsZero() {
		if !k.w.Now.Before(deadline) {
			return "Step exceeded its deadline"
		}
		k.wakeAt(deadline)
	}
	return ""
}

func (k *walk) runDeadline() time.Time {
	if k.w.Spec.ActiveDeadlineSeconds == nil || k.ending {
		return time.Time{}
	}
	// Upstream counts from a start that is cut to the second.
	return k.w.Run.StartedAt.Truncate(time.Second).Add(time.Duration(*k.w.Spec.ActiveDeadlineSeconds) * time.Second)
}

// stopAll fails every open node and stops the pods behind them.
func (k *walk) stopAll(reason string) {
	ids := make([]string, 0, len(k.nodes))
	for id, n := range k.nodes {
		if !n.Phase.Fulfilled() && !k.afterRun(n.Name) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		n := k.nodes[id]
		if n.Type == v1alpha1.NodeTypePod {
			k.actions = append(k.actions, StopPod{NodeID: n.ID, PodName: k.podName(n)})
		}
		if n.Type == v1alpha1.NodeTypePod || n.Type == v1alpha1.NodeTypeHTTP {
			k.actions = append(k.actions, StopTask{NodeID: n.ID})
		}
		k.finish(n, v1alpha1.NodeFailed, reason)
	}
}

func (k *walk) podName(n v1alpha1.NodeStatus) string {
	if n.TemplateRef != nil {
		return k.podOf(n.Name, n.TemplateRef.Template)
	}
	return k.podOf(n.Name, n.TemplateName)
}

// podOf is the name of the pod of a node. Where ids would clash pods would too.
func (k *walk) podOf(node, template string) string {
	return PodName(k.w.Name, node, template) + strings.TrimPrefix(k.id(node), NodeID(k.w.Name, node))
}

// id is the id of the node of that name: upstream's, with a number behind it when a
// node of another name was first to have it. Its hash has 32 bits: of 100,000 nodes
// two have the same in two of three workflows.
func (k *walk) id(name string) string {
	base := NodeID(k.w.Name, name)
	free := ""
	for n, id := 0, base; ; id = base + "-" + strconv.Itoa(n) {
		other, taken := k.nodes[id]
		if taken && other.Name == name {
			return id
		}
		if !taken && free == "" {
			free = id
		}
		// The first may have been dropped by a retry since.
		if !taken && n > 0 {
			return free
		}
		n++
	}
}

func (k *walk) decision(change *RunChange) Decision {
	d := Decision{Actions: k.actions, Metrics: k.metrics, Needs: k.needs, Wake: k.wake}
	for _, id := range k.dirty {
		d.Nodes = append(d.Nodes, k.nodes[id])
	}
	if change.Phase != v1alpha1.WorkflowRunning || change.StartedAt != nil || change.Metadata != nil {
		d.Run = change
	}
	return d
}

// put records a changed node.
func (k *walk) put(n v1alpha1.NodeStatus) v1alpha1.NodeStatus {
	if count, bounded := k.working[n.BoundaryID]; bounded {
		k.working[n.BoundaryID] = count + atWork(n) - atWork(k.nodes[n.ID])
	}
	k.nodes[n.ID] = n
	if !k.changed[n.ID] {
		k.changed[n.ID] = true
		k.dirty = append(k.dirty, n.ID)
	}
	k.publishGlobal(n)
	return n
}

// node returns the node of that name, if it was made.
func (k *walk) node(name string) (v1alpha1.NodeStatus, bool) {
	n, ok := k.nodes[k.id(name)]
	return n, ok
}

// begin makes a node that has none yet.
func (k *walk) begin(c call, kind v1alpha1.NodeType, phase v1alpha1.NodePhase) v1alpha1.NodeStatus {
	if n, ok := k.node(c.name); ok {
		return n
	}
	at := metav1.NewTime(k.w.Now)
	n := v1alpha1.NodeStatus{
		ID: k.id(c.name), Name: c.name, DisplayName: c.display, Type: kind, Phase: phase,
		TemplateName: c.template, BoundaryID: c.boundary, StartedAt: &at, TemplateScope: c.library.scopeText(k.w.Name),
	}
	if c.ref != nil {
		n.TemplateName, n.TemplateRef = "", c.ref
	}
	if c.hooked {
		n.NodeFlag = &v1alpha1.NodeFlag{Hooked: true}
	}
	if c.attempt {
		n.NodeFlag = &v1alpha1.NodeFlag{Retried: true}
	}
	if phase.Fulfilled() {
		n.FinishedAt = &at
	}
	return k.put(n)
}

func (k *walk) finish(n v1alpha1.NodeStatus, phase v1alpha1.NodePhase, message string) v1alpha1.NodeStatus {
	at := metav1.NewTime(k.w.Now)
	n.Phase, n.Message, n.FinishedAt = phase, message, &at
	return k.put(n)
}

// fail makes or ends a node that cannot be worked on.
func (k *walk) fail(c call, kind v1alpha1.NodeType, err error) v1alpha1.NodeStatus {
	return k.finish(k.begin(c, kind, v1alpha1.NodePending), v1alpha1.NodeError, err.Error())
}

// link adds an edge of the graph that clients draw.
func (k *walk) link(parentID, childID string) {
	p, ok := k.nodes[parentID]
	if !ok {
		return
	}
	known := k.children[parentID]
	if len(known) != len(p.Children) || known == nil {
		known = make(map[string]bool, len(p.Children)+1)
		for _, id := range p.Children {
			known[id] = true
		}
		k.children[parentID] = known
		p.Children = slices.Clip(p.Children) // what was recorded must not change
	}
	if known[childID] {
		return
	}
	known[childID] = true
	p.Children = append(p.Children, childID)
	k.put(p)
}

func (k *walk) wakeAt(t time.Time) {
	if k.wake.IsZero() || t.Before(k.wake) {
		k.wake = t
	}
}
