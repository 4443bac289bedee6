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
		"5 error metadata.annotations", "8 error spec.dependencies[0]", "9 warning spec.dependencies[0].gatewayName",
		"18 error spec.triggers[0].template.conditions", "20 warning spec.triggers[0].unknown",
		"22 error spec.triggers[0].parameters[0].src", "24 error spec.triggers[0].parameters[1]",
		"26 error spec.triggers[0].parameters[2]", "27 error spec.triggers[0].rateLimit.requestsPerUnit",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestWhatIsNoManifest(t *testing.T) {
	for text, want := range map[string]int{
		"a: [": 1, "": 1, "{spec: {dependencies: [{name: a, eventSourceName: s, eventName: e}], triggers: []}}": 0,
	} {
		if got := Sensor([]byte(text)); len(got) != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// found are the findings of a Sensor with one dependency d and the trigger given.
func found(t *testing.T, dependency, trigger string) string {
	t.Helper()
	var out []string
	text := "apiVersion: argoproj.io/v1alpha1\nkind: Sensor\nmetadata: {name: s}\nspec:\n  dependencies:\n  - {name: d, eventSourceName: s, eventName: e" + dependency + "}\n  triggers:\n  - " + trigger + "\n"
	for _, f := range Sensor([]byte(text)) {
		out = append(out, f.String())
	}
	return strings.Join(out, "\n")
}

// What the service would refuse, ignore or never match is said, with its line; what runs well is not.
func TestTriggersThatCannotWork(t *testing.T) {
	const resource = "source: {resource: {apiVersion: v1, kind: ConfigMap, metadata: {generateName: c-}, data: {a: b}}}"
	for name, c := range map[string]struct{ trigger, want string }{
		"log":     {"template: {name: t, log: {}}", ""},
		"create":  {"template: {name: t, k8s: {" + resource + "}}", ""},
		"no kind": {"template: {name: t}", "8: error: spec.triggers[0].template: exactly one of"},
		"two kinds": {
			"template: {name: t, log: {}, http: {url: x}}", "8: error: spec.triggers[0].template: exactly one of",
		},
		"an operation": {
			"template: {name: t, k8s: {operation: apply, " + resource + "}}",
			`error: spec.triggers[0].template.k8s.operation: "apply" is none of create`,
		},
		"a strategy": {
			"template: {name: t, k8s: {operation: patch, patchStrategy: merge, source: {resource: {apiVersion: v1, kind: ConfigMap, metadata: {name: c}}}}}",
			`patchStrategy: "merge" is none of`,
		},
		"no source": {
			"template: {name: t, k8s: {operation: create}}", "error: spec.triggers[0].template.k8s: source is missing",
		},
		"no name to update": {
			"template: {name: t, k8s: {operation: update, " + resource + "}}",
			"metadata.name is missing: the operation update",
		},
		"a name by parameter": {
			"template: {name: t, k8s: {operation: update, " + resource + ", parameters: [{src: {dependencyName: d, dataKey: x}, dest: metadata.name}]}}",
			"",
		},
		"no name at all": {
			"template: {name: t, k8s: {source: {resource: {apiVersion: v1, kind: ConfigMap}}}}",
			"metadata.name or metadata.generateName is missing",
		},
		"no kind of object": {
			"template: {name: t, k8s: {source: {resource: {apiVersion: v1, metadata: {generateName: x}}}}}",
			"kind is missing",
		},
		"a fixed name": {
			"template: {name: t, k8s: {source: {resource: {apiVersion: v1, kind: ConfigMap, metadata: {name: x}}}}}",
			`warning: spec.triggers[0].template.k8s.source.resource.metadata.name: only the first event makes "x"`,
		},
		"inline that is no YAML": {
			`template: {name: t, k8s: {source: {inline: "a: ["}}}`,
			"error: spec.triggers[0].template.k8s.source: source:",
		},
		"a label": {
			"template: {name: t, k8s: {source: {resource: {apiVersion: v1, kind: ConfigMap, metadata: {generateName: x, labels: {team: the team}}}}}}",
			`error: spec.triggers[0].template.k8s.source.resource.metadata.labels.team: "the team" is no value of a label`,
		},
		"a trigger's name": {
			"template: {name: notify the team, k8s: {" + resource + "}}",
			`warning: spec.triggers[0].template.name: "notify the team" is no value of a label: objects carry the label events.argoproj.io/trigger=notify-the-team`,
		},
		"the same of another kind": {"template: {name: notify the team, log: {}}", ""},
		"a dest that hits nothing": {
			`template: {name: t, k8s: {source: {resource: {apiVersion: v1, kind: X, metadata: {generateName: x}, spec: {p: [{name: a}]}}}, parameters: [{src: {dependencyName: d, dataKey: x}, dest: 'spec.p.#(name=="b").value'}]}}`,
			`error: spec.triggers[0].template.k8s.parameters[0].dest: hits nothing: no element of "spec.p" fits`},
		"a dest that hits": {
			`template: {name: t, k8s: {source: {resource: {apiVersion: v1, kind: X, metadata: {generateName: x}, spec: {p: [{name: a}]}}}, parameters: [{src: {dependencyName: d, dataKey: x}, dest: 'spec.p.#(name=="a").value'}]}}`,
			"",
		},
		"a dest of another kind": {
			"{parameters: [{src: {dependencyName: d, dataKey: x}, dest: k8s.x}], template: {name: t, log: {}}}",
			"warning: spec.triggers[0].parameters[0].dest: hits nothing: the template is of kind log",
		},
		"a template": {
			`template: {name: t, http: {url: "http://x", payload: [{src: {dependencyName: d, dataTemplate: "{{ .Input"}, dest: a}]}}`,
			"error: spec.triggers[0].template.http.payload[0].src.dataTemplate: template",
		},
		"a payload of nobody": {
			`template: {name: t, http: {url: "http://x", payload: [{src: {dependencyName: gone, dataKey: a}, dest: a}]}}`,
			`error: spec.triggers[0].template.http.payload[0].src: no dependency is named "gone"`,
		},
		"a whole payload": {
			`template: {name: t, http: {url: "http://x", payload: [{src: {dependencyName: d, dataKey: a}, dest: ""}]}}`,
			"",
		},
		"an operation on a field": {
			`template: {name: t, http: {url: "http://x", payload: [{src: {dependencyName: d, dataKey: a}, dest: a, operation: replace}]}}`,
			`operation: "replace" is none of append`,
		},
		"a key of the context": {
			`template: {name: t, http: {url: "http://x", payload: [{src: {dependencyName: d, contextKey: name}, dest: a}]}}`,
			`src.contextKey: "name" is none of id`,
		},
		"no url": {
			"template: {name: t, http: {payload: []}}", "error: spec.triggers[0].template.http: url is missing",
		},
		"a url by parameter": {
			"{parameters: [{src: {dependencyName: d, dataKey: x}, dest: http.url}], template: {name: t, http: {payload: []}}}",
			"",
		},
		"a queue or a topic": {
			"template: {name: t, azureServiceBus: {payload: []}}", "queueName or topicName is missing",
		},
		"a rate": {
			"{rateLimit: {unit: Day, requestsPerUnit: 1}, template: {name: t, log: {}}}",
			`error: spec.triggers[0].rateLimit: 1 per "Day" is no rate`,
		},
		"a duration": {
			"{retryStrategy: {duration: soon, steps: 3}, template: {name: t, log: {}}}",
			`warning: spec.triggers[0].retryStrategy.duration: "soon" is no duration`,
		},
		"a policy of another": {
			"{policy: {k8s: {labels: {a: b}}}, template: {name: t, log: {}}}",
			"warning: spec.triggers[0].policy.k8s: has no effect on a trigger of kind log",
		},
		"a reset of nothing": {
			"template: {name: t, log: {}, conditionsReset: [{}]}", "conditionsReset[0]: has no effect without byTime",
		},
		"a cron": {
			"template: {name: t, log: {}, conditionsReset: [{byTime: {cron: '* *'}}]}",
			"conditionsReset[0].byTime: cron",
		},
		"a zone": {
			"template: {name: t, log: {}, conditionsReset: [{byTime: {cron: '* * * * *', timezone: Mars}}]}",
			`timezone "Mars"`,
		},
		"conditions": {
			"template: {name: t, log: {}, conditions: d && e}", `conditions "d && e": no dependency is named "e"`,
		},
		"a dlqTrigger": {
			"{dlqTrigger: {template: {name: x, http: {payload: []}}}, template: {name: t, log: {}}}",
			"error: spec.triggers[0].dlqTrigger.template.http: url is missing",
		},
		"a dlqTrigger of it": {
			"{dlqTrigger: {template: {name: x, log: {}}, dlqTrigger: {template: {name: y, log: {}}}}, template: {name: t, log: {}}}",
			"warning: spec.triggers[0].dlqTrigger.dlqTrigger: has no effect",
		},
		"a misplaced field": {
			"template: {name: t, log: {}, policy: {k8s: {}}}",
			"warning: spec.triggers[0].template.policy: unknown field",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := found(t, "", c.trigger)
			if c.want == "" && got != "" || !strings.Contains(got, c.want) ||
				c.want != "" && strings.Count(got, "\n") > 0 {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestDependenciesThatNeverMatch(t *testing.T) {
	for name, c := range map[string]struct{ dependency, want string }{
		"fine": {", filters: {data: [{path: a, type: string, value: [x]}], dataLogicalOperator: or}", ""},
		"an operator": {
			", filters: {dataLogicalOperator: OR, data: [{path: a, type: string, value: [x]}]}",
			`warning: spec.dependencies[0].filters.dataLogicalOperator: "OR" is taken for "and"`,
		},
		"a regex": {", filters: {data: [{path: a, type: string, value: ['(']}]}", "is no regular expression"},
		"a number": {
			", filters: {data: [{path: a, type: number, value: [five]}]}", `value "five" is no number`,
		},
		"a bool": {
			", filters: {data: [{path: a, type: bool, comparator: '>', value: ['true']}]}", `"&gt;" is taken for =`,
		},
		"an expression": {
			", filters: {exprs: [{expr: 'a ==', fields: [{name: a, path: a}]}]}",
			"error: spec.dependencies[0]: filters.exprs[0]: expr",
		},
		"a missing field": {
			", filters: {exprs: [{expr: a == b, fields: [{name: a, path: a}]}]}",
			`warning: spec.dependencies[0].filters.exprs[0].expr: uses "b", which no field gives`,
		},
		"an unused field": {
			", filters: {exprs: [{expr: a == 1, fields: [{name: a, path: a}, {name: c, path: c}]}]}",
			`fields[1].name: the expression does not use "c"`,
		},
		"a time": {
			", filters: {time: {start: '9:00', stop: '17:00:00'}}", `filters.time.start "9:00" is not HH:MM:SS`,
		},
		"a script": {", filters: {script: 'return ('}", "lua:"},
		"a query":  {", transform: {jq: '.['}", "transform.jq:"},
		"two transforms": {
			", transform: {jq: ., script: return event}",
			"warning: spec.dependencies[0].transform.script: has no effect beside jq",
		},
		"a context": {
			", filters: {context: {type: x, id: y}}",
			"warning: spec.dependencies[0].filters.context: only type, subject, source",
		},
		"a SQL expression": {", filters: {cloudEvents: [{sql: '('}]}", "sql"},
	} {
		t.Run(name, func(t *testing.T) {
			got := strings.ReplaceAll(found(t, c.dependency, "template: {name: t, log: {}}"), ">", "&gt;")
			if c.want == "" && got != "" || !strings.Contains(got, c.want) ||
				c.want != "" && strings.Count(got, "\n") > 0 {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
	lonely := Sensor(
		[]byte(
			"{metadata: {name: s}, spec: {dependencies: [{name: a, eventSourceName: s, eventName: e}, {name: b, eventSourceName: s, eventName: e}], triggers: [{template: {name: t, conditions: a, log: {}}}]}}",
		),
	)
	if len(lonely) != 1 || !strings.Contains(lonely[0].String(), `no trigger waits for "b"`) {
		t.Errorf("%v", lonely)
	}
}
