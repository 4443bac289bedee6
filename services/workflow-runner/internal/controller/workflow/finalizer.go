package workflow

import (
	"context"
	"fmt"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/lock"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
)

// letGo takes upstream's finalizer off a workflow that is being removed: whoever put it there is not here.
func (r *Reconciler) letGo(ctx context.Context, raw *unstructured.Unstructured) error {
	free := raw.DeepCopy()
	if !controllerutil.RemoveFinalizer(free, UpstreamFinalizer) {
		return nil
	}
	if err := r.Client.Patch(ctx, free, client.MergeFrom(raw)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("let workflow %s/%s go: %w", raw.GetNamespace(), raw.GetName(), err)
	}
	return nil
}

// UpstreamFinalizer is what Argo Workflows holds a workflow with until its artifacts are gone. Here a note on the bus does
// that, so that nothing ever waits for a store.
const UpstreamFinalizer = "workflows.argoproj.io/artifact-gc"

// beforeRetry wakes a run that stands in a queue.
func (r *Reconciler) beforeRetry(wake time.Time, actions []flow.Action) time.Time {
	for _, a := range actions {
		if _, waits := a.(flow.Acquire); waits {
			if again := time.Now().Add(lock.Retry); wake.IsZero() || again.Before(wake) {
				return again
			}
		}
	}
	return wake
}
