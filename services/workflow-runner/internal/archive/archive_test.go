package archive

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/bus/bustest"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/flow/archive"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/archive/archivetest"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestWhatIsNotArchived(t *testing.T) {
	b := bustest.Start(t).Connect("test")
	a := &Archivist{Bus: b, Limits: archive.Limits{Age: time.Hour}, Log: slog.New(slog.DiscardHandler)}
	gone := archivetest.Ended(t, b, "gone", v1alpha1.WorkflowFailed, time.Now(), nil)
	for name, d := range map[string]bus.Delivery{
		"one that says so": archivetest.Ended(t, b, "out", v1alpha1.WorkflowSucceeded, time.Now(),
			map[string]string{labelArchive: "false"}),
		"one that is too old": archivetest.Ended(t, b, "old", v1alpha1.WorkflowSucceeded, time.Now().Add(-2*time.Hour),
			nil),
		"one that was done again": archivetest.Ended(t, b, "again", v1alpha1.WorkflowRunning, time.Now(), nil),
	} {
		if _, err := a.Handle(t.Context(), d); err != nil && fault.Of(err) != fault.Stale {
			t.Errorf("%s: %v", name, err)
		}
	}
	text, err := json.Marshal(events.Fact{Object: events.Object{Namespace: "ci", Name: "x", UID: "nobody"}})
	if err == nil {
		err = gone.SetData("application/json", text)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Handle(t.Context(), gone); fault.Of(err) != fault.Stale {
		t.Errorf("a journal that is gone: %v", err)
	}
	if err := gone.SetData("application/json", []byte(`"no fact"`)); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Handle(t.Context(), gone); fault.Of(err) != fault.Poison {
		t.Errorf("no fact: %v", err)
	}
	if all := archivetest.Records(t, b); len(all) != 0 {
		t.Errorf("%+v", all)
	}
}

func TestTheArchiveIsCutToItsLimits(t *testing.T) {
	b := bustest.Start(t).Connect("test")
	now := time.Now()
	a := &Archivist{Bus: b, Log: slog.New(slog.DiscardHandler)}
	for i := range 4 {
		if _, err := a.Handle(t.Context(), archivetest.Ended(t, b, fmt.Sprintf("wf-%d", i), v1alpha1.WorkflowSucceeded,
			now.Add(-time.Duration(i)*time.Minute), nil)); err != nil {
			t.Fatal(err)
		}
	}
	// A crash between the two removals leaves a record without its workflow.
	if err := b.KV(bus.ArchiveBucket).Delete(t.Context(), archive.Body("ci", "uid-wf-3")); err != nil {
		t.Fatal(err)
	}
	a.Limits = archive.Limits{Count: 2, Age: time.Hour}
	for range 2 {
		if err := a.thin(t.Context(), now); err != nil {
			t.Fatal(err)
		}
	}
	all := archivetest.Records(t, b)
	if len(all) != 2 || all[0].Name != "wf-0" || all[1].Name != "wf-1" {
		t.Errorf("%+v", all)
	}
	for i, want := range []bool{true, true, false, false} {
		_, err := readArchived(t.Context(), b, archive.Record{Namespace: "ci", UID: fmt.Sprintf("uid-wf-%d", i)})
		if (err == nil) != want || err != nil && !errors.Is(err, bus.ErrNotFound) {
			t.Errorf("wf-%d: %v", i, err)
		}
	}
}

func TestALargeWorkflowIsArchivedAsAnObject(t *testing.T) {
	b := bustest.Start(t).Connect("test")
	a := &Archivist{Bus: b, Log: slog.New(slog.DiscardHandler)}
	now := metav1.Now()
	wf := &v1alpha1.Workflow{ObjectMeta: metav1.ObjectMeta{Namespace: "ci", Name: "large", UID: "u"},
		Status: v1alpha1.WorkflowStatus{FinishedAt: &now, Nodes: map[string]v1alpha1.NodeStatus{}}}
	for i := range 3000 {
		id := bus.Key(fmt.Sprint(i)) // nothing that could be packed
		wf.Status.Nodes[id] = v1alpha1.NodeStatus{ID: id, Message: bus.Key(id) + bus.Key(id, id)}
	}
	if err := a.store(t.Context(), wf); err != nil {
		t.Fatal(err)
	}
	if all := archivetest.Records(t, b); len(all) != 1 || !all[0].Large {
		t.Errorf("%+v", all)
	}
	got, err := a.Find(t.Context(), "ci", "large")
	if err != nil || len(got.Status.Nodes) != 3000 {
		t.Errorf("%v", err)
	}
	a.Limits = archive.Limits{Age: time.Minute}
	if err := a.thin(t.Context(), now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Objects(bus.ArchiveBucket).Open(t.Context(), archive.Object("ci", "u")); !errors.Is(err,
		bus.ErrNotFound) || len(archivetest.Records(t, b)) != 0 {
		t.Errorf("%v", err)
	}
}

func TestAnEndedRunIsArchivedFromItsJournal(t *testing.T) {
	b := bustest.Start(t).Connect("test")
	a := &Archivist{Bus: b, Log: slog.New(slog.DiscardHandler)}
	fact := archivetest.Ended(t, b, "one", v1alpha1.WorkflowSucceeded, time.Now(), map[string]string{"team": "x"})
	for range 2 { // a crash after it was stored does it again
		if _, err := a.Handle(t.Context(), fact); err != nil {
			t.Fatal(err)
		}
	}
	all := archivetest.Records(t, b)
	if len(all) != 1 || all[0].Name != "one" || all[0].Progress != "1/1" || all[0].Labels["team"] != "x" ||
		all[0].Labels["who"] != "run" {
		t.Fatalf("%+v", all)
	}
	wf, err := a.Find(t.Context(), "ci", "one")
	if err != nil || wf.Status.Phase != v1alpha1.WorkflowSucceeded || len(wf.Status.Nodes) != 1 ||
		wf.Spec.Entrypoint != "main" || wf.Spec.WorkflowTemplateRef != nil || wf.Kind != "Workflow" {
		t.Errorf("%+v, %v", wf, err)
	}
	if _, err := a.Find(t.Context(), "other", "one"); fault.Of(err) != fault.Poison {
		t.Errorf("of another namespace: %v", err)
	}
}
