package runner

import (
	"context"
	"errors"
	"fmt"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// mend does what a replica that died after recording a node's end did not get to: give back the node's locks, and stop
// its pod. Nodes that are at work need nothing, since their actions are decided again.
func (r *Runner) mend(ctx context.Context, wf *v1alpha1.Workflow, known *run) error {
	over := func(node string) bool { return known.state.Nodes[node].Phase.Fulfilled() }
	errs := []error{r.locks.sweep(ctx, string(wf.UID), over)}
	var pods corev1.PodList
	if err := r.client.List(ctx, &pods, client.InNamespace(wf.Namespace), client.MatchingLabels{labelWorkflow: wf.Name}); err != nil {
		return errors.Join(append(errs, fmt.Errorf("list pods: %w", err))...)
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		node := pod.Annotations[annotationNodeID]
		phase := phaseOf(pod)
		if !over(node) || !ownedBy(pod, wf) || phase != flow.PodPending && phase != flow.PodRunning {
			continue
		}
		errs = append(errs, r.stopPod(ctx, wf.Namespace, flow.StopPod{NodeID: node, PodName: pod.Name}))
	}
	return errors.Join(errs...)
}
