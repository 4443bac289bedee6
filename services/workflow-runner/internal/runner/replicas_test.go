package runner

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// While pods end, a replica joins, one is killed, and another joins. What became a replica's goes on there: each of its
// pods is made once, and no end of one is lost. The replicas read of each other's workflows only what says whose they
// are.
func TestReplicasComeAndGoWhilePodsEnd(t *testing.T) {
	t.Parallel()
	c := start(t)
	first := c.process("a")
	const runs, steps = 12, 3
	for i := range runs {
		c.submit(fmt.Sprintf("key-%02d-abcdef", i), 1)
	}
	events := map[int]func(){ // by how many pods have ended
		runs / 2: func() { c.process("b") },
		runs: func() {
			p, err := os.FindProcess(first)
			if err := errors.Join(err, p.Kill()); err != nil {
				t.Fatal(err)
			}
		},
		2 * runs: func() { c.process("c") },
	}
	made, ended := map[string]string{}, 0
	c.await("all runs succeed", func() error {
		for _, p := range c.pods() {
			if uid, known := made[p.Name]; known && uid != string(p.UID) {
				t.Errorf("pod %s was made twice", p.Name)
			}
			made[p.Name] = string(p.UID)
			if p.Status.Phase == corev1.PodSucceeded {
				continue
			}
			if err := c.end(&p, 0); err != nil {
				if apierrors.IsConflict(err) {
					continue
				}
				return err
			}
			if ended++; events[ended] != nil {
				events[ended]()
			}
		}
		done := 0
		for _, wf := range c.workflows() {
			if wf.Status.Phase == v1alpha1.WorkflowSucceeded && wf.Labels[object.LabelCompleted] == "true" {
				done++
			}
		}
		if done != runs {
			return fmt.Errorf("%d of %d, %d pods ended", done, runs, ended)
		}
		return nil
	})
	if len(made) != runs*steps {
		t.Errorf("%d pods, want %d", len(made), runs*steps)
	}
}
