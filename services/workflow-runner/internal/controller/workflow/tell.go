package workflow

import (
	"context"
	"strconv"

	"github.com/argosy-mesh/argosy/libs/facts"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/flow/nodes"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/journal"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/parallel"
)

// tell publishes what a journal entry means to others. Ids come from the run, the
// node and its phase: telling again after a crash adds nothing.
func (r *Reconciler) tell(ctx context.Context, wf *v1alpha1.Workflow, known *run, e journal.Entry) error {
	if e.Run != nil && e.Run.StartedAt != nil {
		started := events.WorkflowStarted{Phase: string(v1alpha1.WorkflowRunning)}
		if err := r.publish(ctx, wf, object.StartedID(string(wf.UID)), started); err != nil {
			return err
		}
	}
	if err := r.tellSteps(ctx, wf, known, e.Nodes); err != nil {
		return err
	}
	if !known.State.Phase.Completed() {
		return nil
	}
	r.Metrics.Runs.WithLabelValues(string(known.State.Phase)).Inc()
	finished := events.WorkflowFinished{Phase: string(known.State.Phase), Message: known.State.Message}
	return r.publish(ctx, wf, known.factID(string(wf.UID), "finished"), finished)
}

// tellAtOnce bounds the facts of one run under way to the bus.
const tellAtOnce = 32

// tellSteps tells about nodes, many at once: each fact waits for the bus to say that it has it.
func (r *Reconciler) tellSteps(ctx context.Context, wf *v1alpha1.Workflow, known *run,
	changed []v1alpha1.NodeStatus) error {
	return parallel.Do(tellAtOnce, changed, func(n v1alpha1.NodeStatus) error {
		if !nodes.Works(n) {
			return nil
		}
		fact := stepFact(n)
		return r.publish(ctx, wf, known.factID(string(wf.UID), n.ID, fact.Fact()), fact)
	})
}

// factID is the id of a fact; those of a run that is done again are others.
func (r *run) factID(parts ...string) string {
	if r.Again > 0 {
		parts = append(parts, strconv.Itoa(r.Again))
	}
	return bus.Key(parts...)
}

func stepFact(n v1alpha1.NodeStatus) events.Body {
	s := events.Step{
		Node: n.Name, Step: n.DisplayName, Template: n.TemplateName, Phase: string(n.Phase), Message: n.Message,
	}
	if n.StartedAt != nil {
		s.StartedAt = n.StartedAt.Time
	}
	if n.FinishedAt != nil {
		s.FinishedAt = n.FinishedAt.Time
	}
	if n.Phase.Fulfilled() {
		return events.StepFinished{Step: s}
	}
	return events.StepStarted{Step: s}
}

func (r *Reconciler) publish(ctx context.Context, wf *v1alpha1.Workflow, id string, body events.Body) error {
	l := object.Chain(wf)
	if body.Fact() == events.FactWorkflowStarted {
		// The run itself was caused by whoever created its object.
		l.Causation = wf.Annotations[events.AnnotationCausationID]
	}
	return facts.Publish(ctx, r.Bus, events.ServiceWorkflowRunner, facts.Fact{
		ID: id, About: facts.About("Workflow", wf), Body: body, Lineage: l,
	})
}
