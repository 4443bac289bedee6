package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/controller/binding"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// post publishes what a webhook of the EventSource "hooks" receives.
func (c *cluster) post(id, name, body string) {
	c.t.Helper()
	e, err := bus.NewEvent(id, "hooks", "webhook", json.RawMessage(`{"header":{"X-Test":["true"]},"body":`+body+`}`))
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.bus.Publish(c.t.Context(), events.EventSubject("ci", "hooks", name), e); err != nil {
		c.t.Fatal(err)
	}
}

func TestABindingSubmitsOneWorkflowPerEvent(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.runner("a")
	c.runner("b")
	c.post("before", "deploy", `{"message":"old"}`)
	c.create(`{apiVersion: argoproj.io/v1alpha1, kind: WorkflowTemplate, metadata: {name: t}, spec: {entrypoint: main, arguments: {parameters: [{name: m}]}, templates: [{name: main, suspend: {}}]}}`)
	c.create(`{apiVersion: argoproj.io/v1alpha1, kind: WorkflowEventBinding, metadata: {name: never}, spec: {event: {selector: payload.a.b.c}, submit: {workflowTemplateRef: {name: t}}}}`)
	made := c.create(`
apiVersion: argoproj.io/v1alpha1
kind: WorkflowEventBinding
metadata: {name: b}
spec:
  event: {selector: 'payload.message != "" && payload.message != "old" && metadata["x-test"] == ["true"] && discriminator == "deploy"'}
  submit: {workflowTemplateRef: {name: t}, arguments: {parameters: [{name: m, valueFrom: {event: payload.message}}]}}
`)
	for i := range 3 {
		c.post(fmt.Sprintf("event-%d", i), "deploy", fmt.Sprintf(`{"message":"m%d"}`, i))
		c.post(fmt.Sprintf("other-%d", i), "other", `{"message":"x"}`)
		c.post(fmt.Sprintf("odd-%d", i), "deploy", `"text"`)
	}
	c.await("three workflows", func() error {
		list := c.workflows()
		seen := map[string]bool{}
		for _, wf := range list {
			if wf.Labels["workflows.argoproj.io/workflow-event-binding"] != "b" || !strings.HasPrefix(wf.Name, "t-") ||
				wf.Status.Phase != v1alpha1.WorkflowRunning {
				return fmt.Errorf("%s %v %s", wf.Name, wf.Labels, wf.Status.Phase)
			}
			seen[wf.Spec.Arguments.Parameters[0].Value.String()] = true
		}
		if len(list) != 3 || !seen["m0"] || !seen["m2"] {
			return fmt.Errorf("%d workflows of %v", len(list), seen)
		}
		return nil
	})
	if err := c.kube.Delete(t.Context(), made); err != nil {
		t.Fatal(err)
	}
	c.await("it goes", func() error {
		if err := c.kube.Get(t.Context(), client.ObjectKeyFromObject(made),
			binding.Object()); !apierrors.IsNotFound(err) {
			return errors.Join(errors.New("it is there"), err)
		}
		return nil
	})
	c.post("late", "deploy", `{"message":"m9"}`)
	c.submit("marker-abcdef", 1) // goes a way of its own, and later
	c.await("the marker", func() error {
		for _, wf := range c.workflows() {
			if strings.HasPrefix(wf.Name, "chain-") {
				return nil
			}
		}
		return errors.New("not yet")
	})
	if n := len(c.workflows()); n != 4 {
		t.Errorf("%d workflows after the binding went", n)
	}
}

func TestTheSameEventIsHandledOnce(t *testing.T) {
	t.Parallel()
	c := start(t)
	one := &v1alpha1.WorkflowEventBinding{Spec: v1alpha1.WorkflowEventBindingSpec{
		Event:  v1alpha1.WorkflowEvent{Selector: "true"},
		Submit: &v1alpha1.WorkflowSubmit{WorkflowTemplateRef: v1alpha1.WorkflowTemplateRef{Name: "t"}}}}
	one.Name, one.Namespace, one.UID = "b", "ci", "u"
	e, err := bus.NewEvent("id", "calendar", "calendar", map[string]any{"eventTime": "now"})
	if err != nil {
		t.Fatal(err)
	}
	b := &binding.Reconciler{Client: c.kube}
	for range 3 {
		if err := b.Handle(t.Context(), one, bus.Delivery{Event: e,
			Subject: events.EventSubject("ci", "cal", "tick")}); err != nil {
			t.Fatal(err)
		}
	}
	if list := c.workflows(); len(list) != 1 || list[0].Annotations[events.AnnotationCausationID] != "id" {
		t.Errorf("%d workflows", len(list))
	}
}
