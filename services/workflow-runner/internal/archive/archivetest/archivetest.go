// Package archivetest makes runs that have ended, for tests of what is archived.
package archivetest

import (
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/archive"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/journal"
)

// Ended writes the journal of a run, and returns the fact of its end.
func Ended(t *testing.T, b *bus.Bus, name string, phase v1alpha1.WorkflowPhase, at time.Time,
	labels map[string]string) bus.Delivery {
	t.Helper()
	uid := "uid-" + name
	known, _, err := journal.Replay(t.Context(), b, "ci", uid)
	if err != nil {
		t.Fatal(err)
	}
	spec := v1alpha1.WorkflowSpec{Entrypoint: "main", WorkflowTemplateRef: &v1alpha1.WorkflowTemplateRef{Name: "t"},
		Templates: []v1alpha1.Template{{Name: "main"}}}
	begin := at.Add(-time.Minute)
	for _, e := range []journal.Entry{
		{At: begin, Spec: &spec, Object: &journal.Origin{Labels: labels, Created: begin},
			Run: &flow.RunChange{Phase: v1alpha1.WorkflowRunning, StartedAt: &begin}},
		{At: at, Nodes: []v1alpha1.NodeStatus{{ID: "n", Name: name, Type: v1alpha1.NodeTypePod,
			Phase: v1alpha1.NodeSucceeded}},
			Run: &flow.RunChange{Phase: phase, FinishedAt: &at,
				Metadata: &v1alpha1.Metadata{Labels: map[string]string{"who": "run"}}}},
	} {
		if err := known.Append(t.Context(), b, e); err != nil {
			t.Fatal(err)
		}
	}
	e, err := bus.NewEvent("fact-"+name, events.ServiceWorkflowRunner, events.FactType(events.FactWorkflowFinished),
		events.Fact{Object: events.Object{Namespace: "ci", Name: name, UID: uid}, Phase: string(phase)})
	if err != nil {
		t.Fatal(err)
	}
	return bus.Delivery{Event: e}
}

// Records are all of the archive.
func Records(t *testing.T, b *bus.Bus) []archive.Record {
	t.Helper()
	stored, err := b.KV(bus.ArchiveBucket).Entries(t.Context(), archive.Prefix(""))
	if err != nil {
		t.Fatal(err)
	}
	all, err := archive.Read(stored)
	if err != nil {
		t.Error(err)
	}
	return all
}
