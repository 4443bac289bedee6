package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/kube/object"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	manyRuns   = 300 // one-pod workflows at once
	makersOf   = 8   // of those who make them
	longChain  = 200 // steps of the chain whose reactions are timed: of fewer than 100, the p99 is the slowest
	idleWindow = 10 * time.Second
	// nobody schedules these pods: what is measured is the engine, not the kubelet.
	noScheduler = "bench-simulated"
)

// player ends pods as soon as they are there, instead of a kubelet.
type player struct {
	kube client.WithWatch
	mu   sync.Mutex
	made map[string]time.Time // when a pod was seen first, by name
	done map[string]time.Time // when it was ended
	errs []error
}

// play ends pods until it is stopped.
func (b *bench) play(ctx context.Context) (p *player, stop func()) {
	p = &player{kube: b.client, made: map[string]time.Time{}, done: map[string]time.Time{}}
	ctx, cancel := context.WithCancel(ctx)
	var working sync.WaitGroup
	working.Go(func() {
		p.keep(b.follow(ctx, &corev1.PodList{}, func(o client.Object) bool {
			if pod, ok := o.(*corev1.Pod); ok && p.first(pod.Name) {
				working.Go(func() { p.end(ctx, pod) })
			}
			return false
		}))
	})
	return p, func() { cancel(); working.Wait() }
}

// first reports whether a pod is seen for the first time.
func (p *player) first(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, known := p.made[name]
	if !known {
		p.made[name] = time.Now()
	}
	return !known
}

func (p *player) keep(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.errs = append(p.errs, err)
	}
}

// follow shows each object of a kind and each change of it until enough says so, or ctx ends. A server that falls
// behind ends a watch; the next begins with everything that is there.
func (b *bench) follow(ctx context.Context, list client.ObjectList, enough func(client.Object) bool) error {
	for ctx.Err() == nil {
		w, err := b.client.Watch(ctx, list, client.InNamespace(namespace))
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // it was asked to stop
		case err != nil:
			return fmt.Errorf("watch: %w", err)
		}
		for e := range w.ResultChan() {
			if o, ok := e.Object.(client.Object); ok && e.Type != watch.Deleted && enough(o) {
				w.Stop()
				return nil
			}
		}
		w.Stop()
	}
	return nil
}

func (p *player) end(ctx context.Context, pod *corev1.Pod) {
	ended := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 0, FinishedAt: metav1.Now()}}
	before := pod.DeepCopy()
	pod.Status.Phase = corev1.PodSucceeded
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", State: ended}}
	err := p.kube.Status().Patch(ctx, pod, client.MergeFrom(before))
	if ctx.Err() == nil {
		p.keep(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done[pod.Name] = time.Now()
}

// engine measures the runner alone: its pods are ended the moment they appear.
func (b *bench) engine(ctx context.Context) (figures []Figure, err error) {
	p, stop := b.play(ctx)
	defer func() {
		stop()
		err = errors.Join(append([]error{err}, p.errs...)...)
	}()
	reaction, err := b.reactions(ctx, p)
	if err != nil {
		return nil, err
	}
	figures = append(figures, reaction)
	one, writes, err := b.starts(ctx, "one")
	if err != nil {
		return figures, err
	}
	m, err := b.modelOf(ctx, "one-0")
	if err != nil {
		return figures, err
	}
	if err := b.sweepWorkflows(ctx); err != nil {
		return figures, err
	}
	hand, err := b.byHand(ctx, m)
	if err != nil {
		return figures, err
	}
	figures = append(
		figures,
		Figure{
			Job: "one-pod workflows, 1 runner", Unit: "/s", Value: Once(one), Floor: Once(hand), Aim: AtLeast(50, "/s"),
			Note: "simulated pods; floor: the same requests by hand",
		},
		Figure{
			Job: "API writes per one-pod workflow", Unit: "", Value: Once(writes), Aim: Under(8.5, ""),
			Note: "without its creation and the pod's end",
		},
	)
	if err := b.scale(ctx, 2); err != nil {
		return figures, err
	}
	two, _, err := b.starts(ctx, "two")
	err = errors.Join(err, b.sweepWorkflows(context.WithoutCancel(ctx)))
	if back := b.scale(context.WithoutCancel(ctx), 1); err != nil || back != nil {
		return figures, errors.Join(err, back)
	}
	return append(
		figures,
		Figure{
			Job: "one-pod workflows, 2 runners", Unit: "/s", Value: Once(two), Floor: Once(one),
			Aim: AtLeast(1.8*one, "/s"), Note: "floor: 1 runner",
		},
	), nil
}

// simulated is a workflow whose pods nobody schedules.
func (b *bench) simulated(name string, steps []any) *unstructured.Unstructured {
	wf := b.workflowObject(name, steps)
	_ = unstructured.SetNestedField(wf.Object, noScheduler, "spec", "schedulerName")
	return wf
}

// reactions times how long after the end of a step the pod of the next is there.
func (b *bench) reactions(ctx context.Context, p *player) (Figure, error) {
	steps := []any{}
	for i := range longChain {
		steps = append(steps, []any{map[string]any{"name": fmt.Sprintf("s%d", i), "template": "echo"}})
	}
	if err := b.runAll(ctx, []*unstructured.Unstructured{b.simulated("reaction", steps)}, b.make); err != nil {
		return Figure{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var made []time.Time
	ends := map[time.Time]time.Time{}
	for name, at := range p.made {
		if strings.HasPrefix(name, "reaction-") {
			made = append(made, at)
			ends[at] = p.done[name]
		}
	}
	slices.SortFunc(made, time.Time.Compare)
	var took []float64
	for i := 1; i < len(made); i++ {
		took = append(took, made[i].Sub(ends[made[i-1]]).Seconds()*1000)
	}
	if len(took) < longChain-1 {
		return Figure{}, fmt.Errorf("only %d of %d pods were seen", len(made), longChain)
	}
	slices.Sort(took)
	b.sayf("  step to step: median %.1f ms, p99 %.1f ms", took[len(took)/2], took[len(took)*99/100])
	return Figure{
		Job:   "step to next pod, p99",
		Unit:  "ms",
		Value: Once(took[len(took)*99/100]),
		Aim:   Under(50, "ms"),
		Note:  fmt.Sprintf("median %.1f ms, %d steps", took[len(took)/2], len(took)),
	}, nil
}

// starts runs many one-pod workflows at once, and returns how many a second, and how
// often each made the API server write. The workflows stay.
func (b *bench) starts(ctx context.Context, name string) (rate, writes float64, err error) {
	idle, err := b.writes(ctx)
	if err != nil {
		return 0, 0, err
	}
	if err := linger(ctx, idleWindow); err != nil {
		return 0, 0, err
	}
	before, err := b.writes(ctx)
	if err != nil {
		return 0, 0, err
	}
	list := b.onePod(name)
	began := time.Now()
	if err := b.runAll(ctx, list, b.make); err != nil {
		return 0, 0, err
	}
	took := time.Since(began)
	after, err := b.writes(ctx)
	if err != nil {
		return 0, 0, err
	}
	others := (before - idle) / idleWindow.Seconds() * took.Seconds()
	rate = manyRuns / took.Seconds()
	writes = (after-before-others)/manyRuns - 2 // ours: its creation, and the end of its pod
	b.sayf("  %s: %.1f workflows/s, %.1f writes each", name, rate, writes)
	return rate, writes, nil
}

// onePod are many workflows with one step.
func (b *bench) onePod(name string) (list []*unstructured.Unstructured) {
	for i := range manyRuns {
		list = append(
			list,
			b.simulated(
				fmt.Sprintf("%s-%d", name, i), []any{[]any{map[string]any{"name": "only", "template": "echo"}}},
			),
		)
	}
	return list
}

// make makes a workflow for the runner to run.
func (b *bench) make(ctx context.Context, wf *unstructured.Unstructured) error {
	return b.client.Create(ctx, wf)
}

// runAll makes workflows, some at once, and waits until all have succeeded.
func (b *bench) runAll(
	ctx context.Context, list []*unstructured.Unstructured,
	each func(context.Context, *unstructured.Unstructured) error,
) error {
	ctx, cancel := context.WithTimeout(ctx, jobPatience)
	defer cancel()
	errs := make(chan error, len(list))
	go makeAll(ctx, list, each, errs)
	open := map[string]bool{}
	for _, wf := range list {
		open[wf.GetName()] = true
	}
	kinds := object.NewList("Workflow")
	var failed error
	err := b.follow(ctx, kinds, func(o client.Object) bool {
		select {
		case failed = <-errs:
			return true
		default:
		}
		wf, ok := o.(*unstructured.Unstructured)
		if !ok || !open[wf.GetName()] {
			return false
		}
		phase, _, _ := unstructured.NestedString(wf.Object, "status", "phase")
		if v1alpha1.WorkflowPhase(phase).Completed() {
			delete(open, wf.GetName())
			if phase != string(v1alpha1.WorkflowSucceeded) {
				failed = fmt.Errorf("workflow %s is %s", wf.GetName(), phase)
			}
		}
		return failed != nil || len(open) == 0
	})
	if err := errors.Join(err, failed); err != nil {
		return err
	}
	if len(open) > 0 {
		return fmt.Errorf("%d workflows did not end: %w", len(open), ctx.Err())
	}
	return nil
}

// makeAll does something for each workflow, for some at once.
func makeAll(
	ctx context.Context, list []*unstructured.Unstructured,
	each func(context.Context, *unstructured.Unstructured) error, errs chan<- error,
) {
	slots := make(chan struct{}, makersOf)
	for _, wf := range list {
		slots <- struct{}{}
		go func() {
			defer func() { <-slots }()
			if err := each(ctx, wf); err != nil {
				errs <- fmt.Errorf("make workflow %s: %w", wf.GetName(), err)
			}
		}()
	}
}

func (b *bench) sweepWorkflows(ctx context.Context) error {
	wf := object.New("Workflow")
	if err := b.client.DeleteAllOf(ctx, wf, client.InNamespace(namespace)); err != nil {
		return fmt.Errorf("remove workflows: %w", err)
	}
	return b.await(ctx, cleanPatience, "the end of their pods", func() (bool, error) {
		var pods corev1.PodList
		if err := b.client.DeleteAllOf(
			ctx, &corev1.Pod{}, client.InNamespace(namespace), client.GracePeriodSeconds(0),
		); err != nil {
			return false, err
		}
		err := b.client.List(ctx, &pods, client.InNamespace(namespace))
		return len(pods.Items) == 0, err
	})
}

// scale sets the number of runners and waits until they are ready.
func (b *bench) scale(ctx context.Context, replicas int32) error {
	return b.scaleTo(ctx, runnerService, replicas)
}

// runnerService is the deployment of the runners.
const runnerService = "workflow-runner"

func (b *bench) scaleTo(ctx context.Context, service string, replicas int32) error {
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: control, Name: service}}
	change := client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas))
	if err := b.client.Patch(ctx, d, change); err != nil {
		return fmt.Errorf("scale %s to %d: %w", service, replicas, err)
	}
	return b.await(ctx, cleanPatience, fmt.Sprintf("%d of %s", replicas, service), func() (bool, error) {
		err := b.client.Get(ctx, client.ObjectKeyFromObject(d), d)
		return d.Status.ReadyReplicas == replicas && d.Status.Replicas == replicas, err
	})
}

// written finds the API server's count of requests that write.
var written = regexp.MustCompile(
	`^apiserver_request_total\{.*verb="(?:POST|PUT|PATCH|APPLY|DELETE|DELETECOLLECTION)".*\} (\S+)$`,
)

// writes is how many requests that write the API server has answered.
func (b *bench) writes(ctx context.Context) (float64, error) {
	cfg, err := clientcmd.BuildConfigFromFlags("", b.Kubeconfig)
	if err != nil {
		return 0, err
	}
	c, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, cfg.Host+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	res, err := c.Do(req)
	if err != nil {
		return 0, fmt.Errorf("read the API server's metrics: %w", err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	total := 0.0
	for lines.Scan() {
		if m := written.FindStringSubmatch(lines.Text()); m != nil {
			n, err := strconv.ParseFloat(m[1], 64)
			if err != nil {
				return 0, err
			}
			total += n
		}
	}
	return total, lines.Err()
}

// executorImage is the size of what every pod with outputs needs besides its own image.
func (b *bench) executorImage(ctx context.Context) ([]Figure, error) {
	var nodes corev1.NodeList
	if err := b.client.List(ctx, &nodes); err != nil {
		return nil, fmt.Errorf("list nodes: %w", err)
	}
	for i := range nodes.Items {
		for _, image := range nodes.Items[i].Status.Images {
			if slices.ContainsFunc(
				image.Names,
				func(name string) bool { return strings.Contains(name, "/executor:") },
			) {
				return []Figure{
					{
						Job: "executor image", Unit: "MB", Value: Once(float64(image.SizeBytes) / 1e6),
						Aim: Under(10, "MB"), Note: "as the node stores it",
					},
				}, nil
			}
		}
	}
	return nil, errors.New("no node has an image of the executor")
}
