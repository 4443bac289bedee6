package core

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"sigs.k8s.io/yaml"
)

const guide = `
dependencies:
- name: push
  eventSourceName: github
  eventName: hook
  filters:
  - {path: body.ref, type: exact, value: refs/heads/main}
triggers:
- template:
    name: ci
    argoWorkflow:
      operation: submit
      source:
        inline: |
          apiVersion: argoproj.io/v1alpha1
          kind: Workflow
          metadata: {generateName: ci-}
          spec:
            arguments:
              parameters:
              - {name: repo, value: "{{dependency.push.outputs.body.repository.url}}"}
              - {name: text, value: "at {{dependency.push.outputs.body.after}} {{workflow.name}}"}
`

func spec(t testing.TB, text string) v1alpha1.SensorSpec {
	t.Helper()
	var s v1alpha1.SensorSpec
	if err := yaml.Unmarshal([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func event(id, data string) Event {
	return Event{ID: id, Type: "github", Source: "github", Subject: "hook", Data: []byte(data), Time: time.Unix(0, 0)}
}

func TestTheGuidesSensorFires(t *testing.T) {
	s := spec(t, guide)
	w := World{Spec: s, EventSource: "github", EventName: "hook"}
	w.Event = event("1", `{"body":{"ref":"refs/heads/main","after":"abc\"","repository":{"url":"http://x"}}}`)
	v := Evaluate(w)
	if len(v.Firings) != 1 || len(v.Windows) != 0 {
		t.Fatalf("%+v", v)
	}
	out, err := Resource(v.Firings[0], s.Triggers[0].Template.ArgoWorkflow.Source, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"value":"http://x"`, `"value":"at abc\" {{workflow.name}}"`} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%s is missing in %s", want, out)
		}
	}
	for _, ref := range []string{"refs/heads/main2", "refs/heads/dev", "x/refs/heads/main"} {
		w.Event = event("2", `{"body":{"ref":"`+ref+`"}}`)
		if v := Evaluate(w); len(v.Firings) != 0 || len(v.Rejected) != 1 {
			t.Errorf("%s: %+v", ref, v)
		}
	}
	w.EventName = "other"
	if v := Evaluate(w); len(v.Firings)+len(v.Rejected) != 0 {
		t.Errorf("another event: %+v", v)
	}
}

func TestConditions(t *testing.T) {
	const deps = "dependencies: [{name: a, eventSourceName: s, eventName: a}, {name: b, eventSourceName: s, eventName: b}, {name: c-d, eventSourceName: s, eventName: c}]\n"
	cases := []struct{ conditions, events, fires string }{
		{"", "a b c", "3:a1+b2+c-d3"},
		{"", "a a b c", "4:a2+b3+c-d4"},
		{"a || b", "a b c", "1:a1 2:b2"},
		{"a && b", "a a b b a", "3:a2+b3 5:a5+b4"},
		{"(a || b) && c-d", "a b c", "3:a1+b2+c-d3"},
		{"a&&(b||c-d)", "c a", "2:a2+c-d1"},
		{"a", "b c a", "3:a3"},
	}
	for _, c := range cases {
		s := spec(t, deps+"triggers: [{template: {name: t, conditions: \""+c.conditions+"\", log: {}}}]")
		if got := drive(s, strings.Fields(c.events)); got != c.fires {
			t.Errorf("%q over %q: got %q, want %q", c.conditions, c.events, got, c.fires)
		}
	}
	for _, bad := range []string{"a &&", "(a", "a b", "x", "a || || b", ")", strings.Repeat("(", 200) + "a"} {
		s := spec(t, deps)
		if _, err := conditionsOf(bad, s.Dependencies); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

// drive plays events by their names and lists what fired: position:contributors.
func drive(s v1alpha1.SensorSpec, names []string) string {
	windows := map[int]Window{}
	var fired []string
	for i, name := range names {
		v := Evaluate(World{Spec: s, EventSource: "s", EventName: name, Event: event(fmt.Sprint(i+1), "{}"), Windows: windows})
		for _, f := range v.Firings {
			var parts []string
			for _, n := range sortedNames(f.Events) {
				parts = append(parts, n+f.Events[n].ID)
			}
			fired = append(fired, fmt.Sprintf("%d:%s", i+1, strings.Join(parts, "+")))
		}
		maps.Copy(windows, v.Windows)
	}
	return strings.Join(fired, " ")
}

func TestAFiringHasOneIdentity(t *testing.T) {
	a := Firing{Events: Window{"x": event("1", "{}"), "y": event("2", "{}")}}
	b := Firing{Events: Window{"y": event("2", "{}"), "x": event("1", "{}")}}
	if !slices.Equal(a.Causes(), b.Causes()) {
		t.Error("order of arrival changes the identity")
	}
	c := Firing{Events: Window{"x": event("2", "{}"), "y": event("1", "{}")}}
	if slices.Equal(a.Causes(), c.Causes()) {
		t.Error("other events have the same identity")
	}
}

func TestFilters(t *testing.T) {
	data := `{"s":"hello world","num":5,"b":true,"list":[1,2],"deep":{"x":"y"}}`
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	cases := []struct {
		filters string
		want    bool
	}{
		{`{data: [{path: s, type: string, value: ["^hello"]}]}`, true},
		{`{data: [{path: s, type: string, value: ["no", "wor"]}]}`, true},
		{`{data: [{path: s, type: string, value: ["hello"], comparator: "!="}]}`, false},
		{`{data: [{path: s, type: string, value: ["("]}]}`, false},
		{`{data: [{path: num, type: number, value: ["4"], comparator: ">"}]}`, true},
		{`{data: [{path: num, type: number, value: [5]}]}`, true},
		{`{data: [{path: num, type: number, value: ["x"]}]}`, false},
		{`{data: [{path: num, type: number, value: ["5"], comparator: "~"}]}`, false},
		{`{data: [{path: s, type: number, value: ["5"]}]}`, false},
		{`{data: [{path: b, type: bool, value: ["true"]}]}`, true},
		{`{data: [{path: b, type: bool, value: ["maybe"]}]}`, false},
		{`{data: [{path: missing, type: string, value: ["."]}]}`, false},
		{`{data: [{path: s, type: strange, value: ["."]}]}`, false},
		{`{data: [{path: s, type: string, value: [no]}, {path: num, type: number, value: [5]}]}`, false},
		{`{dataLogicalOperator: or, data: [{path: s, type: string, value: [no]}, {path: num, type: number, value: [5]}]}`, true},
		{`{exprs: [{expr: "a == 5 && x == 'y'", fields: [{name: a, path: num}, {name: x, path: deep.x}]}]}`, true},
		{`{exprs: [{expr: "a > 5", fields: [{name: a, path: num}]}]}`, false},
		{`{exprs: [{expr: "a >", fields: [{name: a, path: num}]}]}`, false},
		{`{exprs: [{expr: "a", fields: [{name: a, path: gone}]}]}`, false},
		{`{context: {type: github}}`, true},
		{`{context: {type: github, subject: other}}`, false},
		{`{time: {start: "11:00:00", stop: "13:00:00"}}`, true},
		{`{time: {start: "22:00:00", stop: "06:00:00"}}`, false},
		{`{time: {start: "13:30:00", stop: "14:30:00", timezone: Europe/Berlin}}`, false},
		{`{time: {start: "12:30:00", stop: "13:30:00", timezone: Europe/Berlin}}`, true},
		{`{time: {start: noon, stop: "13:30:00"}}`, false},
		{`{script: "return true"}`, false},
	}
	for _, c := range cases {
		s := spec(t, "dependencies: [{name: d, eventSourceName: github, eventName: hook, filters: "+c.filters+"}]")
		if err := passes(&s.Dependencies[0], event("1", data), noon); (err == nil) != c.want {
			t.Errorf("%s: %v", c.filters, err)
		}
	}
}

func TestParameters(t *testing.T) {
	events := Window{"d": event("e1", `{"s":"v","num":5,"o":{"k":[1]},"null":null}`)}
	cases := []struct{ parameter, want string }{
		{`{src: {dependencyName: d, dataKey: s}, dest: a}`, `{"a":"v","old":"x"}`},
		{`{src: {dependencyName: d, dataKey: num}, dest: a}`, `{"a":"5","old":"x"}`},
		{`{src: {dependencyName: d, dataKey: num, useRawData: true}, dest: a}`, `{"a":5,"old":"x"}`},
		{`{src: {dependencyName: d, dataKey: o, useRawData: true}, dest: a}`, `{"a":{"k":[1]},"old":"x"}`},
		{`{src: {dependencyName: d, dataKey: o}, dest: a}`, `{"a":"{\"k\":[1]}","old":"x"}`},
		{`{src: {dependencyName: d, dataKey: gone, value: fallback}, dest: a}`, `{"a":"fallback","old":"x"}`},
		{`{src: {dependencyName: d, dataTemplate: "{{ .Input.s | upper }}-{{ .Input.num }}"}, dest: a}`, `{"a":"V-5","old":"x"}`},
		{`{src: {dependencyName: d, dataTemplate: "{{ .Input.gone }}", value: z}, dest: a}`, `{"a":"z","old":"x"}`},
		{`{src: {dependencyName: d, contextKey: id}, dest: a}`, `{"a":"e1","old":"x"}`},
		{`{src: {dependencyName: d, dataKey: s}, dest: old, operation: append}`, `{"old":"xv"}`},
		{`{src: {dependencyName: d, dataKey: s}, dest: old, operation: prepend}`, `{"old":"vx"}`},
		{`{src: {dependencyName: absent, dataKey: s}, dest: a}`, `{"old":"x"}`},
		{`{src: {dependencyName: absent, dataKey: s, value: w}, dest: a}`, `{"a":"w","old":"x"}`},
		{`{src: {dependencyName: d, dataKey: gone}, dest: a}`, "error"},
		{`{src: {dependencyName: d, dataKey: s}, dest: a, operation: replace}`, "error"},
		{`{src: {dependencyName: d, dataTemplate: "{{ env \"HOME\" }}"}, dest: a}`, "error"},
		{`{dest: a}`, "error"},
	}
	for _, c := range cases {
		var p v1alpha1.TriggerParameter
		if err := yaml.Unmarshal([]byte(c.parameter), &p); err != nil {
			t.Fatal(err)
		}
		out, err := apply([]byte(`{"old":"x"}`), []v1alpha1.TriggerParameter{p}, events)
		if got := normal(out, err); got != c.want {
			t.Errorf("%s: got %s (%v), want %s", c.parameter, got, err, c.want)
		}
	}
	whole, err := apply([]byte(`{}`), []v1alpha1.TriggerParameter{{Dest: "e", Src: &v1alpha1.TriggerParameterSource{DependencyName: "d"}}}, events)
	if err != nil || !strings.Contains(string(whole), `"data":"eyJz`) {
		t.Errorf("whole event: %s, %v", whole, err)
	}
}

func normal(raw []byte, err error) string {
	if err != nil {
		return "error"
	}
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return string(raw)
	}
	out, _ := json.Marshal(v)
	return string(out)
}

func TestBadTagsAreErrors(t *testing.T) {
	events := Window{"d": event("1", `{"a":1}`)}
	for _, bad := range []string{`{"x":"{{dependency.d.outputs.gone}}"}`, `{"x":"{{dependency.no.outputs.a}}"}`, `{"x":"{{dependency.d"}`} {
		if out, err := desugar([]byte(bad), events); err == nil {
			t.Errorf("%s became %s", bad, out)
		}
	}
}

func FuzzEvaluate(f *testing.F) {
	f.Add("body.ref", "x", "a && b", `{"body":{"ref":"x"}}`)
	f.Fuzz(func(_ *testing.T, path, value, conditions, data string) {
		s := v1alpha1.SensorSpec{
			Dependencies: []v1alpha1.EventDependency{{Name: "a", EventSourceName: "s", EventName: "e",
				Filters: &v1alpha1.EventDependencyFilter{Data: []v1alpha1.DataFilter{{Path: path, Type: "string", Value: []v1alpha1.AnyString{v1alpha1.AnyString(value)}}}}}},
			Triggers: []v1alpha1.Trigger{{Template: &v1alpha1.TriggerTemplate{Name: "t", Conditions: conditions}}},
		}
		Evaluate(World{Spec: s, EventSource: "s", EventName: "e", Event: event("1", data)})
	})
}
