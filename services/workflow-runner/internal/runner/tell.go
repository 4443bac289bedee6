package runner

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/flow/nodes"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
)

// tell publishes what a journal entry means to others. Ids come from the run, the
// node and its phase: telling again after a crash adds nothing.
func (r *Runner) tell(ctx context.Context, wf *v1alpha1.Workflow, known *run, e entry) error {
	if e.Run != nil && e.Run.StartedAt != nil {
		if err := r.publish(ctx, wf, events.FactWorkflowStarted, startedID(string(wf.UID)), events.Fact{Phase: string(v1alpha1.WorkflowRunning)}); err != nil {
			return err
		}
	}
	if err := r.tellSteps(ctx, wf, known, e.Nodes); err != nil {
		return err
	}
	if !known.state.Phase.Completed() {
		return nil
	}
	r.metrics.runs.WithLabelValues(string(known.state.Phase)).Inc()
	return r.publish(ctx, wf, events.FactWorkflowFinished, known.factID(string(wf.UID), "finished"), events.Fact{Phase: string(known.state.Phase), Message: known.state.Message})
}

// tellAtOnce bounds the facts of one run under way to the bus.
const tellAtOnce = 32

// tellSteps tells about nodes, many at once: each fact waits for the bus to say that it has it.
func (r *Runner) tellSteps(ctx context.Context, wf *v1alpha1.Workflow, known *run, changed []v1alpha1.NodeStatus) error {
	return atOnce(tellAtOnce, changed, func(n v1alpha1.NodeStatus) error {
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

// atOnce does the same to all of a list, up to limit at a time, and returns what went wrong.
func atOnce[T any](limit int, list []T, do func(T) error) error {
	errs := make([]error, len(list))
	slots := make(chan struct{}, limit)
	var working sync.WaitGroup
	for i, x := range list {
		slots <- struct{}{}
		working.Go(func() {
			defer func() { <-slots }()
			errs[i] = do(x)
		})
	}
	working.Wait()
	return errors.Join(errs...)
}

// factID is the id of a fact; those of a run that is done again are others.
func (r *run) factID(parts ...string) string {
	if r.again > 0 {
		parts = append(parts, strconv.Itoa(r.again))
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

func (r *Runner) publish(ctx context.Context, wf *v1alpha1.Workflow, fact, id string, data events.Fact) error {
	data.Object = events.Object{APIVersion: v1alpha1.GroupVersion.String(), Kind: "Workflow", Namespace: wf.Namespace, Name: wf.Name, UID: string(wf.UID)}
	e, err := bus.NewEvent(id, events.ServiceWorkflowRunner, events.FactType(fact), data)
	if err != nil {
		return fmt.Errorf("tell %s: %w", fact, err)
	}
	l := chain(wf)
	if fact == events.FactWorkflowStarted {
		// The run itself was caused by whoever created its object.
		l.Causation = wf.Annotations[events.AnnotationCausationID]
	}
	e.SetTime(time.Now())
	e.SetSubject(wf.Namespace + "/" + wf.Name)
	if err := r.bus.Publish(ctx, events.FactSubject(events.ServiceWorkflowRunner, fact, wf.Namespace, wf.Name), bus.WithLineage(e, l)); err != nil {
		return fmt.Errorf("tell %s: %w", fact, err)
	}
	return nil
}
