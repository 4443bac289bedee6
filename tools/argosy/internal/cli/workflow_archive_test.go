package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/bus/bustest"
	"github.com/argosy-mesh/argosy/libs/flow/archive"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"
)

// shelve archives a workflow as the runner does.
func shelve(t *testing.T, b *bus.Bus, namespace, name, uid string, phase v1alpha1.WorkflowPhase, finished time.Time) {
	t.Helper()
	at := metav1.NewTime(finished)
	wf := &v1alpha1.Workflow{
		TypeMeta: metav1.TypeMeta{APIVersion: "argoproj.io/v1alpha1", Kind: "Workflow"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name, UID: types.UID(uid), Labels: map[string]string{"team": name},
		},
		Spec: v1alpha1.WorkflowSpec{Entrypoint: "main"},
		Status: v1alpha1.WorkflowStatus{
			Phase:      phase,
			Message:    "said \x1b[2J",
			StartedAt:  &at,
			FinishedAt: &at,
			Nodes: map[string]v1alpha1.NodeStatus{
				"n": {ID: "n", Name: name + "[0].step", Type: v1alpha1.NodeTypePod, Phase: v1alpha1.NodePhase(phase)},
			},
		},
	}
	body, err := archive.Pack(wf)
	if err != nil {
		t.Fatal(err)
	}
	of := archive.RecordOf(wf)
	of.Large = uid == "u1" // one of each
	record, err := json.Marshal(of)
	if err != nil {
		t.Fatal(err)
	}
	if of.Large {
		err = b.Objects(bus.ArchiveBucket).Put(t.Context(), archive.Object(namespace, uid), bytes.NewReader(body))
	} else {
		err = b.KV(bus.ArchiveBucket).Put(t.Context(), archive.Body(namespace, uid), body)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := b.KV(bus.ArchiveBucket).Put(t.Context(), archive.Key(namespace, uid), record); err != nil {
		t.Fatal(err)
	}
}

func TestWorkflowsThatAreGoneAreFound(t *testing.T) {
	server := bustest.Start(t)
	b := server.Connect("test")
	env := map[string]string{"ARGOSY_NATS_URL": server.URL()}
	noon := time.Now().Add(-time.Hour).Truncate(time.Second)
	shelve(t, b, "ci", "build", "u1", v1alpha1.WorkflowFailed, noon)
	shelve(t, b, "ci", "build", "u2", v1alpha1.WorkflowSucceeded, noon.Add(time.Minute))
	shelve(t, b, "cd", "ship", "u3", v1alpha1.WorkflowSucceeded, noon.Add(2*time.Minute))
	for args, want := range map[string]string{
		"":                     "u3 u2 u1",
		"-n ci":                "u2 u1",
		"--phase failed":       "u1",
		"-l team=ship":         "u3",
		"--limit 1":            "u3",
		"-n nowhere":           "",
		"-n ci -l team!=build": "",
		"--phase Failed -n ci": "u1",
	} {
		out, errs, code := run(
			t,
			env,
			append([]string{"workflow", "list", "--archived", "-o", "json"}, strings.Fields(args)...)...)
		var all []archive.Record
		if err := json.Unmarshal([]byte(out), &all); err != nil || code != exitDone {
			t.Fatalf("%s: %v %s %s", args, err, errs, out)
		}
		var got []string
		for _, r := range all {
			got = append(got, r.UID)
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("%q: %q, want %q", args, text, want)
		}
	}
	if out, _, _ := run(
		t, env, "workflow", "list", "--archived",
	); !strings.Contains(out, "NAMESPACE") || !strings.Contains(out, "build") ||
		strings.Contains(out, "\x1b") {
		t.Errorf("%q", out)
	}
	for args, want := range map[string]v1alpha1.WorkflowPhase{
		"build -n ci": v1alpha1.WorkflowSucceeded, "u1 -n ci": v1alpha1.WorkflowFailed,
	} {
		for _, format := range []string{"json", "yaml"} {
			out, errs, code := run(
				t,
				env,
				append([]string{"workflow", "get", "--archived", "-o", format}, strings.Fields(args)...)...)
			var wf v1alpha1.Workflow
			if err := yaml.Unmarshal(
				[]byte(out), &wf,
			); err != nil || code != exitDone || wf.Status.Phase != want || wf.Kind != "Workflow" ||
				wf.Spec.Entrypoint != "main" ||
				len(wf.Status.Nodes) != 1 {
				t.Errorf("%s as %s: %v %s %s", args, format, err, errs, out)
			}
		}
	}
	if out, _, code := run(
		t, env, "workflow", "get", "ship", "-n", "cd", "--archived",
	); code != exitDone || !strings.Contains(out, "workflow cd/ship Succeeded") ||
		!strings.Contains(out, "ship[0].step") ||
		strings.Contains(out, "\x1b") {
		t.Errorf("%q", out)
	}
	if err := b.KV(bus.ArchiveBucket).Delete(t.Context(), archive.Body("cd", "u3")); err != nil {
		t.Fatal(err)
	}
	for args, says := range map[string]string{
		"get gone -n ci --archived":            "no workflow ci/gone is archived",
		"get ship -n cd --archived":            "just removed",
		"list --archived -l ==":                "--selector",
		"resubmit build --key short":           "--key",
		"resubmit build --key UPPERUPPERUPPER": "--key",
	} {
		if _, errs, code := run(
			t,
			env,
			append([]string{"workflow"}, strings.Fields(args)...)...); code == exitDone ||
			!strings.Contains(errs, says) {
			t.Errorf("%s: %d %s", args, code, errs)
		}
	}
}

func TestResubmitAsksTheRunner(t *testing.T) {
	server := bustest.Start(t)
	b := server.Connect("test")
	env := map[string]string{"ARGOSY_NATS_URL": server.URL()}
	for range 2 { // the same key is one command
		out, errs, code := run(
			t, env, "workflow", "resubmit", "build", "-n", "ci", "--key", "abcdefghij1", "-o", "json",
		)
		var done resubmitted
		if err := json.Unmarshal([]byte(out), &done); err != nil || code != exitDone ||
			done.Name != "build-abcdefghij" {
			t.Fatalf("%v %s %s", err, errs, out)
		}
	}
	if _, errs, code := run(t, env, "workflow", "resubmit", "other", "-n", "ci"); code != exitDone {
		t.Error(errs)
	}
	first, err := b.At(t.Context(), bus.Commands, 1)
	if err != nil {
		t.Fatal(err)
	}
	var ask events.OperateWorkflow
	if err := first.DataAs(
		&ask,
	); err != nil || ask.Operation != "resubmit" || ask.Name != "build" || ask.Namespace != "ci" ||
		ask.Key != "abcdefghij1" {
		t.Errorf("%+v, %v", ask, err)
	}
	if _, err := b.At(t.Context(), bus.Commands, 3); !errors.Is(err, bus.ErrNotFound) {
		t.Errorf("a third command: %v", err)
	}
}
