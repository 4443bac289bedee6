package trigger

import (
	"context"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/tidwall/gjson"
)

// operations are those of argoWorkflow beside submit.
var operations = []string{"submit-from", "resubmit", "resume", "retry", "suspend", "terminate", "stop"}

// workflows is the argoWorkflow trigger: commands to workflow-runner.
type workflows struct {
	stateless
	world World
}

func newWorkflow(w World) Adapter { return &workflows{world: w} }

// Fire makes the command.
func (x *workflows) Fire(ctx context.Context, c Call) (Result, error) {
	t := c.Template.ArgoWorkflow
	manifest, err := x.world.Sources.Manifest(ctx, c.Sensor.Namespace, t.Source)
	if err != nil {
		return Result{}, err
	}
	if manifest, err = c.Fill.Resource(manifest, t.Parameters); err != nil {
		return Result{}, fault.AsPoison(err)
	}
	namespace := gjson.GetBytes(manifest, "metadata.namespace").String()
	if namespace == "" {
		namespace = c.Sensor.Namespace
	}
	if t.Operation == "" || t.Operation == "submit" {
		return command(c, events.SubmitSubject(namespace), events.TypeSubmitWorkflow, events.SubmitWorkflow{
			Key:              c.Key,
			Namespace:        namespace,
			Workflow:         manifest,
			Sensor:           c.Sensor.Name,
			Trigger:          c.Template.Name,
			ServiceAccount:   Account(c.Sensor),
			AccountNamespace: c.Sensor.Namespace,
		})
	}
	if !slices.Contains(operations, t.Operation) {
		return Result{}, fault.Poisonf(
			"argoWorkflow.operation %q is none of submit, %s", t.Operation, strings.Join(operations, ", "),
		)
	}
	name := gjson.GetBytes(manifest, "metadata.name").String()
	if name == "" {
		return Result{}, fault.Poisonf(
			"argoWorkflow: %s needs the name of what it is about in metadata.name of the source", t.Operation,
		)
	}
	kind := gjson.GetBytes(manifest, "kind").String()
	if kind == "" || t.Operation != "submit-from" {
		kind = "Workflow"
	}
	return command(
		c,
		events.CommandSubject(events.ServiceWorkflowRunner, t.Operation, namespace),
		events.TypeOperateWorkflow,
		events.OperateWorkflow{
			Key:              c.Key,
			Operation:        t.Operation,
			Namespace:        namespace,
			Kind:             kind,
			Name:             name,
			Object:           manifest,
			Args:             t.Args,
			Sensor:           c.Sensor.Name,
			Trigger:          c.Template.Name,
			ServiceAccount:   Account(c.Sensor),
			AccountNamespace: c.Sensor.Namespace,
		},
	)
}

func command(c Call, subject, kind string, data any) (Result, error) {
	e, err := bus.NewEvent(c.Key, events.ServiceSensor, kind, data)
	if err != nil {
		return Result{}, fault.AsPoison(err)
	}
	return Result{Commands: []bus.Outgoing{{Subject: subject, Event: e}}, Summary: "told workflow-runner"}, nil
}

// Account is the service account that a Sensor acts as.
func Account(s *v1alpha1.Sensor) string {
	if s.Spec.Template != nil && s.Spec.Template.ServiceAccountName != "" {
		return s.Spec.Template.ServiceAccountName
	}
	return "default"
}
