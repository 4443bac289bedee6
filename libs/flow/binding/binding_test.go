package binding

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"sigs.k8s.io/yaml"
)

func TestWhatABindingSubmits(t *testing.T) {
	var payload any
	if err := json.Unmarshal([]byte(`{"message":"hi","n":3,"list":[1,2],"none":null}`), &payload); err != nil {
		t.Fatal(err)
	}
	event := Occurrence{Discriminator: "d", Payload: payload, Metadata: map[string][]string{"X-Test": {"true"}}}
	for name, c := range map[string]struct{ spec, want, fails string }{
		"selected": {`{event: {selector: 'payload.message == "hi" && metadata["x-test"] == ["true"] && discriminator == "d"'}, submit: {workflowTemplateRef: {name: t}}}`, "t- map[workflows.argoproj.io/workflow-event-binding:b]", ""},
		"not selected": {`{event: {selector: 'discriminator == "e"'}, submit: {workflowTemplateRef: {name: t}}}`, "",
			""},
		"nothing to submit": {`{event: {selector: "true"}}`, "", ""},
		"arguments": {`{event: {selector: "true"}, submit: {workflowTemplateRef: {name: t, clusterScope: true}, arguments: {parameters: [
			{name: m, valueFrom: {event: payload.message}}, {name: l, valueFrom: {event: payload.list}}, {name: num, valueFrom: {event: "payload[\"n\"] + 1"}},
			{name: d, valueFrom: {event: payload.none, default: x}}, {name: e, valueFrom: {event: "payload.message.a.b", default: "y"}}, {name: v, value: z}]}}}`,
			"t- map[workflows.argoproj.io/workflow-event-binding:b] m=hi l=[1,2] num=4 d=x e=y v=z", ""},
		"metadata": {`{event: {selector: "true"}, submit: {workflowTemplateRef: {name: t}, metadata: {generateName: g-, labels: {a: b}}}}`, "g- map[a:b workflows.argoproj.io/workflow-event-binding:b]", ""},
		"a name": {`{event: {selector: "true"}, submit: {workflowTemplateRef: {name: t}, metadata: {name: nm}}}`,
			"nm- map[workflows.argoproj.io/workflow-event-binding:b]", ""},
		"no selector": {`{event: {selector: ""}, submit: {workflowTemplateRef: {name: t}}}`, "",
			"selector is missing"},
		"a selector of text": {`{event: {selector: "payload.message"}, submit: {workflowTemplateRef: {name: t}}}`, "",
			"neither true nor false"},
		"a broken selector": {`{event: {selector: "payload ="}, submit: {workflowTemplateRef: {name: t}}}`, "",
			"selector"},
		"no template": {`{event: {selector: "true"}, submit: {workflowTemplateRef: {}}}`, "", "name is missing"},
		"an argument that fails": {`{event: {selector: "true"}, submit: {workflowTemplateRef: {name: t}, arguments: {parameters: [{name: e, valueFrom: {event: "payload.message.a.b"}}]}}}`,
			"", `"e"`},
	} {
		b := v1alpha1.WorkflowEventBinding{}
		b.Name, b.Namespace = "b", "ns"
		if err := yaml.UnmarshalStrict([]byte(c.spec), &b.Spec); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		wf, prefix, err := Bind(b, event)
		if c.fails != "" {
			if err == nil || !strings.Contains(err.Error(), c.fails) {
				t.Errorf("%s: %v, want %q", name, err, c.fails)
			}
			continue
		}
		if got := submitted(wf, prefix); err != nil || got != c.want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, c.want)
		}
	}
}

func submitted(wf *v1alpha1.Workflow, prefix string) string {
	if wf == nil {
		return ""
	}
	text := prefix + " map["
	var labels []string
	for _, name := range []string{"a", Label} {
		if v, ok := wf.Labels[name]; ok {
			labels = append(labels, name+":"+v)
		}
	}
	text += strings.Join(labels, " ") + "]"
	if wf.Spec.Arguments != nil {
		for _, p := range wf.Spec.Arguments.Parameters {
			text += " " + p.Name + "=" + p.Value.String()
		}
	}
	return text
}
