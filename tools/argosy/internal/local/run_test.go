package local

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/stage"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	corev1 "k8s.io/api/core/v1"
)

// locked is a buffer that steps may write to side by side.
type locked struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// play runs a manifest with processes, and returns how it ended and what was said.
func play(t *testing.T, manifest string, all bool) (flow.Run, string, error) {
	t.Helper()
	dir := t.TempDir()
	set, err := stage.Read(strings.ReplaceAll(manifest, "$DIR", dir), stage.Options{Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	out := &locked{}
	run, err := Run(
		t.Context(),
		Config{Stage: set, Runtime: Processes{Dir: t.TempDir(), All: all}, Dir: t.TempDir(), Out: out,
			Log: func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }},
	)
	return run, out.text.String(), err
}

const pipeline = `
metadata: {name: wf}
spec:
  entrypoint: main
  arguments: {parameters: [{name: who, value: world}]}
  templates:
  - name: main
    steps:
    - - {name: make, template: make}
    - - name: use
        template: use
        arguments:
          parameters: [{name: said, value: "{{steps.make.outputs.result}}"}, {name: word, value: "{{steps.make.outputs.parameters.word}}"}]
          artifacts: [{name: in, from: "{{steps.make.outputs.artifacts.folder}}"}]
  - name: make
    retryStrategy: {limit: 1}
    script:
      image: busybox
      command: [sh]
      env: [{name: WHO, value: "{{workflow.parameters.who}}"}]
      source: |
        test {{retries}} = 1 || exit 3
        mkdir -p $DIR/folder && echo in a file > $DIR/folder/a.txt
        echo word > $DIR/word
        echo hello $WHO
    outputs:
      parameters: [{name: word, valueFrom: {path: $DIR/word}}, {name: none, valueFrom: {path: $DIR/none, default: x}}]
      artifacts: [{name: folder, path: $DIR/folder}, {name: gone, path: $DIR/gone, optional: true}]
  - name: use
    inputs: {parameters: [{name: said}, {name: word}], artifacts: [{name: in, path: $DIR/in}, {name: text, path: $DIR/text, raw: {data: raw}}]}
    container: {image: busybox, command: [sh, -c], args: ["echo {{inputs.parameters.said}} {{inputs.parameters.word}} $(cat $DIR/in/a.txt) $(cat $DIR/text)"]}
`

func TestStepsOfThisMachineExchangeWhatPodsWould(t *testing.T) {
	run, out, err := play(t, pipeline, true)
	if err != nil || run.Phase != v1alpha1.WorkflowSucceeded ||
		!strings.Contains(out, "hello world word in a file raw") {
		t.Errorf("%s: %s, %v\n%s", run.Phase, run.Message, err, out)
	}
}

func TestWhatCannotRunOnThisMachine(t *testing.T) {
	step := func(template string) string {
		return "metadata: {name: wf}\nspec: {entrypoint: a, templates: [{name: a, " + template + "}]}\n"
	}
	for name, tc := range map[string]struct {
		manifest string
		all      bool
		want     string
	}{
		"a container without runtime": {step("container: {image: i, command: [x]}"), false, "no local runtime"},
		"no command":                  {step("container: {image: i}"), true, "there is no entrypoint"},
		"no such program": {
			step("container: {image: i, command: [/no/such/program]}"), true, "no such file",
		},
		"a script without command": {step("script: {image: i, source: x}"), false, "script.command is missing"},
		"a request": {
			step("http: {url: 'http://127.0.0.1:1/'}"), false, "work without a container needs a cluster",
		},
		"an object": {
			step("resource: {action: get, manifest: '{apiVersion: v1, kind: ConfigMap, metadata: {name: x}}'}"), false,
			"work without a container needs a cluster",
		},
		"data": {
			step("data: {source: {artifactPaths: {name: x, s3: {key: k}}}, transformation: [{expression: data}]}"),
			false, "work without a container needs a cluster",
		},
		"a set": {
			step("containerSet: {containers: [{name: main, image: i, command: [x]}]}"), true,
			"only container and script",
		},
		"a secret": {
			step("script: {image: i, command: [sh], source: x, env: [{name: A, valueFrom: {secretKeyRef: {name: s, key: k}}}]}"),
			false, "valueFrom needs a cluster",
		},
		"a folder of the machine": {
			step("inputs: {artifacts: [{name: x, path: $DIR, raw: {data: x}}]}, script: {image: i, command: [sh], source: x}"),
			false, "is a folder of this machine",
		},
		"a missing parameter": {
			step("script: {image: i, command: [sh], source: 'true'}, outputs: {parameters: [{name: p, valueFrom: {path: $DIR/gone}}]}"),
			false, `output parameter "p"`,
		},
		"an artifact from elsewhere": {
			step("inputs: {artifacts: [{name: x, path: $DIR/x, s3: {key: no/where}}]}, script: {image: i, command: [sh], source: x}"),
			false, "no step of this run made it",
		},
		"a key that leads out": {
			step("inputs: {artifacts: [{name: x, path: $DIR/x, s3: {key: ../../x}}]}, script: {image: i, command: [sh], source: x}"),
			false, "leads out of the store",
		},
	} {
		run, out, err := play(t, tc.manifest, tc.all)
		if err != nil || run.Phase != v1alpha1.WorkflowError && run.Phase != v1alpha1.WorkflowFailed ||
			!strings.Contains(out+run.Message, tc.want) {
			t.Errorf("%s: %s %q, %v, want %q\n%s", name, run.Phase, run.Message, err, tc.want, out)
		}
	}
	if _, _, err := play(t, step("suspend: {}"), false); err == nil ||
		!strings.Contains(err.Error(), "nothing is at work") {
		t.Errorf("a run that waits for a person: %v", err)
	}
}

func TestWhatARunRemembersItsStepsFind(t *testing.T) {
	run, out, err := play(t, `
metadata: {name: wf}
spec:
  entrypoint: main
  templates:
  - {name: main, steps: [[{name: one, template: once}], [{name: two, template: once}]]}
  - name: once
    memoize: {key: k, cache: {configMap: {name: c}}}
    script: {image: i, command: [sh], source: "echo ran"}
`, false)
	if err != nil || run.Phase != v1alpha1.WorkflowSucceeded || strings.Count(out, "ran\n") != 1 {
		t.Errorf("%s %s, %v\n%s", run.Phase, run.Message, err, out)
	}
}

func TestAScriptWithoutSourceIsItsContainer(t *testing.T) {
	run, out, err := play(
		t,
		"metadata: {name: wf}\nspec: {entrypoint: a, templates: [{name: a, script: {image: i, command: [echo], args: [said, '[]']}}]}\n",
		false,
	)
	if err != nil || run.Phase != v1alpha1.WorkflowSucceeded || !strings.Contains(out, "said []\n") {
		t.Errorf("%s %s, %v\n%s", run.Phase, run.Message, err, out)
	}
	for source, want := range map[string]string{
		"": "--entrypoint sh i -e x", "y": "--entrypoint sh i -e x " + scriptPath,
	} {
		script := v1alpha1.ScriptTemplate{
			Container: corev1.Container{Image: "i", Command: []string{"sh"}, Args: []string{"-e", "x"}},
			Source:    source,
		}
		args, err := Containers{}.arguments("box", Job{Template: v1alpha1.Template{Script: &script}})
		if got := strings.Join(args, " "); err != nil || !strings.HasSuffix(got, want) {
			t.Errorf("source %q: %s, %v; want %s", source, got, err, want)
		}
	}
}

func TestADeadlineStopsAStep(t *testing.T) {
	began := time.Now()
	run, _, err := play(
		t,
		"metadata: {name: wf}\nspec: {entrypoint: a, activeDeadlineSeconds: 1, templates: [{name: a, script: {image: i, command: [sh], source: exec sleep 600}}]}\n",
		false,
	)
	if err != nil || run.Phase != v1alpha1.WorkflowFailed || time.Since(began) > time.Minute {
		t.Errorf("%s %s, %v after %s", run.Phase, run.Message, err, time.Since(began))
	}
}

// runtime is a program that keeps its containers in folders: it shows what a
// runtime is asked for, in the words of Docker's command line.
const runtime = `#!/bin/sh
set -e
root=$(dirname "$0")/boxes
verb=$1; shift
case $verb in
create)
  shift; name=$1; shift
  mkdir -p "$root/$name"
  while :; do case $1 in
    --env) echo "export $2" >> "$root/$name/.env"; shift 2 ;;
    --entrypoint) entry=$2; shift 2 ;;
    *) break ;;
  esac; done
  echo "$1" > "$root/$name/.image"; shift
  echo "$entry $*" > "$root/$name/.command" ;;
cp)
  case $1 in
  argosy-*) from=$root/${1%%:*}${1#*:}; cp -r "$from" "$2" ;;
  *) to=$root/${2%%:*}${2#*:}; mkdir -p "$(dirname "$to")"; cp -r "$1" "$to" ;;
  esac ;;
start)
  cd "$root/$2"; [ ! -f .env ] || . ./.env
  sed "s| /| $PWD/|g" .command | sh -s ;;
rm) rm -rf "$root/$2" ;;
esac
`

func TestContainersAreAskedForInTheWordsOfDocker(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "docker")
	if err := os.WriteFile(program, []byte(runtime), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	if got := FindRuntime(); got != program {
		t.Fatalf("found %q", got)
	}
	const manifest = `
metadata: {name: wf}
spec:
  entrypoint: main
  templates:
  - name: main
    steps:
    - - {name: make, template: make}
    - - {name: use, template: use, arguments: {parameters: [{name: p, value: "{{steps.make.outputs.parameters.p}}"}], artifacts: [{name: a, from: "{{steps.make.outputs.artifacts.a}}"}]}}
  - name: make
    script: {image: busybox, command: [sh], env: [{name: A, value: one}], source: "echo $A > p; echo two > a; echo said"}
    outputs: {parameters: [{name: p, valueFrom: {path: /p}}], artifacts: [{name: a, path: /a}]}
  - name: use
    inputs: {parameters: [{name: p}], artifacts: [{name: a, path: /in/a}]}
    container: {image: busybox, command: [echo], args: ["{{inputs.parameters.p}}", "$(cat in/a)"]}
`
	set, err := stage.Read(manifest, stage.Options{Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	out := &locked{}
	run, err := Run(
		t.Context(),
		Config{Stage: set, Runtime: Containers{Program: program, Dir: t.TempDir()}, Dir: t.TempDir(), Out: out,
			Log: func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }},
	)
	if err != nil || run.Phase != v1alpha1.WorkflowSucceeded || !strings.Contains(out.text.String(), "one two") {
		t.Errorf("%s %s, %v\n%s", run.Phase, run.Message, err, out.text.String())
	}
	if left, err := os.ReadDir(filepath.Join(dir, "boxes")); err != nil || len(left) > 0 {
		t.Errorf("%d containers are left, %v", len(left), err)
	}
}
