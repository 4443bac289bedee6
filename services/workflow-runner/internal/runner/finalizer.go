package runner

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
)

// letGo takes upstream's finalizer off a workflow that is being removed: whoever put it there is not here.
func (r *Runner) letGo(ctx context.Context, raw *unstructured.Unstructured) error {
	free := raw.DeepCopy()
	if !controllerutil.RemoveFinalizer(free, upstreamFinalizer) {
		return nil
	}
	if err := r.client.Patch(ctx, free, client.MergeFrom(raw)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("let workflow %s/%s go: %w", raw.GetNamespace(), raw.GetName(), err)
	}
	return nil
}

// upstreamFinalizer is what Argo Workflows holds a workflow with until its artifacts are gone. Here a note on the bus does
// that, so that nothing ever waits for a store.
const upstreamFinalizer = "workflows.argoproj.io/artifact-gc"
