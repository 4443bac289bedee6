package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// model is a one-pod workflow as the runner left it.
type model struct {
	workflow *unstructured.Unstructured
	pod      corev1.Pod
}

// modelOf reads a workflow that ended, and its pod.
func (b *bench) modelOf(ctx context.Context, name string) (model, error) {
	m := model{workflow: b.simulated(name, nil)}
	if err := b.client.Get(ctx, client.ObjectKeyFromObject(m.workflow), m.workflow); err != nil {
		return m, fmt.Errorf("read workflow %s: %w", name, err)
	}
	var pods corev1.PodList
	if err := b.client.List(
		ctx, &pods, client.InNamespace(namespace), client.MatchingLabels{"workflows.argoproj.io/workflow": name},
	); err != nil {
		return m, fmt.Errorf("list the pods of workflow %s: %w", name, err)
	}
	if len(pods.Items) != 1 {
		return m, fmt.Errorf("workflow %s has %d pods, not one", name, len(pods.Items))
	}
	m.pod = pods.Items[0]
	return m, nil
}

// byHand is how many one-pod workflows a second there would be if the runner took no time: the requests that it makes
// for one are made by somebody who knows them beforehand.
func (b *bench) byHand(ctx context.Context, m model) (rate float64, err error) {
	if err := b.scale(ctx, 0); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, b.scale(context.WithoutCancel(ctx), 1)) }()
	list := b.onePod("hand")
	began := time.Now()
	if err := b.runAll(
		ctx,
		list,
		func(ctx context.Context, wf *unstructured.Unstructured) error { return b.copyOf(ctx, m, wf) },
	); err != nil {
		return 0, err
	}
	rate = manyRuns / time.Since(began).Seconds()
	b.sayf("  by hand: %.1f workflows/s", rate)
	return rate, b.sweepWorkflows(ctx)
}

// copyOf makes a workflow and all that the runner makes of it; the pod is ended by who ends all.
func (b *bench) copyOf(ctx context.Context, m model, wf *unstructured.Unstructured) error {
	if err := b.client.Create(ctx, wf); err != nil {
		return err
	}
	pod := m.pod.DeepCopy()
	pod.Name, pod.ResourceVersion, pod.UID = wf.GetName()+"-only", "", ""
	for i := range pod.OwnerReferences {
		pod.OwnerReferences[i].Name, pod.OwnerReferences[i].UID = wf.GetName(), wf.GetUID()
	}
	pod.Status = corev1.PodStatus{}
	if err := b.client.Create(ctx, pod); err != nil {
		return err
	}
	for _, phase := range []v1alpha1.WorkflowPhase{v1alpha1.WorkflowRunning, v1alpha1.WorkflowSucceeded} {
		status, _, _ := unstructured.NestedMap(m.workflow.Object, "status") // a copy
		status["phase"] = string(phase)
		body, err := json.Marshal(
			map[string]any{"metadata": map[string]any{"labels": m.workflow.GetLabels()}, "status": status},
		)
		if err != nil {
			return err
		}
		if err := b.client.Patch(ctx, wf, client.RawPatch("application/merge-patch+json", body)); err != nil {
			return err
		}
	}
	return nil
}
