package cron

import (
	"context"
	"fmt"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow/cron"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func (x *Reconciler) gather(ctx context.Context, c *v1alpha1.CronWorkflow) (cron.World, error) {
	x.mu.Lock()
	seen := x.seen[c.UID]
	x.mu.Unlock()
	w := cron.World{Name: c.Name, Namespace: c.Namespace, Labels: c.Labels, Annotations: c.Annotations,
		Created: c.CreationTimestamp.Time,
		Spec:    c.Spec, Status: c.Status, Seen: seen, Now: x.Now()}
	list := object.WorkflowList()
	if err := x.Client.List(ctx, list, client.InNamespace(c.Namespace),
		client.MatchingLabels{labelCron: c.Name}); err != nil {
		return w, fmt.Errorf("list the runs of cron workflow %s/%s: %w", c.Namespace, c.Name, err)
	}
	for i := range list.Items {
		u := &list.Items[i]
		if !metav1.IsControlledBy(u, c) {
			continue
		}
		phase, _, _ := unstructured.NestedString(u.Object, "status", "phase")
		finished, _, _ := unstructured.NestedString(u.Object, "status", "finishedAt")
		child := cron.Child{Name: u.GetName(), UID: string(u.GetUID()), Phase: v1alpha1.WorkflowPhase(phase)}
		if at, err := time.Parse(time.RFC3339, finished); err == nil {
			child.Finished = at
		}
		w.Children = append(w.Children, child)
	}
	return w, nil
}
