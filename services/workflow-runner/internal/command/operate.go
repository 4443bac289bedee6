// Package command does what commands of the bus ask for: it submits workflows, and puts what people want on those that
// exist, with the rights of who asked.
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
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/archive"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/meter"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// Operator does what commands ask of workflows that exist, or of templates.
type Operator struct {
	Accounts *actas.Accounts
	Archive  *archive.Archivist
	Metrics  *meter.Own
}

// asked is a command with the rights of who asked.
type asked struct {
	events.OperateWorkflow

	by    commander
	cause bus.Event
}

// verbs are the operations by name.
func (o *Operator) verbs() map[string]func(context.Context, asked) error {
	return map[string]func(context.Context, asked) error{
		"submit-from": o.submitFrom,
		"resubmit":    o.resubmit,
		"stop": func(ctx context.Context, c asked) error {
			return o.setSpec(ctx, c, "shutdown", v1alpha1.ShutdownStop)
		},
		"terminate": func(ctx context.Context, c asked) error {
			return o.setSpec(ctx, c, "shutdown", v1alpha1.ShutdownTerminate)
		},
		"suspend": func(ctx context.Context, c asked) error {
			return o.setSpec(ctx, c, "suspend", true)
		},
		"resume": o.resume,
		"retry":  o.retry,
		"set":    o.set,
	}
}

// Consumer describes where the commands come from.
func (o *Operator) Consumer() bus.Consumer {
	var filters []string
	for verb := range o.verbs() {
		filters = append(filters, "commands.workflow-runner."+verb+".>")
	}
	return bus.Consumer{
		Stream: bus.Commands, Name: "workflow-runner-operate", Filters: filters, Concurrency: 8,
		Observe: func(class fault.Class, took time.Duration) {
			o.Metrics.Commands.WithLabelValues("operate", string(class)).Observe(took.Seconds())
		},
	}
}

// Handle does what one command asks for.
func (o *Operator) Handle(ctx context.Context, d bus.Delivery) ([]bus.Outgoing, error) {
	var command events.OperateWorkflow
	if err := d.DataAs(&command); err != nil {
		return nil, fault.Poisonf("operate command %s: %w", d.ID(), err)
	}
	verb, ok := o.verbs()[command.Operation]
	if !ok {
		return nil, fault.Poisonf("operate command %s: operation %q is not known", d.ID(), command.Operation)
	}
	by, err := commanderFor(o.Accounts, d, commandAuthor{verb: command.Operation, namespace: command.Namespace,
		sensor:    command.Sensor,
		accountOf: command.AccountNamespace, account: command.ServiceAccount})
	if err == nil {
		err = verb(ctx, asked{command, by, d.Event})
	}
	if err != nil {
		return nil, refusedCommand(fmt.Errorf("%s %s/%s, key %s: %w", command.Operation, command.Namespace,
			command.Name,
			command.Key, err))
	}
	return nil, nil
}

// submitFrom starts a workflow of a template or of a CronWorkflow.
func (o *Operator) submitFrom(ctx context.Context, c asked) error {
	spec := map[string]any{"workflowTemplateRef": map[string]any{"name": c.Name,
		"clusterScope": c.Kind == "ClusterWorkflowTemplate"}}
	if c.Kind == "CronWorkflow" {
		cron, err := c.by.get(ctx, "cronworkflows", c.Namespace, c.Name)
		if err != nil {
			return err
		}
		spec, _, _ = unstructured.NestedMap(cron.Object, "spec", "workflowSpec")
	}
	return o.create(ctx, c, spec)
}

// resubmit starts a workflow anew from the spec of another, which may be archived.
func (o *Operator) resubmit(ctx context.Context, c asked) error {
	old, err := c.by.get(ctx, "workflows", c.Namespace, c.Name)
	if apierrors.IsNotFound(err) {
		old = &unstructured.Unstructured{}
		old.Object, err = o.archived(ctx, c)
	}
	if err != nil {
		return err
	}
	spec, _, _ := unstructured.NestedMap(old.Object, "spec")
	delete(spec, "shutdown")
	delete(spec, "suspend")
	return o.create(ctx, c, spec)
}

// archived is a workflow of the archive.
func (o *Operator) archived(ctx context.Context, c asked) (map[string]any, error) {
	wf, err := o.Archive.Find(ctx, c.Namespace, c.Name)
	if err != nil {
		return nil, err
	}
	return runtime.DefaultUnstructuredConverter.ToUnstructured(wf)
}

// create makes the workflow of a command once: its name ends in the command's key.
func (o *Operator) create(ctx context.Context, c asked, spec map[string]any) error {
	wf := &unstructured.Unstructured{Object: map[string]any{}}
	if len(c.Object) > 0 {
		if err := json.Unmarshal(c.Object, &wf.Object); err != nil {
			return fault.Poisonf("object: %w", err)
		}
	}
	args, has, _ := unstructured.NestedMap(wf.Object, "spec", "arguments")
	made := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	if has {
		spec["arguments"] = args
	}
	made.SetGroupVersionKind(v1alpha1.Kind("Workflow"))
	made.SetNamespace(c.Namespace)
	made.SetLabels(wf.GetLabels())
	made.SetName(c.Name + "-" + keyInName(c.Key))
	annotations := bus.After(c.cause).Annotate(map[string]string{})
	annotations[lineage.KeyAnnotation] = c.Key
	made.SetAnnotations(annotations)
	return c.by.create(ctx, made)
}

func (o *Operator) setSpec(ctx context.Context, c asked, field string, value any) error {
	return c.by.patch(ctx, c.Namespace, c.Name, map[string]any{"spec": map[string]any{field: value}})
}
