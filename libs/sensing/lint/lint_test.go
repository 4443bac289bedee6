package lint

import (
	"fmt"
	"strings"
	"testing"
)

const manifest = `apiVersion: argoproj.io/v1alpha1
kind: Sensor
metadata:
  name: s
  annotations: {argosy.dev/filters: loose}
spec:
  dependencies:
  - name: a
    gatewayName: hooks
    eventName: push
    filters:
      exprs:
      - expr: "x >"
        fields: []
  triggers:
  - template:
      name: t
      conditions: nothing
      log: {}
    unknown: 1
    parameters:
    - src: {dependencyName: gone, dataKey: x}
      dest: log.x
    - src: {dependencyName: a, dataKey: x}
      dest: ""
    - dest: x
    rateLimit: {requestsPerUnit: many}
`

func TestFindingsHaveLines(t *testing.T) {
	var got []string
	for _, f := range Sensor([]byte(manifest)) {
		got = append(got, fmt.Sprintf("%d %s %s", f.Line, f.Severity, f.Path))
	}
	want := []string{
		"5 error metadata.annotations", "8 error spec.dependencies[0]", "9 warning spec.dependencies[0].gatewayName", "18 error spec.triggers[0].template.conditions",
		"20 warning spec.triggers[0].unknown", "22 error spec.triggers[0].parameters[0].src", "24 error spec.triggers[0].parameters[1]",
		"26 error spec.triggers[0].parameters[2]", "27 error spec.triggers[0].rateLimit.requestsPerUnit",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestWhatIsNoManifest(t *testing.T) {
	for text, want := range map[string]int{"a: [": 1, "": 1, "{spec: {dependencies: [{name: a, eventSourceName: s, eventName: e}], triggers: []}}": 0} {
		if got := Sensor([]byte(text)); len(got) != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
