package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/bus/bustest"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/schemas/events"
	"sigs.k8s.io/yaml"
)

const sensorText = `
apiVersion: argoproj.io/v1alpha1
kind: Sensor
metadata: {name: build, namespace: ci, uid: u-1}
spec:
  dependencies:
  - name: push
    eventSourceName: github
    eventName: hook
    filters: {data: [{path: body.ref, type: string, value: [main]}]}
  - {name: scan, eventSourceName: github, eventName: scan}
  triggers:
  - template:
      name: run
      conditions: push
      argoWorkflow:
        operation: submit
        source: {resource: {apiVersion: argoproj.io/v1alpha1, kind: Workflow, metadata: {generateName: b-}, spec: {ref: none}}}
        parameters: [{src: {dependencyName: push, dataKey: body.ref}, dest: spec.ref}]
  - template: {name: call, conditions: push && scan, http: {url: "http://x", payload: [{src: {dependencyName: push, dataKey: body}, dest: body}]}}
  - template: {name: far, conditions: scan, k8s: {source: {url: {path: "http://x"}}}}
  - template: {name: fails, conditions: scan, nats: {url: x, subject: subj, payload: [{src: {dependencyName: push, dataKey: body}, dest: body}]}}
`

func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// run runs one command line and returns what it said and its exit code.
func run(t *testing.T, env map[string]string, args ...string) (out, errs string, code int) {
	t.Helper()
	var o, e bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	code = Run(ctx, args, func(k string) string { return env[k] }, &o, &e)
	return o.String(), e.String(), code
}

func publish(t *testing.T, b *bus.Bus, name, id, data string) {
	t.Helper()
	e, err := bus.NewEvent(id, "github", "github", json.RawMessage(data))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Publish(t.Context(), bus.Subject("events", "ci", "github", name), e); err != nil {
		t.Fatal(err)
	}
}

func TestSimulateOverTheStream(t *testing.T) {
	server := bustest.Start(t)
	b := server.Connect("test")
	env := map[string]string{"ARGOSY_NATS_URL": server.URL()}
	publish(t, b, "hook", "1", `{"body":{"ref":"refs/heads/dev"}}`)
	publish(t, b, "hook", "2", `{"body":{"ref":"refs/heads/main"}}`)
	publish(t, b, "other", "3", `{}`)
	publish(t, b, "scan", "4", `{"x":"\u001b[2J"}`)
	path := file(t, "s.yaml", sensorText)
	out, errs, code := run(t, env, "sensor", "simulate", "-f", path)
	if code != exitDone {
		t.Fatal(errs)
	}
	for _, want := range []string{
		"sensor ci/build over 4 events: 2 matched, 1 (data 1) rejected, 4 (call 1, fails 1, far 1, run 1) fired",
		`rejected  push by data: data at "body.ref" is "refs/heads/dev", which is not = any of "main"`,
		"fires     run (argoWorkflow) with push=2", "ref: refs/heads/main", "waiting   call has push",
		"fires     call (http) with push=2, scan=4",
		"the manifest is fetched when the trigger fires",
		`fails: payload[0].src.dependencyName: "push" did not contribute`,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	if strings.Contains(out, "id 3") {
		t.Error("an event of another source is shown")
	}
	out, errs, code = run(t, env, "sensor", "simulate", "-f", path, "-o", "json", "--all", "--limit", "3")
	var r report
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != exitDone || len(r.Steps) != 3 ||
		r.Firings["run"] != 1 {
		t.Errorf("%v %s %s", err, errs, out)
	}
	if out, _, code = run(
		t, env, "sensor", "simulate", "-f", path, "-o", "yaml", "--from",
		time.Now().Add(time.Hour).Format(time.RFC3339),
	); code != exitDone ||
		!strings.Contains(out, "events: 0") {
		t.Errorf("%d: %s", code, out)
	}
}

func TestSimulateOverAFile(t *testing.T) {
	events := file(
		t,
		"e.jsonl",
		`{"id":"1","source":"github","subject":"hook","type":"github","data":{"body":{"ref":"main"}}}
{"eventsource":"github","eventname":"scan","id":"2","source":"x","type":"t","time":"2026-01-01T00:00:00Z","data":{}}`,
	)
	out, errs, code := run(t, nil, "sensor", "simulate", "-f", file(t, "s.yaml", sensorText), "--events", events)
	if code != exitDone || !strings.Contains(out, "2 matched") ||
		!strings.Contains(out, "#2 2026-01-01T00:00:00Z github/scan id 2") {
		t.Errorf("%d %s %s", code, out, errs)
	}
	if _, errs, code = run(
		t, nil, "sensor", "simulate", "-f", file(t, "s.yaml", sensorText), "--events", file(t, "bad", "{} x"),
	); code != exitFailed ||
		!strings.Contains(errs, "event 2") {
		t.Errorf("%d %s", code, errs)
	}
}

// cluster serves one Sensor as an API server does.
func cluster(t *testing.T) string {
	t.Helper()
	body, err := yamlToJSON(sensorText)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path != "/apis/argoproj.io/v1alpha1/namespaces/ci/sensors/build" {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`)
			return
		}
		_, _ = w.Write(body)
	}))
	t.Cleanup(s.Close)
	return file(
		t, "kubeconfig",
		`{apiVersion: v1, kind: Config, current-context: x, contexts: [{name: x, context: {cluster: x, user: x}}], users: [{name: x}], clusters: [{name: x, cluster: {server: "`+s.URL+`"}}]}`,
	)
}

func TestReplayAsksTheServiceUnderNewKeys(t *testing.T) {
	server := bustest.Start(t)
	b := server.Connect("test")
	env := map[string]string{"ARGOSY_NATS_URL": server.URL(), "KUBECONFIG": cluster(t)}
	publish(t, b, "hook", "1", `{"body":{"ref":"main"}}`)
	publish(t, b, "hook", "2", `{"body":{"ref":"main"}}`)
	out, errs, code := run(t, env, "sensor", "replay", "ci/build", "--dry-run")
	if code != exitDone || !strings.Contains(out, "would fire run") || !strings.Contains(out, "2 firing(s)") {
		t.Fatalf("%d %s %s", code, out, errs)
	}
	for range 2 {
		if out, errs, code = run(
			t, env, "sensor", "replay", "ci/build", "--id", "r1", "--trigger", "run",
		); code != exitDone {
			t.Fatalf("%s %s", out, errs)
		}
	}
	asked, err := b.At(t.Context(), bus.Commands, 1)
	if err != nil || asked.Subject != events.FireSubject("ci", "u-1") {
		t.Fatalf("%s: %v", asked.Subject, err)
	}
	if _, err := b.At(t.Context(), bus.Commands, 3); !errors.Is(err, bus.ErrNotFound) {
		t.Errorf("asking twice under one id asked more than twice for two: %v", err)
	}
	var c events.FireTrigger
	if err := asked.DataAs(
		&c,
	); err != nil || c.Replay != "r1" || c.Trigger != "run" ||
		c.Key != bus.Key("replay", "r1", bus.Key("u-1", "run", "push", "1", "github")) ||
		c.Events[0].Sequence != 1 {
		t.Errorf("%+v %v", c, err)
	}
	if out, _, code = run(t, env, "sensor", "replay", "ci/build", "--trigger", "none"); code != exitDone ||
		!strings.Contains(out, "0 firing(s)") {
		t.Errorf("%d %s", code, out)
	}
	if _, errs, code = run(t, env, "sensor", "replay", "ci/gone"); code != exitFailed ||
		!strings.Contains(errs, "ci/gone") {
		t.Errorf("%d %s", code, errs)
	}
}

func TestLint(t *testing.T) {
	text := "apiVersion: v1\nkind: ConfigMap\n---" + sensorText + "---\nkind: Sensor\nspec:\n  dependencies: [{name: a, eventSourceName: s, eventName: e}]\n  triggers:\n  - template: {name: t, conditions: b, log: {}}\n"
	before, _, _ := strings.Cut(text, "conditions: b")
	out, _, code := run(t, nil, "sensor", "lint", file(t, "s.yaml", text))
	if code != exitFailed ||
		!strings.Contains(
			out, "s.yaml:"+strconv.Itoa(strings.Count(before, "\n")+1)+": error: spec.triggers[0].template.conditions:",
		) {
		t.Errorf("%d %s", code, out)
	}
	if out, _, code = run(t, nil, "sensor", "lint", file(t, "s.yaml", sensorText), "-o", "json"); code != exitDone ||
		out != "[]\n" {
		t.Errorf("%d %s", code, out)
	}
}

func TestDead(t *testing.T) {
	server := bustest.Start(t)
	b := server.Connect("test")
	env := map[string]string{"ARGOSY_NATS_URL": server.URL()}
	ctx, cancel := context.WithCancel(t.Context())
	handled, done := make(chan string, 10), make(chan struct{})
	go func() {
		defer close(done)
		_ = b.Consume(
			ctx,
			bus.Consumer{Stream: bus.Events, Name: "x"},
			func(_ context.Context, d bus.Delivery) ([]bus.Outgoing, error) {
				handled <- d.ID()
				return nil, fault.Poisonf("never")
			},
		)
	}()
	defer func() { cancel(); <-done }()
	publish(t, b, "hook", "1", `{"a":1}`)
	publish(t, b, "hook", "2", `{"a":2}`)
	<-handled
	<-handled
	var rows letterList
	for len(rows) < 2 {
		out, errs, code := run(t, env, "dead", "list", "-o", "json")
		if code != exitDone {
			t.Fatal(errs)
		}
		rows = nil
		if err := json.Unmarshal([]byte(out), &rows); err != nil {
			t.Fatal(err)
		}
	}
	if out, _, _ := run(t, env, "dead", "list"); !strings.Contains(out, "events.ci.github.hook") ||
		!strings.Contains(out, "never") {
		t.Error(out)
	}
	if out, _, _ := run(t, env, "dead", "list", "--stream", "COMMANDS", "-o", "json"); out != "[]\n" {
		t.Error(out)
	}
	first := strconv.FormatUint(rows[0].Sequence, 10)
	if out, _, code := run(t, env, "dead", "show", first); code != exitDone ||
		!strings.Contains(out, `data      {"a":1}`) {
		t.Errorf("%d %s", code, out)
	}
	if out, errs, code := run(t, env, "dead", "redrive", first); code != exitDone ||
		!strings.Contains(out, "1 driven again") {
		t.Errorf("%d %s %s", code, out, errs)
	}
	if id := <-handled; id != "1" {
		t.Errorf("%s came again", id)
	}
	if out, errs, code := run(t, env, "dead", "redrive", "--all", "--stream", "EVENTS"); code != exitDone ||
		strings.Contains(out, " 0 driven") {
		t.Errorf("%d %s %s", code, out, errs)
	}
	if _, errs, code := run(t, env, "dead", "show", "999"); code != exitFailed || !strings.Contains(errs, "not found") {
		t.Errorf("%d %s", code, errs)
	}
}

func TestMistakesOfTheCaller(t *testing.T) {
	s := file(t, "s.yaml", sensorText)
	for _, c := range []struct {
		args string
		code int
	}{
		{"", exitDone}, {"--help", exitDone}, {"sensor simulate --help", exitDone}, {"nothing", exitUsage},
		{"--nothing", exitUsage}, {"dead list x", exitUsage}, {"dead show", exitUsage},
		{"dead show x", exitUsage}, {"dead redrive", exitUsage}, {"dead redrive 1 --all", exitUsage},
		{"sensor lint", exitUsage}, {"sensor lint /nowhere", exitFailed},
		{"sensor simulate", exitUsage}, {"sensor simulate x -f " + s, exitUsage}, {"sensor simulate name", exitUsage},
		{"sensor simulate -f /nowhere", exitFailed},
		{"sensor simulate -f " + s + " --from yesterday", exitFailed}, {"sensor replay a/b --events x", exitUsage},
		{"dead list -o xml", exitUsage},
		{"dead list --nats-url nats://127.0.0.1:1", exitFailed},
		{"dead list --nats-password-file /nowhere", exitFailed},
	} {
		if out, errs, code := run(t, nil, strings.Fields(c.args)...); code != c.code {
			t.Errorf("%q: exit %d, want %d: %s %s", c.args, code, c.code, out, errs)
		}
	}
}

func yamlToJSON(text string) ([]byte, error) { return yaml.YAMLToJSON([]byte(text)) }

func TestLintOfEventSources(t *testing.T) {
	text := "kind: Sensor\n---\nkind: EventSource\nspec:\n  kafka:\n    a: {url: u}\n---\nkind: EventSource\nspec:\n  mns:\n    b: {}\n"
	out, _, code := run(t, nil, "eventsource", "lint", file(t, "e.yaml", text))
	if code != exitFailed || !strings.Contains(out, "e.yaml:6: error: spec.kafka.a: topic is missing") ||
		!strings.Contains(out, "e.yaml:11: error: spec.mns.b: queue is missing") {
		t.Errorf("%d %s", code, out)
	}
	if out, _, code = run(
		t, nil, "eventsource", "lint", file(t, "e.yaml", "kind: EventSource\nspec: {webhook: {a: {endpoint: /a}}}\n"),
		"-o", "json",
	); code != exitDone ||
		out != "[]\n" {
		t.Errorf("%d %s", code, out)
	}
	if _, _, code = run(t, nil, "eventsource", "lint"); code != exitUsage {
		t.Error(code)
	}
}
