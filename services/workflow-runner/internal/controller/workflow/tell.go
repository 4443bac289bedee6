package workflow

import (
	"context"
	"fmt"
	"strconv"
	"time"

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
		if err := r.publish(ctx, wf, events.FactWorkflowStarted, object.StartedID(string(wf.UID)),
			events.Fact{Phase: string(v1alpha1.WorkflowRunning)}); err != nil {
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
	return r.publish(ctx, wf, events.FactWorkflowFinished, known.factID(string(wf.UID), "finished"),
		events.Fact{Phase: string(known.State.Phase), Message: known.State.Message})
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
		fact := events.FactStepStarted
		if n.Phase.Fulfilled() {
			fact = events.FactStepFinished
		}
		return r.publish(ctx, wf, fact, known.factID(string(wf.UID), n.ID, fact), stepFact(n))
	})
}

// factID is the id of a fact; those of a run that is done again are others.
func (r *run) factID(parts ...string) string {
	if r.Again > 0 {
		parts = append(parts, strconv.Itoa(r.Again))
	}
	return bus.Key(parts...)
}

func stepFact(n v1alpha1.NodeStatus) events.Fact {
	attributes := map[string]string{"node": n.Name, "step": n.DisplayName, "template": n.TemplateName}
	if n.StartedAt != nil {
		attributes["startedAt"] = n.StartedAt.Format(time.RFC3339Nano)
	}
	if n.FinishedAt != nil {
		attributes["finishedAt"] = n.FinishedAt.Format(time.RFC3339Nano)
	}
	return events.Fact{Phase: string(n.Phase), Message: n.Message, Attributes: attributes}
}

func (r *Reconciler) publish(ctx context.Context, wf *v1alpha1.Workflow, fact, id string, data events.Fact) error {
	data.Object = events.Object{APIVersion: v1alpha1.GroupVersion.String(), Kind: "Workflow", Namespace: wf.Namespace,
		Name: wf.Name, UID: string(wf.UID)}
	e, err := bus.NewEvent(id, events.ServiceWorkflowRunner, events.FactType(fact), data)
	if err != nil {
		return fmt.Errorf("tell %s: %w", fact, err)
	}
	l := object.Chain(wf)
	if fact == events.FactWorkflowStarted {
		// The run itself was caused by whoever created its object.
		l.Causation = wf.Annotations[events.AnnotationCausationID]
	}
	e.SetTime(time.Now())
	e.SetSubject(wf.Namespace + "/" + wf.Name)
	if err := r.Bus.Publish(ctx, events.FactSubject(events.ServiceWorkflowRunner, fact, wf.Namespace, wf.Name),
		bus.WithLineage(e, l)); err != nil {
		return fmt.Errorf("tell %s: %w", fact, err)
	}
	return nil
}
