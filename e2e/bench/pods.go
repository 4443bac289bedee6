package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// jobPatience bounds one run of a pod job.
const jobPatience = 3 * time.Minute

// echo is the container of every pod that is measured, bare or of a workflow.
func (b *bench) echo() corev1.Container {
	return corev1.Container{
		Name: "main", Image: b.Image, ImagePullPolicy: corev1.PullIfNotPresent, Command: []string{"echo"},
		Args: []string{"hello"},
	}
}

func (b *bench) barePod(name string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name, Labels: map[string]string{"argosy-bench": "bare"},
		},
		Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{b.echo()}},
	}
}

// ended says when a bare pod counts as done.
type ended func(*corev1.Pod) bool

// podSucceeded is what the pod's phase says. The kubelet says it up to a second
// after the program has ended.
func podSucceeded(pod *corev1.Pod) bool { return pod.Status.Phase == corev1.PodSucceeded }

// containerEnded is what the container's state says, which is final where nothing
// is restarted. It is the earliest that anybody outside the node can know.
func containerEnded(pod *corev1.Pod) bool {
	for _, c := range pod.Status.ContainerStatuses {
		if t := c.State.Terminated; t != nil && t.ExitCode == 0 {
			return true
		}
	}
	return podSucceeded(pod)
}

// bareChain makes pods one after the other, each when the one before ended.
func (b *bench) bareChain(ctx context.Context, count int, when ended) (time.Duration, error) {
	return b.barePods(ctx, count, when, func(ctx context.Context, finished <-chan string) error {
		for i := range count {
			name := fmt.Sprintf("chain-%d", i)
			if err := b.client.Create(ctx, b.barePod(name)); err != nil {
				return fmt.Errorf("make pod %s: %w", name, err)
			}
			if err := takeAll(ctx, finished, 1); err != nil {
				return err
			}
		}
		return nil
	})
}

// bareFan makes all pods at once.
func (b *bench) bareFan(ctx context.Context, count int, when ended) (time.Duration, error) {
	return b.barePods(ctx, count, when, func(ctx context.Context, finished <-chan string) error {
		errs := make([]error, count)
		var wg sync.WaitGroup
		for i := range count {
			wg.Go(func() { errs[i] = b.client.Create(ctx, b.barePod(fmt.Sprintf("fan-%d", i))) })
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			return fmt.Errorf("make pods: %w", err)
		}
		return takeAll(ctx, finished, count)
	})
}

// barePods times work, which is told the name of each pod that ended.
func (b *bench) barePods(
	ctx context.Context, count int, when ended, work func(context.Context, <-chan string) error,
) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, jobPatience)
	defer cancel()
	w, err := b.client.Watch(
		ctx, &corev1.PodList{}, client.InNamespace(namespace), client.MatchingLabels{"argosy-bench": "bare"},
	)
	if err != nil {
		return 0, fmt.Errorf("watch pods: %w", err)
	}
	defer w.Stop()
	finished := make(chan string, count)
	go tellFinished(w, when, finished)
	began := time.Now()
	if err := work(ctx, finished); err != nil {
		return 0, err
	}
	return time.Since(began), nil
}

// tellFinished sends each pod that ended once, and closes out when the watch
// ends or a pod failed.
func tellFinished(w watch.Interface, when ended, out chan<- string) {
	defer close(out)
	told := map[string]bool{}
	for e := range w.ResultChan() {
		pod, ok := e.Object.(*corev1.Pod)
		if !ok || e.Type == watch.Deleted || told[pod.Name] {
			continue
		}
		switch {
		case pod.Status.Phase == corev1.PodFailed:
			return
		case when(pod):
			told[pod.Name] = true
			out <- pod.Name
		}
	}
}

func takeAll(ctx context.Context, finished <-chan string, count int) error {
	for range count {
		select {
		case _, ok := <-finished:
			if !ok {
				return errors.New("a bare pod failed, or the watch of pods broke")
			}
		case <-ctx.Done():
			return fmt.Errorf("wait for a bare pod: %w", ctx.Err())
		}
	}
	return nil
}

// sweep removes the pods and waits until they are gone, so that their end does not
// weigh on the next measurement.
func (b *bench) sweep(ctx context.Context) error {
	if err := b.client.DeleteAllOf(
		ctx, &corev1.Pod{}, client.InNamespace(namespace), client.GracePeriodSeconds(0),
	); err != nil {
		return fmt.Errorf("remove pods: %w", err)
	}
	return b.await(ctx, time.Minute, "the end of the pods", func() (bool, error) {
		var left corev1.PodList
		err := b.client.List(ctx, &left, client.InNamespace(namespace))
		return len(left.Items) == 0, err
	})
}
