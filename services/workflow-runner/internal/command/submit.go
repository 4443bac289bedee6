package command

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/libs/kube/actas"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/meter"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Submitter turns commands into Workflow objects.
type Submitter struct {
	Accounts *actas.Accounts
	Metrics  *meter.Own
}

// Consumer describes where the commands come from.
func (s *Submitter) Consumer() bus.Consumer {
	return bus.Consumer{
		Stream: bus.Commands, Name: "workflow-runner-submit", Filters: []string{"commands.workflow-runner.submit.>"},
		Concurrency: 8,
		Observe: func(class fault.Class, took time.Duration) {
			s.Metrics.Commands.WithLabelValues("submit", string(class)).Observe(took.Seconds())
		},
	}
}

// Handle creates the workflow of one command. Its name ends in the command's key,
// so that the same command makes the same workflow once.
func (s *Submitter) Handle(ctx context.Context, d bus.Delivery) ([]bus.Outgoing, error) {
	var command events.SubmitWorkflow
	if err := d.DataAs(&command); err != nil {
		return nil, fault.Poisonf("submit command %s: %w", d.ID(), err)
	}
	wf, err := workflowOf(command, d.Event)
	if err != nil {
		return nil, fault.Poisonf("submit command %s: %w", d.ID(), err)
	}
	by, err := commanderFor(s.Accounts, d, commandAuthor{verb: "submit", namespace: command.Namespace,
		sensor:    command.Sensor,
		accountOf: command.AccountNamespace, account: command.ServiceAccount})
	if err == nil {
		err = by.create(ctx, wf)
	}
	if err != nil {
		return nil, refusedCommand(fmt.Errorf("submit workflow %s/%s of sensor %s, key %s: %w", wf.GetNamespace(),
			wf.GetName(), command.Sensor, command.Key, err))
	}
	return nil, nil
}

func workflowOf(command events.SubmitWorkflow, cause bus.Event) (*unstructured.Unstructured, error) {
	wf := &unstructured.Unstructured{}
	if err := json.Unmarshal(command.Workflow, &wf.Object); err != nil {
		return nil, fmt.Errorf("workflow: %w", err)
	}
	if kind := wf.GetKind(); kind != "" && kind != "Workflow" {
		return nil, fmt.Errorf("workflow.kind: is %q, want Workflow", kind)
	}
	if command.Key == "" {
		return nil, fmt.Errorf("key: is empty")
	}
	wf.SetGroupVersionKind(v1alpha1.Kind("Workflow"))
	switch wf.GetNamespace() {
	case command.Namespace:
	case "":
		wf.SetNamespace(command.Namespace)
	default:
		return nil, fmt.Errorf("workflow.metadata.namespace: is %q, and the command is of %q", wf.GetNamespace(),
			command.Namespace)
	}
	prefix := wf.GetGenerateName()
	if prefix == "" {
		if prefix = wf.GetName(); prefix == "" {
			prefix = "workflow"
		}
		prefix += "-"
	}
	if wf.GetName() == "" || wf.GetGenerateName() != "" {
		wf.SetName(prefix + keyInName(command.Key))
	}
	wf.SetGenerateName("")
	wf.SetAnnotations(bus.After(cause).Annotate(wf.GetAnnotations()))
	annotations := wf.GetAnnotations()
	annotations[lineage.KeyAnnotation] = command.Key
	wf.SetAnnotations(annotations)
	unstructured.RemoveNestedField(wf.Object, "status")
	return wf, nil
}
