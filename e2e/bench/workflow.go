package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/argosy-mesh/argosy/libs/kube/object"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	chainSteps = 5
	fanPods    = 40
)

// chain is five pods, one after the other.
func (b *bench) chain(ctx context.Context) ([]Figure, error) {
	steps := []any{}
	for i := range chainSteps {
		steps = append(steps, []any{map[string]any{"name": fmt.Sprintf("s%d", i), "template": "echo"}})
	}
	f := Figure{Job: fmt.Sprintf("chain of %d echo pods", chainSteps), Unit: "s", Aim: OverFloor(10)}
	return b.podJob(
		ctx,
		f,
		podJob{name: "chain", steps: steps, floor: func(ctx context.Context, when ended) (time.Duration, error) {
			return b.bareChain(ctx, chainSteps, when)
		}},
	)
}

// fanout is forty pods at once.
func (b *bench) fanout(ctx context.Context) ([]Figure, error) {
	steps := []any{
		[]any{
			map[string]any{
				"name":         "all",
				"template":     "echo",
				"withSequence": map[string]any{"count": fmt.Sprint(fanPods)},
			},
		},
	}
	f := Figure{Job: fmt.Sprintf("fan-out of %d pods", fanPods), Unit: "s", Aim: OverFloor(15)}
	return b.podJob(
		ctx,
		f,
		podJob{name: "fanout", steps: steps, floor: func(ctx context.Context, when ended) (time.Duration, error) {
			return b.bareFan(ctx, fanPods, when)
		}},
	)
}

// podJob is a workflow and the same pods without one.
type podJob struct {
	name  string
	steps []any
	floor func(context.Context, ended) (time.Duration, error)
}

// podJob runs the floors and the workflow by turns, so that other load on the
// machine falls on all. There are two floors: pods judged by their phase, as most
// clients do, and by their container's end, which is the least that is possible.
func (b *bench) podJob(ctx context.Context, f Figure, job podJob) ([]Figure, error) {
	var phase, container, ours []float64
	for run := range b.Runs {
		measures := []struct {
			into *[]float64
			take func() (time.Duration, error)
		}{
			{&phase, func() (time.Duration, error) { return job.floor(ctx, podSucceeded) }},
			{&container, func() (time.Duration, error) { return job.floor(ctx, containerEnded) }},
			{&ours, func() (time.Duration, error) {
				return b.workflow(ctx, fmt.Sprintf("%s-%d", job.name, run), job.steps)
			}},
		}
		for i := range measures {
			// Each comes first once: what one leaves behind on the node weighs on the next.
			m := measures[(run+i)%len(measures)]
			took, err := m.take()
			if err != nil {
				return nil, err
			}
			if err := errors.Join(b.sweep(ctx), linger(ctx, settled)); err != nil {
				return nil, err
			}
			*m.into = append(*m.into, took.Seconds())
		}
		b.sayf(
			"  run %d: %.2f s, bare pods %.2f s by phase, %.2f s by container", run+1, ours[run], phase[run],
			container[run],
		)
	}
	f.Value, f.Floor, f.Note = SpreadOf(ours), SpreadOf(phase), "floor: pods to phase Succeeded"
	strict := f
	strict.Floor, strict.Note = SpreadOf(container), "floor: containers to their end"
	return []Figure{f, strict}, nil
}

// settled is how long a node is left alone after its pods were removed: the kubelet tears down what the API server has
// forgotten already.
const settled = 5 * time.Second

// linger lets time pass, unless ctx ends.
func linger(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// workflow times one run from its creation to its status saying Succeeded.
func (b *bench) workflow(ctx context.Context, name string, steps []any) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, jobPatience)
	defer cancel()
	list := object.NewList("Workflow")
	w, err := b.client.Watch(ctx, list, client.InNamespace(namespace))
	if err != nil {
		return 0, fmt.Errorf("watch workflows: %w", err)
	}
	defer w.Stop()
	began := time.Now()
	wf := b.workflowObject(name, steps)
	if err := b.client.Create(ctx, wf); err != nil {
		return 0, fmt.Errorf("make workflow %s: %w", name, err)
	}
	if err := succeeded(w, name); err != nil {
		return 0, errors.Join(err, ctx.Err())
	}
	took := time.Since(began)
	if err := b.client.Delete(ctx, wf); client.IgnoreNotFound(err) != nil {
		return 0, fmt.Errorf("remove workflow %s: %w", name, err)
	}
	return took, nil
}

func succeeded(w watch.Interface, name string) error {
	for e := range w.ResultChan() {
		wf, ok := e.Object.(*unstructured.Unstructured)
		if !ok || wf.GetName() != name {
			continue
		}
		phase, _, _ := unstructured.NestedString(wf.Object, "status", "phase")
		message, _, _ := unstructured.NestedString(wf.Object, "status", "message")
		switch v1alpha1.WorkflowPhase(phase) {
		case v1alpha1.WorkflowSucceeded:
			return nil
		case v1alpha1.WorkflowFailed, v1alpha1.WorkflowError:
			return fmt.Errorf("workflow %s is %s: %s", name, phase, message)
		}
	}
	return fmt.Errorf("workflow %s did not end while it was watched", name)
}

func (b *bench) workflowObject(name string, steps []any) *unstructured.Unstructured {
	c := b.echo()
	container := map[string]any{
		"image":           c.Image,
		"imagePullPolicy": string(corev1.PullIfNotPresent),
		"command":         []any{c.Command[0]},
		"args":            []any{c.Args[0]},
	}
	wf := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"entrypoint": "main",
		"templates": []any{
			map[string]any{"name": "main", "steps": steps},
			map[string]any{"name": "echo", "container": container},
		},
	}}}
	wf.SetGroupVersionKind(v1alpha1.Kind("Workflow"))
	wf.SetNamespace(namespace)
	wf.SetName(name)
	return wf
}
