package v1alpha1

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

func TestLooseWorkflowIsRead(t *testing.T) {
	w, warnings, err := DecodeTolerant[Workflow](load(t, "workflow-loose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	wantWarnings(t, warnings,
		"spec.templates[0].dag.tasks[1].inputs: read as arguments",
		"spec.templates[0].dag.tasks[1].outputs: artifacts are read as optional outputs of its template",
		"spec.templates[1].container.volumes: unknown field")
	task := w.Spec.Templates[0].DAG.Tasks[1]
	if got := len(task.Arguments.Artifacts); got != 1 {
		t.Fatalf("artifacts of the task: %d", got)
	}
	if got := task.Arguments.Artifacts[0].From; got != "{{tasks.clone.outputs.artifacts.source}}" {
		t.Errorf("artifact comes from %q", got)
	}
	if got := task.Arguments.Parameters[0].Value.String(); got != "7" {
		t.Errorf("a number as a parameter: %q", got)
	}
	want := &Outputs{Artifacts: []Artifact{{Name: "image", Path: "/image", Optional: true}}}
	if diff := cmp.Diff(want, w.Spec.Templates[1].Outputs); diff != "" {
		t.Errorf("outputs of the task's template (-want +got):\n%s", diff)
	}
	steps := w.Spec.Templates[2].Steps
	if len(steps) != 2 || len(steps[0].Steps) != 2 || steps[1].Steps[0].Name != "c" {
		t.Errorf("steps: %+v", steps)
	}
	if got := string(steps[1].Steps[0].WithItems[1].Value); got != `{"os":"linux"}` {
		t.Errorf("item: %s", got)
	}
}

func TestOutputsOfACallAreItsTemplates(t *testing.T) {
	for name, c := range map[string]struct{ template, calls, want string }{
		"of a step": {
			`{name: work}`, `steps: [[{name: a, template: work, outputs: {artifacts: [{name: x, path: /x}]}}]]`,
			"x optional",
		},
		"of a step that stands alone": {
			`{name: work}`, `steps: [{name: a, template: work, outputs: {artifacts: [{name: x, path: /x}]}}]`,
			"x optional",
		},
		"the template's own is stronger": {
			`{name: work, outputs: {artifacts: [{name: x, path: /own}]}}`,
			`dag: {tasks: [{name: a, template: work, outputs: {artifacts: [{name: x, path: /x}, {name: z, path: /z}]}}]}`,
			"x z optional",
		},
		"without a path": {
			`{name: work}`,
			`dag: {tasks: [{name: a, template: work, outputs: {artifacts: [{name: x, from: "{{tasks.a.outputs.artifacts.x}}"}]}}]}`,
			"",
		},
		"of a template that is not here": {
			`{name: other}`, `dag: {tasks: [{name: a, template: work, outputs: {artifacts: [{name: x, path: /x}]}}]}`,
			"",
		},
	} {
		var spec WorkflowSpec
		if err := yaml.Unmarshal([]byte("templates: [{name: main, "+c.calls+"}, "+c.template+"]"), &spec); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		if out := spec.Templates[1].Outputs; out != nil {
			for _, a := range out.Artifacts {
				got = append(got, a.Name)
				if a.Optional {
					got = append(got, "optional")
				}
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestFiltersInListForm(t *testing.T) {
	s, warnings, err := DecodeTolerant[Sensor](load(t, "sensor-loose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	wantWarnings(t, warnings,
		"spec.triggers[0].template.argoWorkflow.group: unknown field",
		"spec.triggers[0].template.argoWorkflow.resource: unknown field",
		"spec.triggers[0].template.argoWorkflow.version: unknown field")
	want := []DataFilter{
		{Path: "body.ref", Type: "string", Comparator: ComparatorExact, Value: []AnyString{"refs/heads/main"}},
		{Path: "body.size", Type: "number", Value: []AnyString{"3"}},
	}
	if diff := cmp.Diff(want, s.Spec.Dependencies[0].Filters.Data); diff != "" {
		t.Errorf("list form (-want +got):\n%s", diff)
	}
	want = []DataFilter{{Path: "a", Type: "bool", Value: []AnyString{"true"}}}
	if diff := cmp.Diff(want, s.Spec.Dependencies[1].Filters.Data); diff != "" {
		t.Errorf("object form (-want +got):\n%s", diff)
	}
	if got := s.Spec.Triggers[0].RetryStrategy.Duration.String(); got != "2s" {
		t.Errorf("backoff: %s", got)
	}
}

func TestMalformedFieldsAreNamedAndTheRestIsKept(t *testing.T) {
	r, warnings, err := DecodeTolerant[Rollout](load(t, "rollout-malformed.yaml"))
	var paths []string
	for _, e := range unjoin(err) {
		fieldErr, ok := errors.AsType[*FieldError](e)
		if !ok {
			t.Fatalf("no FieldError: %v", e)
		}
		paths = append(paths, fieldErr.Path)
	}
	want := []string{"spec.replicas", "spec.template.spec.containers[0].resources.limits.memory"}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}
	wantWarnings(t, warnings, "spec.strategy.canary.maxsurge: unknown field")
	if r.Name != "bad" || r.Spec.Template.Spec.Containers[0].Image != "x" {
		t.Errorf("the readable part was lost: %+v", r)
	}
	if got := r.Spec.Strategy.Canary.Steps[1].Pause.Duration.String(); got != "1m" {
		t.Errorf("pause: %s", got)
	}
	raw := r.Spec.Strategy.Canary.TrafficRouting.Plugins["argoproj-labs/gatewayAPI"]
	if diff := cmp.Diff(`{"httpRoute":"web"}`, string(raw)); diff != "" {
		t.Error(diff)
	}
}

func TestValuesRoundTrip(t *testing.T) {
	for _, c := range []struct {
		name string
		into any
		text string
		want string
	}{
		{"amount", &Amount{}, `2.50`, `2.50`},
		{"amount in a string", &Amount{}, `"2.5"`, `2.5`},
		{"empty amount", &Amount{}, `null`, `0`},
		{"item", &Item{}, ` [1, 2]`, `[1,2]`},
		{"empty item", &Item{}, `null`, `null`},
		{"int or string, int", &Int64OrString{}, `5000000000`, `5000000000`},
		{"int or string, string", &Int64OrString{}, `"1m"`, `"1m"`},
		{"any string, bool", new(AnyString), `true`, `"true"`},
		{"any string, null", new(AnyString), `null`, `""`},
		{"parallel steps", &ParallelSteps{}, `[{"name":"a"}]`, `[{"name":"a"}]`},
		{"one step", &ParallelSteps{}, `{"name":"a"}`, `[{"name":"a"}]`},
	} {
		if err := json.Unmarshal([]byte(c.text), c.into); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got, err := json.Marshal(c.into)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: got %s, %v; want %s", c.name, got, err, c.want)
		}
	}
	if err := json.Unmarshal([]byte(`"x"`), &Amount{}); err == nil {
		t.Error("an amount that is no number was taken")
	}
}

func wantWarnings(t *testing.T, got []FieldWarning, want ...string) {
	t.Helper()
	var lines []string
	for _, w := range got {
		lines = append(lines, w.String())
	}
	if diff := cmp.Diff(strings.Join(want, "\n"), strings.Join(lines, "\n")); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

func unjoin(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return nil
}

func load(t *testing.T, name string) map[string]any {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]any{}
	if err := yaml.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}
