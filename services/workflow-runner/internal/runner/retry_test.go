package runner

import (
	"fmt"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
)

// operate sends a command, twice, as a sensor that is not sure would.
func (c *cluster) operate(key, operation, name string, args ...string) {
	c.t.Helper()
	for i := range 2 {
		command := events.OperateWorkflow{Key: key, Operation: operation, Namespace: "ci", Kind: "Workflow", Name: name,
			Args: args}
		e, err := bus.NewEvent(fmt.Sprintf("%s-%d", key, i), "sensor", events.TypeOperateWorkflow, command)
		if err != nil {
			c.t.Fatal(err)
		}
		if err := c.bus.Publish(c.t.Context(), events.CommandSubject(events.ServiceWorkflowRunner, operation, "ci"),
			e); err != nil {
			c.t.Fatal(err)
		}
	}
}

func TestAnEndedRunIsRetried(t *testing.T) {
	t.Parallel()
	c := start(t)
	stop := c.runner("a")
	c.create(`
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: again}
spec:
  entrypoint: main
  arguments: {parameters: [{name: p, value: old}]}
  templates:
  - name: main
    steps: [[{name: good, template: run}], [{name: bad, template: run}], [{name: ask, template: ask}]]
  - {name: run, container: {image: busybox, command: [echo, "{{workflow.parameters.p}}"]}}
  - {name: ask, suspend: {}, outputs: {parameters: [{name: who, valueFrom: {supplied: {}}}]}}
`)
	c.finish(".good", 0)
	c.finish(".bad", 1)
	c.awaitPhase(v1alpha1.WorkflowFailed)
	c.operate("retry-key-1", "retry", "again", "-p", "p=new")
	c.await("a new pod of the failed step", func() error {
		for _, p := range c.pods() {
			if strings.HasSuffix(p.Annotations[object.AnnotationNodeName], ".bad") &&
				p.Spec.Containers[0].Command[1] == "new" {
				return nil
			}
		}
		return fmt.Errorf("%d pods", len(c.pods()))
	})
	stop()
	c.runner("b")
	c.finish(".bad", 0)
	c.await("the last step waits", func() error {
		for _, wf := range c.workflows() {
			for _, n := range wf.Status.Nodes {
				if n.DisplayName == "ask" && wf.Status.FinishedAt == nil && wf.Status.Message == "" {
					return nil
				}
			}
		}
		return fmt.Errorf("no such node")
	})
	c.operate("set-key-1", "set", "again", "--node-field-selector", "displayName=ask", "--output-parameter", "who=me",
		"--phase", "Succeeded", "--message=fine")
	wf := c.awaitPhase(v1alpha1.WorkflowSucceeded)
	for _, n := range wf.Status.Nodes {
		if n.DisplayName == "ask" && (n.Message != "fine" || n.Outputs.Parameters[0].Value.String() != "me") {
			t.Errorf("%+v", n)
		}
	}
	if n := len(c.pods()); n != 2 {
		t.Errorf("%d pods", n)
	}
	c.await("both ends are told", func() error {
		if n := c.facts("workflow.finished"); n != 2 {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
	c.operate("retry-key-2", "retry", "again")
	c.await("a retry of what succeeded is refused", func() error {
		for _, wf := range c.workflows() {
			if said := wf.Annotations["argosy.dev/refused-orders"]; strings.Contains(said,
				"nothing is to be done again") &&
				wf.Labels[object.LabelCompleted] == "true" {
				return nil
			}
		}
		return fmt.Errorf("not yet")
	})
}
