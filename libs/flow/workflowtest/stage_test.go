package workflowtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const templates = `
apiVersion: argoproj.io/v1alpha1
kind: WorkflowTemplate
metadata: {name: lib}
spec:
  entrypoint: main
  arguments: {parameters: [{name: who, value: world}]}
  templates:
  - {name: main, container: {image: i, command: [greet, "{{workflow.parameters.who}}"]}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: names}
data: {first: Ada}
`

func TestManifestsOfSeveralKinds(t *testing.T) {
	for name, tc := range map[string]struct{ manifest, script, want string }{
		"a template alone": {templates, "", "pod wf greet world\nworkflow Succeeded\n"},
		"a workflow of a template": {templates + "---\nkind: Workflow\nmetadata: {name: mine}\nspec: {workflowTemplateRef: {name: lib}, arguments: {parameters: [{name: who, valueFrom: {configMapKeyRef: {name: names, key: first}}}]}}\n",
			"", "pod mine greet Ada\n"},
		"a cron workflow": {"kind: CronWorkflow\nmetadata: {name: nightly}\nspec: {schedules: ['0 0 * * *'], workflowSpec: {entrypoint: a, templates: [{name: a, container: {image: i, command: [x]}}]}}\n",
			"nightly: Failed code=3\n", "workflow Failed"},
		"a set with comments in the script": {"spec: {entrypoint: a, templates: [{name: a, containerSet: {containers: [{name: main, image: i, command: [x]}, {name: two, image: i, command: [z]}]}}]}\n",
			"# two fails\nwf: Failed container=main:0 container=two:2\n", "wf.two Container Failed"},
	} {
		got, err := Transcript{Manifest: tc.manifest, Script: tc.script}.Play()
		if err != nil || !strings.Contains(got, tc.want) {
			t.Errorf("%s: %v\n%s\nwithout %q", name, err, got, tc.want)
		}
	}
}

func TestWhatCannotBePlayed(t *testing.T) {
	const one = "spec: {entrypoint: a, templates: [{name: a, suspend: {}}]}\n"
	for name, tc := range map[string]struct{ manifest, script, want string }{
		"nothing":       {"", "", "there is no Workflow"},
		"no YAML":       {"a: [", "", "manifest:"},
		"two workflows": {one + "---\n" + one, "", "more than one"},
		"a library missing": {"spec: {workflowTemplateRef: {name: gone}}\n", "",
			`WorkflowTemplate "gone" is not in the manifest`},
		"no line":           {one, "hello\n", "is none of"},
		"no phase":          {one, "wf: Done\n", `phase "Done"`},
		"no code":           {one, "wf: Failed code=x\n", `code "x"`},
		"no such container": {one, "wf: Failed container=main\n", "exit code"},
		"no name":           {one, "found ConfigMap\n", "a kind and a name"},
		"it waits forever":  {one, "", "stuck"},
	} {
		got, err := Transcript{Manifest: tc.manifest, Script: tc.script}.Play()
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q\n%s", name, err, tc.want, got)
		}
	}
}

func TestATranscriptMayNameItsManifest(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "wf.yaml"), []byte(templates), 0o600); err != nil {
		t.Fatal(err)
	}
	const text = "manifest: wf.yaml\n----\n----\nold\n"
	transcript, err := Parse(text, dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := transcript.Play(); err != nil || !strings.Contains(got, "greet world") {
		t.Errorf("%q, %v", got, err)
	}
	if got := transcript.With("old\n"); got != text {
		t.Errorf("%q, want %q", got, text)
	}
	for _, bad := range []string{"no parts", "manifest: gone.yaml\n----\n"} {
		if _, err := Parse(bad, dir); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestOnlyWholeLinesPartATranscript(t *testing.T) {
	manifest := "# a heading ----\nspec:\n  entrypoint: main\n  templates:\n  - {name: main, script: {image: i, command: [sh], source: \"x ----\\n\"}}\n"
	text := manifest + "----\n# nothing ----\n----\npod wf script x ----\n----\n"
	got, err := Parse(text, "")
	if err != nil {
		t.Fatal(err)
	}
	if got.Manifest != manifest || got.Script != "# nothing ----\n" || got.Want != "pod wf script x ----\n----\n" ||
		got.With(got.Want) != text {
		t.Errorf("%+v", got)
	}
}
