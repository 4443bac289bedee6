package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	runStream    = "RUNS"
	widePatience = 2 * time.Hour
	wideTick     = time.Second
	wideWord     = 15 * time.Second // how often it says how far it is
)

// wide is one workflow with a loop over very many pods, which are ended the moment they appear.
func (b *bench) wide(ctx context.Context) (figures []Figure, err error) {
	ctx, cancel := context.WithTimeout(ctx, widePatience)
	defer cancel()
	store, err := b.busAs(ctx, "workflow-runner")
	if err != nil {
		return nil, err
	}
	defer store.close()
	before, err := store.stored(ctx, runStream)
	if err != nil {
		return nil, err
	}
	p, stop := b.play(ctx)
	defer func() {
		stop()
		err = errors.Join(append([]error{err}, p.errs...)...)
	}()
	seen, took, err := b.watchWide(ctx)
	if err != nil {
		return nil, err
	}
	after, err := store.stored(ctx, runStream)
	if err != nil {
		return nil, err
	}
	note := fmt.Sprintf("%d pods in one loop, simulated", b.Wide)
	return []Figure{
		{Job: "nodes of one wide workflow", Unit: "/s", Value: Once(float64(b.Wide) / took.Seconds()), Note: note},
		{
			Job: "memory of workflow-runner, most", Unit: "MiB", Value: Once(seen.memory / (1 << 20)),
			Aim: Under(1024, "MiB"), Note: note,
		},
		{
			Job: "status of the wide workflow, most", Unit: "KiB", Value: Once(float64(seen.status) / (1 << 10)),
			Aim: Under(512, "KiB"), Note: note,
		},
		{Job: "journal of the wide workflow", Unit: "MB", Value: Once((after - before) / 1e6), Note: note},
	}, b.sweepWorkflows(ctx)
}

// sights are the most that was seen.
type sights struct {
	memory float64 // of the runner, in bytes
	status int     // of the workflow, in bytes
}

// watchWide runs the wide workflow to its end.
func (b *bench) watchWide(ctx context.Context) (seen sights, took time.Duration, err error) {
	wf := b.simulated(
		"wide",
		[]any{
			[]any{
				map[string]any{
					"name":         "each",
					"template":     "echo",
					"withSequence": map[string]any{"count": fmt.Sprint(b.Wide)},
				},
			},
		},
	)
	gc := map[string]any{"strategy": "OnPodCompletion", "deleteDelayDuration": "0s"}
	if err := unstructured.SetNestedMap(wf.Object, gc, "spec", "podGC"); err != nil {
		return seen, 0, err
	}
	began := time.Now()
	if err := b.client.Create(ctx, wf); err != nil {
		return seen, 0, fmt.Errorf("make the wide workflow: %w", err)
	}
	tick := time.NewTicker(wideTick)
	defer tick.Stop()
	told := began
	for {
		select {
		case <-ctx.Done():
			return seen, 0, ctx.Err()
		case <-tick.C:
		}
		phase, progress, err := b.look(ctx, wf, &seen)
		if err != nil {
			return seen, 0, err
		}
		if time.Since(told) > wideWord {
			told = time.Now()
			b.sayf("  %s, runner %.0f MiB at most", progress, seen.memory/(1<<20))
		}
		switch {
		case phase == v1alpha1.WorkflowSucceeded:
			return seen, time.Since(began), nil
		case phase.Completed():
			return seen, 0, fmt.Errorf("the wide workflow is %s", phase)
		}
	}
}

// look takes in how large the runner and the status are.
func (b *bench) look(
	ctx context.Context, wf *unstructured.Unstructured, seen *sights,
) (phase v1alpha1.WorkflowPhase, progress string, err error) {
	now := &unstructured.Unstructured{}
	now.SetGroupVersionKind(wf.GroupVersionKind())
	if err := b.client.Get(ctx, client.ObjectKeyFromObject(wf), now); err != nil {
		return "", "", fmt.Errorf("look at the wide workflow: %w", err)
	}
	status, _, _ := unstructured.NestedMap(now.Object, "status")
	text, err := (&unstructured.Unstructured{Object: map[string]any{"kind": "Status", "status": status}}).MarshalJSON()
	if err != nil {
		return "", "", err
	}
	seen.status = max(seen.status, len(text))
	memory, err := b.memoryOf(ctx, "workflow-runner")
	if err != nil {
		return "", "", err
	}
	seen.memory = max(seen.memory, memory)
	said, _ := status["phase"].(string)
	progress, _ = status["progress"].(string)
	return v1alpha1.WorkflowPhase(said), progress, nil
}

// memoryOf is the most that one of the processes of a service holds now, in bytes.
func (b *bench) memoryOf(ctx context.Context, service string) (most float64, err error) {
	var pods corev1.PodList
	if err := b.client.List(ctx, &pods, client.InNamespace(control)); err != nil {
		return 0, fmt.Errorf("list the services' pods: %w", err)
	}
	for i := range pods.Items {
		p := &pods.Items[i]
		if !strings.HasPrefix(p.Name, service+"-") || p.Status.Phase != corev1.PodRunning ||
			p.DeletionTimestamp != nil {
			continue
		}
		bytes, err := metric(ctx, p.Status.PodIP, "process_resident_memory_bytes")
		if err != nil {
			return most, fmt.Errorf("memory of %s: %w", p.Name, err)
		}
		most = max(most, bytes)
	}
	return most, nil
}
