package runner

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// edit changes a workflow as other tools do: read, changed and written whole, again while somebody else was faster.
func (c *cluster) edit(name string, change func(o *unstructured.Unstructured, status map[string]any)) {
	c.t.Helper()
	c.await("edit of "+name, func() error {
		o := object.Workflow()
		if err := c.kube.Get(c.t.Context(), client.ObjectKey{Namespace: "ci", Name: name}, o); err != nil {
			return err
		}
		status, _, err := unstructured.NestedMap(o.Object, "status")
		if err != nil {
			return err
		}
		change(o, status)
		if err := unstructured.SetNestedMap(o.Object, status, "status"); err != nil {
			return err
		}
		return c.kube.Update(c.t.Context(), o)
	})
}

// suspended changes the suspended node of a status.
func suspended(status map[string]any, display string, change func(n map[string]any)) {
	nodes, _ := status["nodes"].(map[string]any)
	for _, n := range nodes {
		if node := n.(map[string]any); node["displayName"] == display && node["phase"] == "Running" {
			change(node)
		}
	}
}

func (c *cluster) awaitWaiting(name, display string) {
	c.t.Helper()
	c.await(display+" waits", func() error {
		for _, wf := range c.workflows() {
			for _, n := range wf.Status.Nodes {
				if wf.Name == name && n.DisplayName == display && n.Phase == v1alpha1.NodeRunning {
					return nil
				}
			}
		}
		return fmt.Errorf("not yet")
	})
}

const asking = `
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: asking}
spec:
  entrypoint: main
  templates:
  - name: main
    steps: [[{name: one, template: plain}], [{name: two, template: ask}], [{name: three, template: plain}], [{name: four, template: ask, continueOn: {failed: true}}],
      [{name: run, template: run, arguments: {parameters: [{name: who, value: "{{steps.two.outputs.parameters.who}}"}]}}]]
  - {name: plain, suspend: {}}
  - {name: ask, suspend: {}, outputs: {parameters: [{name: who, valueFrom: {supplied: {}}}]}}
  - {name: run, inputs: {parameters: [{name: who}]}, container: {image: busybox, command: [echo, "{{inputs.parameters.who}}"]}}
`

func TestAnEditOfTheStatusIsAnOrder(t *testing.T) {
	t.Parallel()
	c := start(t)
	stop := c.runner("a")
	c.create(asking)
	end := func(n map[string]any) {
		n["phase"], n["finishedAt"], n["message"] = "Succeeded", metav1.Now().UTC().Format(time.RFC3339),
			"Resumed by: map[User:me]"
	}
	c.awaitWaiting("asking", "one")
	c.edit("asking", func(_ *unstructured.Unstructured, s map[string]any) { suspended(s, "one", end) })
	c.awaitWaiting("asking", "two")
	// Nobody is there when it is edited, and it is packed.
	stop()
	value := func(n map[string]any) {
		parameter := n["outputs"].(map[string]any)["parameters"].([]any)[0].(map[string]any)
		parameter["value"] = "me"
		delete(parameter, "valueFrom")
	}
	c.edit("asking", func(_ *unstructured.Unstructured, s map[string]any) {
		suspended(s, "two", value)
		suspended(s, "two", end)
		nodes := map[string]v1alpha1.NodeStatus{}
		if err := json.Unmarshal(object.JSON(s["nodes"]), &nodes); err != nil {
			t.Error(err)
		}
		s["compressedNodes"] = compressed(t, nodes)
		delete(s, "nodes")
	})
	stop = c.runner("b")
	c.awaitWaiting("asking", "three")
	c.edit("asking", func(_ *unstructured.Unstructured, s map[string]any) {
		if s["compressedNodes"] != nil {
			t.Error("the nodes are shown twice")
		}
		suspended(s, "three", end)
	})
	c.awaitWaiting("asking", "four")
	// One that lacks what it needs is said to be, and the node goes on waiting.
	c.edit("asking", func(_ *unstructured.Unstructured, s map[string]any) { suspended(s, "four", end) })
	c.await("it is refused", func() error {
		for _, wf := range c.workflows() {
			if said := wf.Annotations[object.RefusedAnnotation]; !strings.Contains(said,
				`status: output parameter "who"`) {
				return fmt.Errorf("refused: %q", said)
			}
		}
		return nil
	})
	c.awaitWaiting("asking", "four")
	c.edit("asking", func(_ *unstructured.Unstructured, s map[string]any) {
		suspended(s, "four", func(n map[string]any) { n["phase"], n["message"] = "Failed", "not today" })
	})
	c.finish(".run", 0)
	wf := c.awaitPhase(v1alpha1.WorkflowSucceeded)
	said := map[string]string{"one": "Succeeded Resumed by: map[User:me]", "two": "Succeeded Resumed by: map[User:me]",
		"three": "Succeeded Resumed by: map[User:me]", "four": "Failed not today"}
	for _, n := range wf.Status.Nodes {
		if want := said[n.DisplayName]; want != "" && string(n.Phase)+" "+n.Message != want {
			t.Errorf("%s: %s %s", n.DisplayName, n.Phase, n.Message)
		}
	}
	if pods := c.pods(); len(pods) != 1 || pods[0].Spec.Containers[0].Command[1] != "me" {
		t.Errorf("%d pods: %+v", len(pods), pods)
	}
	stop()
}

func TestARetryByTheStatusIsAnOrder(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.runner("a")
	c.create(`
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: again}
spec:
  entrypoint: main
  arguments: {parameters: [{name: p, value: old}]}
  templates:
  - name: main
    steps: [[{name: good, template: run}], [{name: bad, template: run}]]
  - {name: run, container: {image: busybox, command: [echo, "{{workflow.parameters.p}}"]}}
`)
	c.finish(".good", 0)
	c.finish(".bad", 1)
	c.awaitPhase(v1alpha1.WorkflowFailed)
	retry := func(argument string, keep ...string) {
		c.edit("again", func(o *unstructured.Unstructured, s map[string]any) {
			labels := o.GetLabels()
			delete(labels, object.LabelCompleted)
			labels[object.LabelPhase] = "Running"
			o.SetLabels(labels)
			s["phase"], s["startedAt"], s["finishedAt"] = "Running", metav1.Now().UTC().Format(time.RFC3339), nil
			s["conditions"] = []any{map[string]any{"type": "Completed", "status": "False"}}
			kept := map[string]any{}
			for id, n := range s["nodes"].(map[string]any) {
				for _, name := range keep {
					if n.(map[string]any)["displayName"] == name {
						kept[id] = n
					}
				}
			}
			s["nodes"] = kept
			if err := unstructured.SetNestedSlice(o.Object, []any{map[string]any{"name": "p", "value": argument}},
				"spec",
				"arguments", "parameters"); err != nil {
				t.Error(err)
			}
		})
	}
	retry("new", "again", "[0]", "good")
	c.await("a new pod of the failed step only", func() error {
		for _, p := range c.pods() {
			if strings.HasSuffix(p.Annotations[object.AnnotationNodeName], ".bad") &&
				p.Spec.Containers[0].Command[1] == "new" &&
				len(c.pods()) == 2 {
				return nil
			}
		}
		return fmt.Errorf("%d pods", len(c.pods()))
	})
	c.finish(".bad", 1)
	c.awaitPhase(v1alpha1.WorkflowFailed)
	// Without it the step that succeeded is to be done again too.
	retry("newer", "again")
	c.await("a new pod of the first step", func() error {
		pods := c.pods()
		if len(pods) == 1 && strings.HasSuffix(pods[0].Annotations[object.AnnotationNodeName], ".good") &&
			pods[0].Spec.Containers[0].Command[1] == "newer" {
			return nil
		}
		return fmt.Errorf("%d pods", len(pods))
	})
	c.finish(".good", 0)
	c.finish(".bad", 0)
	wf := c.awaitPhase(v1alpha1.WorkflowSucceeded)
	if len(wf.Status.Conditions) != 1 || wf.Status.Conditions[0].Status != "True" || wf.Status.Message != "" {
		t.Errorf("%+v", wf.Status)
	}
}

// compressed are nodes as other tools write many of them.
func compressed(t *testing.T, nodes map[string]v1alpha1.NodeStatus) string {
	t.Helper()
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	if err := errors.Join(json.NewEncoder(zipped).Encode(nodes), zipped.Close()); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(out.Bytes())
}
