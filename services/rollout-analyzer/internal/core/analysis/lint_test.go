package analysis

import (
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"sigs.k8s.io/yaml"
)

func TestLintTemplate(t *testing.T) {
	for _, c := range []struct {
		name, spec string
		want       []string // "!" before those that are errors
	}{
		{"good", `
args: [{name: host}]
metrics:
- {name: m, interval: 1m, count: 3, failureLimit: 1, successCondition: "result[0] > 0.9",
   provider: {prometheus: {query: 'up{host="{{args.host}}"}'}}}`, nil},
		{"nothing", `{}`, []string{"!spec.metrics: must have"}},
		{"templates only", `templates: [{templateName: other}]`, nil},
		{"names", `metrics: [{name: a, provider: {web: {url: u}}}, {name: a, provider: {web: {url: u}}}, {provider: {}}]`,
			[]string{"!spec.metrics[1].name: two metrics", "!spec.metrics[2].name: must not be empty",
				"!spec.metrics[2].provider: must have exactly one"}},
		{"limits", `metrics: [{name: a, interval: soon, provider: {web: {url: u}}},
  {name: b, count: 2, provider: {web: {url: u}}}, {name: c, count: 1, failureLimit: 3, provider: {web: {url: u}}},
  {name: d, failureLimit: -2, provider: {web: {url: u}}}]`,
			[]string{`!spec.metrics[0]: interval: "soon"`, "!spec.metrics[1]: an interval is needed",
				"spec.metrics[2].failureLimit: 3 can never", "!spec.metrics[3]: failureLimit: -2"}},
		{"limits by argument", `
args: [{name: times}]
metrics: [{name: a, count: "{{args.times}}", provider: {web: {url: u}}}]`, nil},
		{"conditions", `metrics: [{name: a, successCondition: "result >", provider: {web: {url: u}}},
  {name: b, failureCondition: "default(result.x, 0) > 1", provider: {web: {url: u}}},
  {name: c, successCondition: "result > 1", provider: {prometheus: {query: up}}},
  {name: d, successCondition: "result > 1", provider: {prometheus: {query: scalar(up)}}},
  {name: e, successCondition: "default(result, 0) > 1", provider: {web: {url: u}}}]`,
			[]string{"!spec.metrics[0].successCondition: cannot be read",
				"spec.metrics[1].failureCondition: default looks at", "spec.metrics[2].successCondition: a query"}},
		{"arguments", `
args: [{name: a, value: x, valueFrom: {fieldRef: {fieldPath: p}}}, {name: a}, {name: ""}]
metrics: [{name: a, provider: {web: {url: "{{args.b}}"}}}]`,
			[]string{"!spec.args[0]: has both", "!spec.args[1].name: another", "!spec.args[2].name: must not",
				"!spec.metrics[0]: {{args.b}} is no argument"}},
		{"rules", `
metrics: [{name: a, provider: {web: {url: u}}}]
dryRun: [{metricName: "*"}, {metricName: a}]
measurementRetention: [{metricName: b, limit: 1}]`,
			[]string{"!spec.dryRun[0].metricName: Rule didn't match",
				"!spec.measurementRetention[0].metricName: Rule didn't match"}},
	} {
		var spec v1alpha1.AnalysisTemplateSpec
		if err := yaml.Unmarshal([]byte(c.spec), &spec); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		found := LintTemplate(spec)
		for i, p := range found {
			text := p.String()
			if !p.Warning {
				text = "!" + text
			}
			if i >= len(c.want) || !strings.HasPrefix(text, c.want[i]) {
				t.Errorf("%s: %q", c.name, text)
			}
		}
		if len(found) != len(c.want) {
			t.Errorf("%s: %v, want %v", c.name, found, c.want)
		}
	}
}

func TestLintRunWantsValues(t *testing.T) {
	spec := v1alpha1.AnalysisRunSpec{
		Metrics: []v1alpha1.Metric{metric("m", "")}, Args: []v1alpha1.Argument{arg("x", ""), arg("y", "1")},
	}
	err := Errors(LintRun(spec))
	if err == nil || err.Error() != `spec.args[0].value: argument "x" has no value` {
		t.Errorf("%v", err)
	}
	spec.Args = spec.Args[1:]
	if err := Errors(LintRun(spec)); err != nil {
		t.Error(err)
	}
}

func FuzzField(f *testing.F) {
	for _, seed := range []string{"metadata.name", "spec.template.spec.containers[0].image", "metadata.labels['a']", "[["} {
		f.Add(seed)
	}
	ro := &v1alpha1.Rollout{}
	f.Fuzz(func(_ *testing.T, path string) { _, _ = field(ro, path) })
}
