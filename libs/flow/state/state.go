// Package state is a run while it is decided: what the types of templates, hooks and loops share.
package state

import (
	"errors"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/span"
	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/library"
	"github.com/argosy-mesh/argosy/libs/flow/memory"
	"github.com/argosy-mesh/argosy/libs/flow/nodes"
	"github.com/argosy-mesh/argosy/libs/flow/scope"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// State is a run while it is decided: what the types of templates, hooks and loops share. It makes and ends nodes, asks
// questions and counts room; it does not know what comes next.
type State struct {
	// World is that of the decision; its Pods and Tasks are those of nodes that have not ended.
	World     flow.World
	Nodes     *nodes.Store
	Memory    *memory.Memory
	Globals   scope.Scope // what is known everywhere
	templates library.Templates
	Hooked    bool // whether there are hooks: they may look at anything, so that each walk visits everything

	// Of one decision.
	Actions   []flow.Action
	Metrics   []flow.Metric
	Lookups   []flow.Lookup
	published v1alpha1.Outputs // for the whole workflow
	Ending    bool             // the exit handler is at work: deadlines do not count for it
	Stopping  string           // why nothing begins any more but exit hooks; "": all may
	Exits     int              // exit hooks and handlers that the walk is in
}

// New is the state of a run of which nothing was decided yet. Lists within lent nodes are not written to.
func New(workflow string, run flow.Run, lent bool) *State {
	return &State{Nodes: nodes.New(workflow, run.Nodes, lent), Memory: memory.New(), Globals: scope.New(),
		templates: library.Templates{}}
}

// Turn begins a decision: it forgets what belongs to the one before.
func (s *State) Turn(w flow.World) {
	s.World = w
	s.Nodes.Turn()
	s.Memory.Turn()
	s.Actions, s.Metrics, s.Lookups = nil, nil, nil
	s.Ending, s.Stopping, s.Exits = false, "", 0
	s.published = v1alpha1.Outputs{}
}

// PodName is the name of the pod of a node.
func (s *State) PodName(n v1alpha1.NodeStatus) string {
	if n.TemplateRef != nil {
		return s.PodOf(n.Name, n.TemplateRef.Template)
	}
	return s.PodOf(n.Name, n.TemplateName)
}

// PodOf is the name of the pod of a node. Where ids would clash pods would too.
func (s *State) PodOf(node, template string) string {
	return nodes.PodName(s.World.Name, node, template) + strings.TrimPrefix(s.Nodes.ID(node),
		nodes.ID(s.World.Name, node))
}

// Closed reports whether nothing new begins at the place that is visited: the workflow is told to stop, and it is not
// below an exit hook.
func (s *State) Closed() bool { return s.Stopping != "" && s.Exits == 0 }

// RunDeadline is when the run is out of time, zero when it is never, or when what is visited runs after that.
func (s *State) RunDeadline() time.Time {
	if s.World.Spec.ActiveDeadlineSeconds == nil || s.Ending || s.Exits > 0 {
		return time.Time{}
	}
	// Upstream counts from a start that is cut to the second.
	return s.World.Run.StartedAt.Truncate(time.Second).Add(span.Seconds(*s.World.Spec.ActiveDeadlineSeconds))
}

// Fail makes or ends a node that cannot be worked on.
func (s *State) Fail(c Call, kind v1alpha1.NodeType, err error) v1alpha1.NodeStatus {
	return s.Finish(s.Begin(c, kind, v1alpha1.NodePending), v1alpha1.NodeError, err.Error())
}

// FailOrWait ends a node with an error, unless the error only says that something must be found out first.
func (s *State) FailOrWait(c Call, kind v1alpha1.NodeType, err error) v1alpha1.NodeStatus {
	if errors.Is(err, ErrPending) {
		n, _ := s.Nodes.Named(c.Name)
		return n
	}
	return s.Fail(c, kind, err)
}

// Finish ends a node, unless it only holds others that still run after the run was stopped.
func (s *State) Finish(n v1alpha1.NodeStatus, phase v1alpha1.NodePhase, message string) v1alpha1.NodeStatus {
	if s.Closed() && nodes.Holds(n) {
		return n // it ends with the reason, once the exit hooks below it are done
	}
	at := metav1.NewTime(s.World.Now)
	n.Phase, n.Message, n.FinishedAt = phase, message, &at
	return s.Put(n)
}

// Put records a changed node.
func (s *State) Put(n v1alpha1.NodeStatus) v1alpha1.NodeStatus {
	s.Nodes.Put(n)
	if n.Phase.Fulfilled() {
		s.Memory.Silence(n.ID)
	}
	s.publishGlobal(n)
	return n
}

// Begin makes a node that has none yet.
func (s *State) Begin(c Call, kind v1alpha1.NodeType, phase v1alpha1.NodePhase) v1alpha1.NodeStatus {
	id := s.Nodes.ID(c.Name)
	if n := s.Nodes.At(id); n.ID != "" {
		return n
	}
	at := metav1.NewTime(s.World.Now)
	n := v1alpha1.NodeStatus{
		ID: id, Name: c.Name, DisplayName: c.Display, Type: kind, Phase: phase,
		TemplateName: c.Template, BoundaryID: c.Boundary, StartedAt: &at, TemplateScope: c.Library.Text(s.World.Name),
	}
	if c.Ref != nil {
		n.TemplateName, n.TemplateRef = "", c.Ref
	}
	if c.Hooked {
		n.NodeFlag = &v1alpha1.NodeFlag{Hooked: true}
	}
	if c.Attempt {
		n.NodeFlag = &v1alpha1.NodeFlag{Retried: true}
	}
	if phase.Fulfilled() {
		n.FinishedAt = &at
	}
	return s.Put(n)
}

// EndDaemons stops the servers that a template started: nobody within it needs them any more. Source: Argo Workflows,
// a stopped daemon has succeeded.
func (s *State) EndDaemons(boundary string) {
	for _, id := range s.Nodes.Servers() {
		n := s.Nodes.At(id)
		if !nodes.Serves(n) || n.Phase.Fulfilled() || boundary != "" && n.BoundaryID != boundary {
			continue
		}
		if n.Type == v1alpha1.NodeTypePod {
			s.Actions = append(s.Actions, flow.StopPod{NodeID: n.ID, PodName: s.PodName(n)})
		}
		n.Daemoned = nil
		s.Finish(n, v1alpha1.NodeSucceeded, "")
	}
}

// Clean reports whether nothing has changed at a place since it was visited, so that another visit would change
// nothing.
func (s *State) Clean(place string) bool {
	clean, waits := s.Memory.Clean(place)
	return clean && (!waits || s.AtCapacity())
}

// Forget drops what was kept for a node that has ended.
func (s *State) Forget(id string) {
	s.Memory.Drop(id)
	s.Nodes.Ended(id)
	delete(s.World.Pods, id)
	delete(s.World.Tasks, id)
}
