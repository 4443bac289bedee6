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

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func TestEditsOfSuspendedNodes(t *testing.T) {
	began, later := metav1.Unix(100, 0), metav1.Unix(200, 0)
	is := v1alpha1.NodeStatus{ID: "ask", Name: "wf.ask", Type: v1alpha1.NodeTypeSuspend, Phase: v1alpha1.NodeRunning, StartedAt: &began, Message: "who?",
		Outputs: &v1alpha1.Outputs{Parameters: []v1alpha1.Parameter{{Name: "a", ValueFrom: &v1alpha1.ValueFrom{Supplied: &v1alpha1.SuppliedValueFrom{}}},
			{Name: "b", Value: v1alpha1.AnyStringPtr("old")}}}}
	for name, c := range map[string]struct {
		change func(*v1alpha1.NodeStatus)
		want   string // phase, message, a, b; "" is no edit, ! begins an error
	}{
		"nothing":             {func(*v1alpha1.NodeStatus) {}, ""},
		"an older message":    {func(n *v1alpha1.NodeStatus) { n.Message = "" }, ""},
		"another old message": {func(n *v1alpha1.NodeStatus) { n.Message = "before" }, ""},
		"more of a message":   {func(n *v1alpha1.NodeStatus) { n.Message = "who?; me" }, "Running who?; me - old"},
		"a value":             {func(n *v1alpha1.NodeStatus) { n.Outputs.Parameters[0].Value = v1alpha1.AnyStringPtr("1") }, "Running who? 1 old"},
		"a value of old":      {func(n *v1alpha1.NodeStatus) { n.Outputs.Parameters[1].Value = v1alpha1.AnyStringPtr("older") }, ""},
		"an end without what it needs": {func(n *v1alpha1.NodeStatus) { n.Phase = v1alpha1.NodeSucceeded },
			`!output parameter "a" of node wf.ask is not supplied`},
		"an end": {func(n *v1alpha1.NodeStatus) {
			n.Phase, n.Message = v1alpha1.NodeSucceeded, "done"
			n.Outputs.Parameters[0] = v1alpha1.Parameter{Name: "a", Value: v1alpha1.AnyStringPtr("2")}
		}, "Succeeded done 2 old"},
		"a stop":            {func(n *v1alpha1.NodeStatus) { n.Phase, n.Message = v1alpha1.NodeFailed, "no" }, "Failed no - old"},
		"a phase of no end": {func(n *v1alpha1.NodeStatus) { n.Phase = v1alpha1.NodeSkipped }, `!phase "Skipped"`},
		"of an earlier try": {func(n *v1alpha1.NodeStatus) { n.Phase, n.StartedAt = v1alpha1.NodeSucceeded, &later }, ""},
	} {
		shown := *is.DeepCopy()
		c.change(&shown)
		state := flow.Run{Nodes: map[string]v1alpha1.NodeStatus{"ask": is, "pod": {ID: "pod", Type: v1alpha1.NodeTypePod, Phase: v1alpha1.NodeRunning, StartedAt: &began}}}
		ids := edits(state, map[string]v1alpha1.NodeStatus{"ask": shown, "pod": {ID: "pod", Type: v1alpha1.NodeTypePod, Phase: v1alpha1.NodeSucceeded, StartedAt: &began}, "ghost": shown})
		got := ""
		if len(ids) == 1 && ids[0] == "ask" {
			n, err := edited(state, is, shown, time.Unix(300, 0))
			if err != nil {
				got = "!" + err.Error()
			} else {
				a := "-"
				if v := n[0].Outputs.Parameters[0].Value; v != nil {
					a = v.String()
				}
				got = fmt.Sprintf("%s %s %s %s", n[0].Phase, n[0].Message, a, n[0].Outputs.Parameters[1].Value)
				if n[0].Phase.Fulfilled() != (n[0].FinishedAt != nil) {
					t.Errorf("%s: finished at %v", name, n[0].FinishedAt)
				}
			}
		} else if len(ids) > 0 {
			t.Errorf("%s: %v", name, ids)
		}
		if got != c.want && (c.want == "" || c.want[0] != '!' || !strings.HasPrefix(got, c.want)) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func packed(t *testing.T, nodes map[string]v1alpha1.NodeStatus) string {
	t.Helper()
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	_, err := zipped.Write(mustJSON(nodes))
	if err = errors.Join(err, zipped.Close()); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(out.Bytes())
}

func TestPackedNodesAreRead(t *testing.T) {
	nodes, err := unpacked(v1alpha1.WorkflowStatus{CompressedNodes: packed(t, map[string]v1alpha1.NodeStatus{"a": {ID: "a", Phase: v1alpha1.NodeSucceeded}})})
	if err != nil || nodes["a"].Phase != v1alpha1.NodeSucceeded {
		t.Errorf("%+v, %v", nodes, err)
	}
	for _, bad := range []string{"!", base64.StdEncoding.EncodeToString([]byte("zstd")), packed(t, nil)[:24]} {
		if nodes, err := unpacked(v1alpha1.WorkflowStatus{CompressedNodes: bad}); err == nil {
			t.Errorf("%q: %v", bad, nodes)
		}
	}
}

func TestTheCacheKeepsWhatPeopleEdit(t *testing.T) {
	o := workflow()
	o.Object["status"] = map[string]any{"phase": "Running", "compressedNodes": strings.Repeat("x", 1000), "nodes": map[string]any{
		"a": map[string]any{"type": "Pod"}, "b": map[string]any{"type": "Suspend", "phase": "Succeeded"}, "c": "no node"}}
	if _, err := slim(o); err != nil {
		t.Fatal(err)
	}
	if got := string(mustJSON(o.Object["status"])); got != `{"compressedNodes":"left out","nodes":{"b":{"phase":"Succeeded","type":"Suspend"}},"phase":"Running"}` {
		t.Error(got)
	}
}

// edit changes a workflow as other tools do: read, changed and written whole, again while somebody else was faster.
func (c *cluster) edit(name string, change func(o *unstructured.Unstructured, status map[string]any)) {
	c.t.Helper()
	c.await("edit of "+name, func() error {
		o := workflow()
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
		n["phase"], n["finishedAt"], n["message"] = "Succeeded", metav1.Now().UTC().Format(time.RFC3339), "Resumed by: map[User:me]"
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
		if err := json.Unmarshal(mustJSON(s["nodes"]), &nodes); err != nil {
			t.Error(err)
		}
		s["compressedNodes"] = packed(t, nodes)
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
			if said := wf.Annotations[refusedAnnotation]; !strings.Contains(said, `status: output parameter "who"`) {
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
	said := map[string]string{"one": "Succeeded Resumed by: map[User:me]", "two": "Succeeded Resumed by: map[User:me]", "three": "Succeeded Resumed by: map[User:me]", "four": "Failed not today"}
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
			delete(labels, labelCompleted)
			labels[labelPhase] = "Running"
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
			if err := unstructured.SetNestedSlice(o.Object, []any{map[string]any{"name": "p", "value": argument}}, "spec", "arguments", "parameters"); err != nil {
				t.Error(err)
			}
		})
	}
	retry("new", "again", "[0]", "good")
	c.await("a new pod of the failed step only", func() error {
		for _, p := range c.pods() {
			if strings.HasSuffix(p.Annotations[annotationNodeName], ".bad") && p.Spec.Containers[0].Command[1] == "new" && len(c.pods()) == 2 {
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
		if len(pods) == 1 && strings.HasSuffix(pods[0].Annotations[annotationNodeName], ".good") && pods[0].Spec.Containers[0].Command[1] == "newer" {
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
