package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// told runs one command line and returns its exit code and all that it said.
func told(t *testing.T, args ...string) (code int, text string) {
	t.Helper()
	out, errs, code := run(t, nil, args...)
	return code, out + errs
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The transcript that the documentation shows is what comes of it.
func TestTheTranscriptOfTheDocumentationHolds(t *testing.T) {
	text, err := os.ReadFile("../../../../docs/workflow.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```\n(.*?)```").FindSubmatch(text)
	if block == nil {
		t.Fatal("it shows none")
	}
	dir := t.TempDir()
	path := write(t, dir, "doc.txt", string(block[1]))
	if code, out := told(t, "workflow", "test", dir); code != 0 || !strings.Contains(out, "ok    "+path) {
		t.Errorf("exit code %d\n%s", code, out)
	}
}

const shortTranscript = "spec: {entrypoint: a, templates: [{name: a, container: {image: i, command: [x]}}]}\n----\n----\nworkflow Failed\n"

func TestADifferentTreeIsShown(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, "a.txt", shortTranscript)
	code, out := told(t, "workflow", "test", dir)
	if code != 1 || !strings.Contains(out, "- workflow Failed") || !strings.Contains(out, "+ workflow Succeeded") ||
		!strings.Contains(out, "0 passed, 1 failed") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if code, out := told(t, "workflow", "test", "--update", path); code != 0 {
		t.Errorf("--update: exit code %d\n%s", code, out)
	}
	if code, out := told(t, "workflow", "test", "-o", "json", path); code != 0 || !strings.Contains(out, `"ok": true`) {
		t.Errorf("after --update: exit code %d\n%s", code, out)
	}
}

func TestTranscriptsThatCannotBePlayed(t *testing.T) {
	dir := t.TempDir()
	if code, out := told(t, "workflow", "test", dir); code != 2 || !strings.Contains(out, "no transcript") {
		t.Errorf("exit code %d: %s", code, out)
	}
	write(t, dir, "a.txt", "nothing")
	if code, out := told(t, "workflow", "test", dir); code != 1 || !strings.Contains(out, "parted by lines") {
		t.Errorf("exit code %d: %s", code, out)
	}
	if code, _ := told(t, "workflow", "test", filepath.Join(dir, "gone")); code != 1 {
		t.Errorf("exit code %d", code)
	}
}

func TestLintOfWorkflows(t *testing.T) {
	dir := t.TempDir()
	write(
		t, dir, "a.yaml",
		"kind: ConfigMap\n---\nkind: Workflow\nmetadata: {name: a}\nspec:\n  entrypoint: gone\n  templates: [{name: a, suspend: {}}]\n",
	)
	code, out := told(t, "workflow", "lint", dir)
	if want := `a.yaml:6: error: spec.entrypoint: no template is named "gone"`; code != 1 ||
		!strings.Contains(out, want) {
		t.Errorf("exit code %d, want %q\n%s", code, want, out)
	}
	write(
		t, dir, "a.yaml",
		"kind: Workflow\nmetadata: {name: a}\nspec:\n  entrypoint: a\n  templates: [{name: a, suspend: {}, extra: 1}]\n",
	)
	if code, out := told(t, "workflow", "lint", dir); code != 0 ||
		!strings.Contains(out, "warning: spec.templates[0].extra") {
		t.Errorf("exit code %d\n%s", code, out)
	}
}

func TestARunOnThisMachine(t *testing.T) {
	path := write(t, t.TempDir(), "wf.yaml", `
kind: Workflow
metadata: {name: wf}
spec:
  entrypoint: main
  arguments: {parameters: [{name: code, value: "0"}]}
  templates:
  - {name: main, script: {image: i, command: [sh], source: "echo said {{workflow.parameters.code}}; exit {{workflow.parameters.code}}"}}
`)
	if code, out := told(
		t, "workflow", "run", "--local", "--processes", path,
	); code != 0 || !strings.Contains(out, "said 0") ||
		!strings.Contains(out, "workflow Succeeded") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if code, out := told(
		t, "workflow", "run", "--local", "--processes", "-p", "code=3", "-o", "json", path,
	); code != 1 ||
		!strings.Contains(out, `"phase": "Failed"`) {
		t.Errorf("exit code %d\n%s", code, out)
	}
	for _, wrong := range [][]string{{path}, {"--local", "-p", "code", path}} {
		if code, out := told(t, append([]string{"workflow", "run"}, wrong...)...); code != 2 {
			t.Errorf("%v: exit code %d\n%s", wrong, code, out)
		}
	}
}
