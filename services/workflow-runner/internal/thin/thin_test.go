package thin

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
)

const workflow = `{"apiVersion":"argoproj.io/v1alpha1","kind":"Workflow","metadata":{"name":"w","namespace":"ci",` +
	`"resourceVersion":"7","uid":"u","generation":3,"labels":{"a":"\"é"},"managedFields":[{"manager":"m"}]},` +
	`"spec":{"entrypoint":"main","priority":5,"ttlStrategy":{"secondsAfterCompletion":60},"templates":[{"name":"main"}]},` +
	`"status":{"phase":"Running","startedAt":"2026-12-01T00:00:00Z","progress":"0/1","nodes":{` +
	`"p":{"type":"Pod"},"s":{"type":"Suspend","phase":"Running","x":1.5}}}}`

func line(kind, object string) []byte {
	return fmt.Appendf(nil, "{\"type\":%q,\"object\":%s}\n", kind, object)
}

func all(owned bool) func(string) bool { return func(string) bool { return owned } }

func object(t *testing.T, owned bool) *unstructured.Unstructured {
	t.Helper()
	kind, o, err := event(line("MODIFIED", workflow), all(owned))
	if err != nil || kind != watch.Modified {
		t.Fatalf("%s %v", kind, err)
	}
	u, _ := o.(*unstructured.Unstructured)
	return u
}

// Of an owned workflow all is read that the cache keeps, as other clients read it.
func TestAnOwnedWorkflowIsWhole(t *testing.T) {
	want := &unstructured.Unstructured{}
	if err := json.Unmarshal([]byte(workflow), &want); err != nil {
		t.Fatal(err)
	}
	want.SetManagedFields(nil)
	unstructured.RemoveNestedField(want.Object, "status", "nodes", "p")
	got := object(t, true)
	if diff := cmp.Diff(want.Object, got.Object); diff != "" || Missing(got) {
		t.Errorf("missing %v: %s", Missing(got), diff)
	}
}

// Of another's that is read which says what it is, and how to clean up after it. Listed or watched, it is the same.
func TestAnotherWorkflowIsThin(t *testing.T) {
	got, listed := object(t, false), object(t, true)
	Cut(listed)
	want := map[string]any{"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow",
		"metadata": map[string]any{"name": "w", "namespace": "ci", "resourceVersion": "7", "uid": "u",
			"generation": int64(3), "labels": map[string]any{"a": `"é`}},
		"spec":   map[string]any{"ttlStrategy": map[string]any{"secondsAfterCompletion": int64(60)}},
		"status": map[string]any{"phase": "Running", "startedAt": "2026-12-01T00:00:00Z"}, mark: true}
	if diff := cmp.Diff(want, got.Object); diff != "" || !Missing(got) {
		t.Errorf("missing %v: %s", Missing(got), diff)
	}
	if diff := cmp.Diff(want, listed.Object); diff != "" {
		t.Error(diff)
	}
}

func TestOwnershipIsAskedByNamespaceAndName(t *testing.T) {
	_, _, err := event(line("ADDED", workflow), func(key string) bool {
		if key != "ci/w" {
			t.Errorf("asked for %q", key)
		}
		return true
	})
	if err != nil {
		t.Error(err)
	}
}

func TestEventsThatAreNoObjects(t *testing.T) {
	_, gone, err := event(line("ERROR", `{"kind":"Status","code":410,"reason":"Expired"}`), all(true))
	if err != nil || !apierrors.IsResourceExpired(apierrors.FromObject(gone)) {
		t.Errorf("%v %v", gone, err)
	}
	kind, marked, err := event(line("BOOKMARK", `{"kind":"Workflow","apiVersion":"argoproj.io/v1alpha1","metadata":`+
		`{"resourceVersion":"9","annotations":{"k8s.io/initial-events-end":"true"}}}`), all(false))
	u, _ := marked.(*unstructured.Unstructured)
	if err != nil || kind != watch.Bookmark || u.GetResourceVersion() != "9" || len(u.GetAnnotations()) != 1 {
		t.Errorf("%s %v %v", kind, marked, err)
	}
	for _, bad := range []string{"", "{}", "null", `{"type":"ADDED"}`, `{"type":"ADDED","object":3}`,
		`{"type":"ADDED","object":{"spec":{"a":tru}}}`, "{\"type\":\"ADDED\",\"object\":{\"kind\":nul"} {
		if _, _, err := event([]byte(bad), all(true)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

// A line that was cut off is no event.
func TestAStreamEndsWithItsLastWholeLine(t *testing.T) {
	text := string(line("ADDED", workflow)) + `{"type":"MODIFIED","object":{`
	s := &stream{body: io.NopCloser(nil), lines: bufio.NewReader(strings.NewReader(text)), owns: all(true)}
	if _, _, err := s.Decode(); err != nil {
		t.Fatal(err)
	}
	if kind, _, err := s.Decode(); !errors.Is(err, io.EOF) {
		t.Errorf("%s %v", kind, err)
	}
}

// BenchmarkEvent reads the change of a workflow with one pod, ours and another's.
func BenchmarkEvent(b *testing.B) {
	big := strings.Replace(workflow, `{"manager":"m"}`, `{"manager":"m","fieldsV1":{`+
		strings.Repeat(`"f:a":{".":{},"f:b":{}},`, 60)+`"f:z":{}}}`, 1)
	text := line("MODIFIED", big)
	for _, owned := range []bool{true, false} {
		b.Run(fmt.Sprintf("owned=%v", owned), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if _, _, err := event(text, all(owned)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
