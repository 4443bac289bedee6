package flow

import (
	"errors"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/span"
	"github.com/argosy-mesh/argosy/libs/flow/memory"
	"github.com/argosy-mesh/argosy/libs/flow/nodes"
	"github.com/argosy-mesh/argosy/libs/flow/scope"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// state is a run while it is decided: what the types of templates, hooks and loops share. It makes and ends nodes, asks
// questions and counts room; it does not know what comes next.
type state struct {
	// w is the world of the decision; its Pods and Tasks are those of nodes that have not ended.
	w         World
	nodes     *nodes.Store
	memory    *memory.Memory
	globals   scope.Scope // what is known everywhere
	templates templates
	hooked    bool // whether there are hooks: they may look at anything, so that each walk visits everything

	// Of one decision.
	actions   []Action
	metrics   []Metric
	lookups   []Lookup
	published v1alpha1.Outputs // for the whole workflow
	ending    bool             // the exit handler is at work: deadlines do not count for it
	stopping  string           // why nothing begins any more but exit hooks; "": all may
	exits     int              // exit hooks and handlers that the walk is in
}

func newState(workflow string, run Run, lent bool) *state {
	return &state{nodes: nodes.New(workflow, run.Nodes, lent), memory: memory.New(), globals: scope.New(), templates: templates{}}
}

// turn begins a decision: it forgets what belongs to the one before.
func (s *state) turn(w World) {
	s.w = w
	s.nodes.Turn()
	s.memory.Turn()
	s.actions, s.metrics, s.lookups = nil, nil, nil
	s.ending, s.stopping, s.exits = false, "", 0
	s.published = v1alpha1.Outputs{}
}

func (s *state) podName(n v1alpha1.NodeStatus) string {
	if n.TemplateRef != nil {
		return s.podOf(n.Name, n.TemplateRef.Template)
	}
	return s.podOf(n.Name, n.TemplateName)
}

// podOf is the name of the pod of a node. Where ids would clash pods would too.
func (s *state) podOf(node, template string) string {
	return nodes.PodName(s.w.Name, node, template) + strings.TrimPrefix(s.nodes.ID(node), nodes.ID(s.w.Name, node))
}

// closed reports whether nothing new begins at the place that is visited: the workflow is told to stop, and it is not
// below an exit hook.
func (s *state) closed() bool { return s.stopping != "" && s.exits == 0 }

func (s *state) runDeadline() time.Time {
	if s.w.Spec.ActiveDeadlineSeconds == nil || s.ending || s.exits > 0 {
		return time.Time{}
	}
	// Upstream counts from a start that is cut to the second.
	return s.w.Run.StartedAt.Truncate(time.Second).Add(span.Seconds(*s.w.Spec.ActiveDeadlineSeconds))
}

// fail makes or ends a node that cannot be worked on.
func (s *state) fail(c call, kind v1alpha1.NodeType, err error) v1alpha1.NodeStatus {
	return s.finish(s.begin(c, kind, v1alpha1.NodePending), v1alpha1.NodeError, err.Error())
}

// failOrWait ends a node with an error, unless the error only says that something must be found out first.
func (s *state) failOrWait(c call, kind v1alpha1.NodeType, err error) v1alpha1.NodeStatus {
	if errors.Is(err, errPending) {
		n, _ := s.nodes.Named(c.name)
		return n
	}
	return s.fail(c, kind, err)
}

func (s *state) finish(n v1alpha1.NodeStatus, phase v1alpha1.NodePhase, message string) v1alpha1.NodeStatus {
	if s.closed() && nodes.Holds(n) {
		return n // it ends with the reason, once the exit hooks below it are done
	}
	at := metav1.NewTime(s.w.Now)
	n.Phase, n.Message, n.FinishedAt = phase, message, &at
	return s.put(n)
}

// put records a changed node.
func (s *state) put(n v1alpha1.NodeStatus) v1alpha1.NodeStatus {
	s.nodes.Put(n)
	if n.Phase.Fulfilled() {
		s.memory.Silence(n.ID)
	}
	s.publishGlobal(n)
	return n
}

// begin makes a node that has none yet.
func (s *state) begin(c call, kind v1alpha1.NodeType, phase v1alpha1.NodePhase) v1alpha1.NodeStatus {
	id := s.nodes.ID(c.name)
	if n := s.nodes.At(id); n.ID != "" {
		return n
	}
	at := metav1.NewTime(s.w.Now)
	n := v1alpha1.NodeStatus{
		ID: id, Name: c.name, DisplayName: c.display, Type: kind, Phase: phase,
		TemplateName: c.template, BoundaryID: c.boundary, StartedAt: &at, TemplateScope: c.library.scopeText(s.w.Name),
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
	return s.put(n)
}

// endDaemons stops the servers that a template started: nobody within it needs them any more. Source: Argo Workflows,
// a stopped daemon has succeeded.
func (s *state) endDaemons(boundary string) {
	for _, id := range s.nodes.Servers() {
		n := s.nodes.At(id)
		if !nodes.Serves(n) || n.Phase.Fulfilled() || boundary != "" && n.BoundaryID != boundary {
			continue
		}
		if n.Type == v1alpha1.NodeTypePod {
			s.actions = append(s.actions, StopPod{NodeID: n.ID, PodName: s.podName(n)})
		}
		n.Daemoned = nil
		s.finish(n, v1alpha1.NodeSucceeded, "")
	}
}

// clean reports whether nothing has changed at a place since it was visited, so that another visit would change nothing.
func (s *state) clean(place string) bool {
	clean, waits := s.memory.Clean(place)
	return clean && (!waits || s.atCapacity())
}

// forget drops what was kept for a node that has ended.
func (s *state) forget(id string) {
	s.memory.Drop(id)
	s.nodes.Ended(id)
	delete(s.w.Pods, id)
	delete(s.w.Tasks, id)
}
