package workflow

import (
	"context"
	"errors"
	"fmt"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/pods"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// mend does what a replica that died after recording a node's end did not get to: give back the node's locks, and stop
// its pod. Nodes that are at work need nothing, since their actions are decided again.
func (r *Reconciler) mend(ctx context.Context, wf *v1alpha1.Workflow, known *run) error {
	over := func(node string) bool { return known.State.Nodes[node].Phase.Fulfilled() }
	errs := []error{r.Locks.Sweep(ctx, string(wf.UID), over)}
	var list corev1.PodList
	if err := r.Client.List(ctx, &list, client.InNamespace(wf.Namespace), client.MatchingLabels{object.LabelWorkflow: wf.Name}); err != nil {
		return errors.Join(append(errs, fmt.Errorf("list pods: %w", err))...)
	}
	for i := range list.Items {
		pod := &list.Items[i]
		node := pod.Annotations[object.AnnotationNodeID]
		phase := pods.PhaseOf(pod)
		if !over(node) || !object.OwnedBy(pod, wf) || phase != flow.PodPending && phase != flow.PodRunning {
			continue
		}
		errs = append(errs, r.stopPod(ctx, wf.Namespace, flow.StopPod{NodeID: node, PodName: pod.Name}))
	}
	return errors.Join(errs...)
}
