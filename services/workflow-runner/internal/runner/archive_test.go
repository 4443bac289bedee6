package runner

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/archive"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/archive/archivetest"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// A runner that is killed before and after each step of archiving leaves one record with its workflow.
func TestARunnerKilledWhileItArchivesChangesNothing(t *testing.T) {
	t.Parallel()
	c := start(t)
	const points = 2 * 3 // before and after: the workflow, its record, the acknowledgement of the fact
	w := newWire(t, c.server.URL(), points)
	w.writes, w.deeper = []string{"$KV." + bus.ArchiveBucket + ".",
		"$JS.ACK." + bus.Facts + ".workflow-runner-archive."},
		true
	fact := archivetest.Ended(t, c.bus, "one", v1alpha1.WorkflowSucceeded, time.Now(), nil)
	if err := c.bus.Publish(t.Context(), events.FactSubject(events.ServiceWorkflowRunner, events.FactWorkflowFinished,
		"ci", "one"), fact.Event); err != nil {
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
	a := &archive.Archivist{Bus: c.bus, Log: slog.New(slog.DiscardHandler)}
	c.await("one record with its workflow", func() error {
		if all := archivetest.Records(t, c.bus); len(all) != 1 {
			return fmt.Errorf("%d records", len(all))
		}
		wf, err := a.Find(t.Context(), "ci", "one")
		if err == nil && wf.Status.Phase != v1alpha1.WorkflowSucceeded {
			err = fmt.Errorf("it is %s", wf.Status.Phase)
		}
		return err
	})
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
		if err := c.kube.Delete(t.Context(), &p, client.GracePeriodSeconds(0)); err != nil &&
			!apierrors.IsNotFound(err) {
			t.Fatal(err)
		}
	}
	c.runner("b", "--archive-age", "1h")
	c.await("it is archived", func() error {
		if all := archivetest.Records(t, c.bus); len(all) != 1 || all[0].Name != "wf" || all[0].Labels["team"] != "x" {
			return fmt.Errorf("%+v", all)
		}
		return nil
	})
	ask := events.OperateWorkflow{Key: "again12345678", Operation: "resubmit", Namespace: "ci", Kind: "Workflow",
		Name: "wf"}
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
		if all := archivetest.Records(t, c.bus); len(all) != 2 {
			return fmt.Errorf("%+v", all)
		}
		return nil
	})
}
