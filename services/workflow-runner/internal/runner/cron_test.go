package runner

import (
	"fmt"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/controller/cron"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func TestTwoReplicasMakeOneRunOfATime(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.runner("a")
	c.runner("b")
	c.create(`
apiVersion: argoproj.io/v1alpha1
kind: CronWorkflow
metadata: {name: tick}
spec:
  schedules: ["@every 1s"]
  concurrencyPolicy: Forbid
  workflowMetadata: {labels: {team: x}}
  workflowSpec: {entrypoint: main, templates: [{name: main, container: {image: busybox, command: [echo, "{{workflow.scheduledTime}}"]}}]}
`)
	c.await("a run is made", func() error {
		if n := len(c.pods()); n != 1 {
			return fmt.Errorf("%d pods", n)
		}
		return nil
	})
	first := c.workflows()[0]
	if at := first.Annotations[cron.AnnotationScheduled]; first.Labels["team"] != "x" ||
		c.pods()[0].Spec.Containers[0].Command[1] != at || !strings.HasPrefix(first.Name, "tick-") {
		t.Errorf("%s: %v", first.Name, first.Annotations)
	}
	if err := c.end(&c.pods()[0], 0); err != nil {
		t.Fatal(err)
	}
	c.await("the next run is made, and the first counted", func() error {
		u := cron.Object()
		if err := c.kube.Get(t.Context(), client.ObjectKey{Namespace: "ci", Name: "tick"}, u); err != nil {
			return err
		}
		cw, _, err := v1alpha1.DecodeTolerant[v1alpha1.CronWorkflow](u.Object)
		if err != nil || cw.Status.Succeeded != 1 || len(c.workflows()) != 2 {
			return fmt.Errorf("%w, %d workflows, %+v", err, len(c.workflows()), cw.Status)
		}
		return nil
	})
}

func TestABackfillMakesWhatWasNeverMade(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.runner("a")
	c.create(`
apiVersion: argoproj.io/v1alpha1
kind: CronWorkflow
metadata: {name: past, annotations: {argosy.dev/backfill: "2026-01-01T00:00:00Z/2026-01-01T02:00:00Z"}}
spec:
  schedules: ["0 * * * *"]
  suspend: true
  workflowSpec: {entrypoint: main, templates: [{name: main, container: {image: busybox, command: [date]}}]}
`)
	c.create(`
apiVersion: argoproj.io/v1alpha1
kind: CronWorkflow
metadata: {name: odd, annotations: {argosy.dev/backfill: "yesterday"}}
spec: {schedules: ["0 * * * *"], suspend: true, workflowSpec: {}}
`)
	c.await("three runs, and one refusal", func() error {
		odd := cron.Object()
		if err := c.kube.Get(t.Context(), client.ObjectKey{Namespace: "ci", Name: "odd"}, odd); err != nil {
			return err
		}
		said := odd.GetAnnotations()["argosy.dev/refused-orders"]
		if n := len(c.workflows()); n != 3 || !strings.Contains(said, "no span") {
			return fmt.Errorf("%d, %q", n, said)
		}
		return nil
	})
}
