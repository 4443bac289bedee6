package v1alpha1

import (
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

const oldSensor = `
apiVersion: argoproj.io/v1alpha1
kind: Sensor
metadata: {name: old}
spec:
  dependencies: [{name: a, gatewayName: hooks, eventName: xx}, {name: b, gatewayName: hooks, eventSourceName: new, eventName: yy}, {name: c, gatewayName: hooks, eventName: zz}]
  dependencyGroups: [{name: first, dependencies: [a, b]}, {name: second, dependencies: [c]}]
  circuit: "first||second"
  triggers:
  - template: {name: one, log: {}}
    parameters: [{src: {event: a, path: body}, dest: log.x}]
  - template: {name: two, switch: {all: [first, second]}}
  - template: {name: three, switch: {any: [first, second]}}
  - template: {name: four, conditions: c, openwhisk: {actionName: x}}
`

func TestOldFormsOfSensorsAreRead(t *testing.T) {
	var object map[string]any
	if err := yaml.Unmarshal([]byte(oldSensor), &object); err != nil {
		t.Fatal(err)
	}
	s, warnings, err := DecodeTolerant[Sensor](object)
	if err != nil {
		t.Fatal(err)
	}
	if d := s.Spec.Dependencies; d[0].EventSourceName != "hooks" || d[1].EventSourceName != "new" {
		t.Errorf("dependencies: %+v", d)
	}
	for i, want := range []string{"(a && b) || (c)", "(a && b) && (c)", "(a && b) || (c)", "c"} {
		if got := s.Spec.Triggers[i].Template.Conditions; got != want {
			t.Errorf("conditions of trigger %d: %q, want %q", i, got, want)
		}
	}
	if src := s.Spec.Triggers[0].Parameters[0].Src; src.DependencyName != "a" || src.DataKey != "body" {
		t.Errorf("parameter: %+v", src)
	}
	if w := s.Spec.Triggers[3].Template.OpenWhisk; w == nil || w.ActionName != "x" {
		t.Errorf("openwhisk: %+v", w)
	}
	var told []string
	for _, w := range warnings {
		told = append(told, w.Path)
	}
	for _, want := range []string{
		"spec.dependencies[0].gatewayName", "spec.circuit", "spec.triggers[0].parameters[0].src.event",
	} {
		if !strings.Contains(strings.Join(told, " "), want) {
			t.Errorf("no warning at %s: %v", want, told)
		}
	}
	if _, ok := object["spec"].(map[string]any)["circuit"]; !ok {
		t.Error("the object given was changed")
	}
}
