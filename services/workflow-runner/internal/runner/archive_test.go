package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/bus/bustest"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/archive"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ended writes the journal of a run, and returns the fact of its end.
func ended(t *testing.T, b *bus.Bus, name string, phase v1alpha1.WorkflowPhase, at time.Time, labels map[string]string) bus.Delivery {
	t.Helper()
	uid := "uid-" + name
	j := newRuns(b)
	known, err := j.load(t.Context(), "ci", name, uid)
	if err != nil {
		t.Fatal(err)
	}
	spec := v1alpha1.WorkflowSpec{Entrypoint: "main", WorkflowTemplateRef: &v1alpha1.WorkflowTemplateRef{Name: "t"}, Templates: []v1alpha1.Template{{Name: "main"}}}
	begin := at.Add(-time.Minute)
	for _, e := range []entry{
		{At: begin, Spec: &spec, Object: &origin{Labels: labels, Created: begin}, Run: &flow.RunChange{Phase: v1alpha1.WorkflowRunning, StartedAt: &begin}},
		{At: at, Nodes: []v1alpha1.NodeStatus{{ID: "n", Name: name, Type: v1alpha1.NodeTypePod, Phase: v1alpha1.NodeSucceeded}},
			Run: &flow.RunChange{Phase: phase, FinishedAt: &at, Metadata: &v1alpha1.Metadata{Labels: map[string]string{"who": "run"}}}},
	} {
		if err := j.append(t.Context(), uid, known, e); err != nil {
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

func records(t *testing.T, b *bus.Bus) []archive.Record {
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

// A runner that is killed before and after each step of archiving leaves one record with its workflow.
func TestARunnerKilledWhileItArchivesChangesNothing(t *testing.T) {
	t.Parallel()
	c := start(t)
	const points = 2 * 3 // before and after: the workflow, its record, the acknowledgement of the fact
	w := newWire(t, c.server.URL(), points)
	w.writes, w.deeper = []string{"$KV." + bus.ArchiveBucket + ".", "$JS.ACK." + bus.Facts + ".workflow-runner-archive."}, true
	fact := ended(t, c.bus, "one", v1alpha1.WorkflowSucceeded, time.Now(), nil)
	if err := c.bus.Publish(t.Context(), events.FactSubject(events.ServiceWorkflowRunner, events.FactWorkflowFinished, "ci", "one"), fact.Event); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var lives sync.WaitGroup
	lives.Go(func() { c.live(ctx, w) })
	t.Cleanup(func() { cancel(); lives.Wait() })
	c.awaitFor(5*time.Minute, "every point was hit", func() error {
		if n := w.killed(); n < points {
			return fmt.Errorf("%d kills", n)
		}
		return nil
	})
	a := &archivist{bus: c.bus, log: slog.New(slog.DiscardHandler)}
	c.await("one record with its workflow", func() error {
		if all := records(t, c.bus); len(all) != 1 {
			return fmt.Errorf("%d records", len(all))
		}
		wf, err := a.find(t.Context(), "ci", "one")
		if err == nil && wf.Status.Phase != v1alpha1.WorkflowSucceeded {
			err = fmt.Errorf("it is %s", wf.Status.Phase)
		}
		return err
	})
}

func TestAnEndedRunIsArchivedFromItsJournal(t *testing.T) {
	b := bustest.Start(t).Connect("test")
	a := &archivist{bus: b, log: slog.New(slog.DiscardHandler)}
	fact := ended(t, b, "one", v1alpha1.WorkflowSucceeded, time.Now(), map[string]string{"team": "x"})
	for range 2 { // a crash after it was stored does it again
		if _, err := a.handle(t.Context(), fact); err != nil {
			t.Fatal(err)
		}
	}
	all := records(t, b)
	if len(all) != 1 || all[0].Name != "one" || all[0].Progress != "1/1" || all[0].Labels["team"] != "x" || all[0].Labels["who"] != "run" {
		t.Fatalf("%+v", all)
	}
	wf, err := a.find(t.Context(), "ci", "one")
	if err != nil || wf.Status.Phase != v1alpha1.WorkflowSucceeded || len(wf.Status.Nodes) != 1 || wf.Spec.Entrypoint != "main" || wf.Spec.WorkflowTemplateRef != nil || wf.Kind != "Workflow" {
		t.Errorf("%+v, %v", wf, err)
	}
	if _, err := a.find(t.Context(), "other", "one"); fault.Of(err) != fault.Poison {
		t.Errorf("of another namespace: %v", err)
	}
}

func TestWhatIsNotArchived(t *testing.T) {
	b := bustest.Start(t).Connect("test")
	a := &archivist{bus: b, limits: archive.Limits{Age: time.Hour}, log: slog.New(slog.DiscardHandler)}
	gone := ended(t, b, "gone", v1alpha1.WorkflowFailed, time.Now(), nil)
	for name, d := range map[string]bus.Delivery{
		"one that says so":        ended(t, b, "out", v1alpha1.WorkflowSucceeded, time.Now(), map[string]string{labelArchive: "false"}),
		"one that is too old":     ended(t, b, "old", v1alpha1.WorkflowSucceeded, time.Now().Add(-2*time.Hour), nil),
		"one that was done again": ended(t, b, "again", v1alpha1.WorkflowRunning, time.Now(), nil),
	} {
		if _, err := a.handle(t.Context(), d); err != nil && fault.Of(err) != fault.Stale {
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
	if _, err := a.handle(t.Context(), gone); fault.Of(err) != fault.Stale {
		t.Errorf("a journal that is gone: %v", err)
	}
	if err := gone.SetData("application/json", []byte(`"no fact"`)); err != nil {
		t.Fatal(err)
	}
	if _, err := a.handle(t.Context(), gone); fault.Of(err) != fault.Poison {
		t.Errorf("no fact: %v", err)
	}
	if all := records(t, b); len(all) != 0 {
		t.Errorf("%+v", all)
	}
}

func TestTheArchiveIsCutToItsLimits(t *testing.T) {
	b := bustest.Start(t).Connect("test")
	now := time.Now()
	a := &archivist{bus: b, log: slog.New(slog.DiscardHandler)}
	for i := range 4 {
		if _, err := a.handle(t.Context(), ended(t, b, fmt.Sprintf("wf-%d", i), v1alpha1.WorkflowSucceeded, now.Add(-time.Duration(i)*time.Minute), nil)); err != nil {
			t.Fatal(err)
		}
	}
	// A crash between the two removals leaves a record without its workflow.
	if err := b.KV(bus.ArchiveBucket).Delete(t.Context(), archive.Body("ci", "uid-wf-3")); err != nil {
		t.Fatal(err)
	}
	a.limits = archive.Limits{Count: 2, Age: time.Hour}
	for range 2 {
		if err := a.thin(t.Context(), now); err != nil {
			t.Fatal(err)
		}
	}
	all := records(t, b)
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
	a := &archivist{bus: b, log: slog.New(slog.DiscardHandler)}
	now := metav1.Now()
	wf := &v1alpha1.Workflow{ObjectMeta: metav1.ObjectMeta{Namespace: "ci", Name: "large", UID: "u"}, Status: v1alpha1.WorkflowStatus{FinishedAt: &now, Nodes: map[string]v1alpha1.NodeStatus{}}}
	for i := range 3000 {
		id := bus.Key(fmt.Sprint(i)) // nothing that could be packed
		wf.Status.Nodes[id] = v1alpha1.NodeStatus{ID: id, Message: bus.Key(id) + bus.Key(id, id)}
	}
	if err := a.store(t.Context(), wf); err != nil {
		t.Fatal(err)
	}
	if all := records(t, b); len(all) != 1 || !all[0].Large {
		t.Errorf("%+v", all)
	}
	got, err := a.find(t.Context(), "ci", "large")
	if err != nil || len(got.Status.Nodes) != 3000 {
		t.Errorf("%v", err)
	}
	a.limits = archive.Limits{Age: time.Minute}
	if err := a.thin(t.Context(), now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Objects(bus.ArchiveBucket).Open(t.Context(), archive.Object("ci", "u")); !errors.Is(err, bus.ErrNotFound) || len(records(t, b)) != 0 {
		t.Errorf("%v", err)
	}
}

// The object goes the moment its run has ended, while the runner is away, and is run anew from the archive.
func TestAWorkflowOutlivesItsObject(t *testing.T) {
	t.Parallel()
	c := start(t)
	stop := c.runner("a")
	wf := c.create(`
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: wf, labels: {team: x}}
spec: {entrypoint: main, templates: [{name: main, container: {image: busybox, command: ["true"]}}]}
`)
	c.finish("wf", 0)
	c.awaitPhase(v1alpha1.WorkflowSucceeded)
	stop()
	if err := c.kube.Delete(context.WithoutCancel(t.Context()), wf); err != nil {
		t.Fatal(err)
	}
	for _, p := range c.pods() {
		// Nobody collects garbage here.
		if err := c.kube.Delete(t.Context(), &p, client.GracePeriodSeconds(0)); err != nil && !apierrors.IsNotFound(err) {
			t.Fatal(err)
		}
	}
	c.runner("b", "--archive-age", "1h")
	c.await("it is archived", func() error {
		if all := records(t, c.bus); len(all) != 1 || all[0].Name != "wf" || all[0].Labels["team"] != "x" {
			return fmt.Errorf("%+v", all)
		}
		return nil
	})
	ask := events.OperateWorkflow{Key: "again12345678", Operation: "resubmit", Namespace: "ci", Kind: "Workflow", Name: "wf"}
	e, err := bus.NewEvent("again", "test", events.TypeOperateWorkflow, ask)
	if err == nil {
		err = c.bus.Publish(t.Context(), events.CommandSubject(events.ServiceWorkflowRunner, "resubmit", "ci"), e)
	}
	if err != nil {
		t.Fatal(err)
	}
	c.finish("wf-again12345", 0)
	if again := c.awaitPhase(v1alpha1.WorkflowSucceeded); !strings.HasPrefix(again.Name, "wf-again") {
		t.Errorf("%s", again.Name)
	}
	c.await("both are archived", func() error {
		if all := records(t, c.bus); len(all) != 2 {
			return fmt.Errorf("%+v", all)
		}
		return nil
	})
}
