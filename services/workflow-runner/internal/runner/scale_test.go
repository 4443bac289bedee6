package runner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/kube/kubetest"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/parallel"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/pods"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/status"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// player ends pods the moment they appear, and remembers when that was.
type player struct {
	kube client.WithWatch
	mu   sync.Mutex
	made map[string]time.Time
	done map[string]time.Time
	errs int
	last error
}

func (c *cluster) player() *player {
	c.t.Helper()
	k, err := client.NewWithWatch(kubetest.Load(c.t, c.kubeconfig), client.Options{})
	if err != nil {
		c.t.Fatal(err)
	}
	p := &player{kube: k, made: map[string]time.Time{}, done: map[string]time.Time{}}
	ctx, cancel := context.WithCancel(context.Background())
	pods := make(chan *corev1.Pod, 10_000)
	var working sync.WaitGroup
	working.Go(func() { defer close(pods); p.watch(ctx, pods) })
	for range 8 {
		working.Go(func() {
			for pod := range pods {
				p.end(ctx, pod)
			}
		})
	}
	c.t.Cleanup(func() { cancel(); working.Wait() })
	return p
}

func (p *player) watch(ctx context.Context, pods chan<- *corev1.Pod) {
	for ctx.Err() == nil {
		w, err := p.kube.Watch(ctx, &corev1.PodList{}, client.InNamespace("ci"))
		if err != nil {
			return
		}
		for e := range w.ResultChan() {
			pod, ok := e.Object.(*corev1.Pod)
			if !ok || e.Type == watch.Deleted {
				continue
			}
			p.mu.Lock()
			_, seen := p.made[pod.Name]
			if !seen {
				p.made[pod.Name] = time.Now()
			}
			p.mu.Unlock()
			if !seen {
				pods <- pod
			}
		}
	}
}

func (p *player) end(ctx context.Context, pod *corev1.Pod) {
	before := pod.DeepCopy()
	pod.Status.Phase = corev1.PodSucceeded
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: pods.MainContainer, State: corev1.ContainerState{
		Terminated: &corev1.ContainerStateTerminated{FinishedAt: metav1.Now()}}}}
	err := p.kube.Status().Patch(ctx, pod, client.MergeFrom(before))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done[pod.Name] = time.Now()
	if err != nil && ctx.Err() == nil {
		p.errs, p.last = p.errs+1, err
	}
}

// process runs one replica as a process of its own, and returns its id.
func (c *cluster) process(instance string) int {
	c.t.Helper()
	self, err := os.Executable()
	if err != nil {
		c.t.Fatal(err)
	}
	args := []string{"--kubeconfig", c.kubeconfig, "--nats-url", c.server.URL(), "--http-address", "127.0.0.1:0",
		"--instance", instance, "--log-level", "error"}
	child := exec.Command(self)
	child.Stderr = os.Stderr
	child.Env = append(os.Environ(), childVariable+"="+strings.Join(args, "\n"))
	if err := child.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = child.Process.Kill(); _ = child.Wait() })
	return child.Process.Pid
}

// highest is the most memory that a process ever held, in bytes.
func highest(t testing.TB, pid int) int64 {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(raw), "VmHWM:")
	kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kb << 10
}

func (c *cluster) submitted(manifest string) {
	c.t.Helper()
	wf := object.Workflow()
	if err := yaml.Unmarshal([]byte(manifest), &wf.Object); err != nil {
		c.t.Fatal(err)
	}
	if err := c.kube.Create(context.Background(), wf); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) status(name string) (phase, progress string, size int) {
	c.t.Helper()
	wf := object.Workflow()
	if err := c.kube.Get(context.Background(), client.ObjectKey{Namespace: "ci", Name: name}, wf); err != nil {
		c.t.Fatal(err)
	}
	phase, _, _ = unstructured.NestedString(wf.Object, "status", "phase")
	progress, _, _ = unstructured.NestedString(wf.Object, "status", "progress")
	return phase, progress, len(object.JSON(wf.Object["status"]))
}

const wideManifest = `
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: wide, namespace: ci}
spec:
  entrypoint: main
  schedulerName: nobody
  podGC: {strategy: OnPodCompletion, deleteDelayDuration: 0s}
  templates:
  - name: main
    steps:
    - - {name: each, template: one, arguments: {parameters: [{name: i, value: "{{item}}"}]}, withSequence: {count: "%d"}}
  - name: one
    inputs: {parameters: [{name: i}]}
    container: {image: busybox, command: ["true"], args: ["{{inputs.parameters.i}}"]}
`

// nodesOf is how many nodes the scale tests run: few, or as many as the environment says.
func nodesOf(t testing.TB, fallback int) int {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv("ARGOSY_NODES"))
	if err != nil {
		return fallback
	}
	return n
}

// A loop of thousands of pods runs in the memory of one, and its status stays small.
func TestAWideRunFitsIntoItsBounds(t *testing.T) {
	n := nodesOf(t, 1200)
	t.Parallel()
	c := start(t)
	pid := c.process("a")
	p := c.player()
	began := time.Now()
	c.submitted(fmt.Sprintf(wideManifest, n))
	largest, told := 0, time.Now()
	c.awaitFor(time.Hour, "the run ends", func() error {
		phase, progress, size := c.status("wide")
		if largest = max(largest, size); time.Since(told) > 10*time.Second {
			told = time.Now()
			t.Logf("%s %s, %s, %d MiB", time.Since(began).Round(time.Second), phase, progress, highest(t, pid)>>20)
		}
		if phase != string(v1alpha1.WorkflowSucceeded) {
			return fmt.Errorf("%s %s", phase, progress)
		}
		return nil
	})
	took := time.Since(began)
	bytes, entries := c.journal()
	t.Logf("%d nodes in %s: %.0f/s; %d MiB at most; journal %d entries with %.1f MB; status at most %d KiB", n,
		took.Round(time.Second), float64(n)/took.Seconds(),
		highest(t, pid)>>20, entries, float64(bytes)/1e6, largest>>10)
	if p.errs > 0 {
		t.Logf("%d pods were not ended: %v", p.errs, p.last)
	}
	if len(p.made) != n {
		t.Errorf("%d pods for %d nodes", len(p.made), n)
	}
	if largest > status.Limit {
		t.Errorf("the status had %d bytes", largest)
	}
	if most := highest(t, pid); most > 1<<30 {
		t.Errorf("the runner held %d MiB", most>>20)
	}
}

// journal is the size of the journal of all runs.
func (c *cluster) journal() (bytes, entries int) {
	c.t.Helper()
	list, err := c.bus.Read(context.Background(), bus.Runs, "runs.>")
	if err != nil {
		c.t.Fatal(err)
	}
	for _, d := range list {
		bytes += len(d.Data())
	}
	return bytes, len(list)
}

const onePodManifest = `
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: %s, namespace: ci}
spec:
  entrypoint: main
  schedulerName: nobody
  templates:
  - {name: main, steps: [[{name: only, template: echo}]]}
  - {name: echo, container: {image: busybox, command: ["true"]}}
`

// BenchmarkOnePodWorkflows starts many at once, with one replica and with two.
func BenchmarkOnePodWorkflows(b *testing.B) {
	c := start(b)
	c.player()
	for replicas := range 2 {
		c.process(string(rune('a' + replicas)))
		name := fmt.Sprintf("with-%d", replicas+1)
		c.oneOf(name + "-warm")
		b.Run(name, func(b *testing.B) {
			for i := range b.N {
				rate := c.many(fmt.Sprintf("%s-%d-%d", name, b.N, i), nodesOf(b, 300))
				b.ReportMetric(rate, "workflows/s")
			}
		})
	}
}

// BenchmarkShares holds each replica to a quarter of a core, and says what one workflow cost all of them. It needs
// ARGOSY_CGROUP, a folder of the first version of control groups that it may make groups in.
func BenchmarkShares(b *testing.B) {
	c := start(b)
	c.player()
	var pids []int
	for replicas := range 2 {
		pids = append(pids, c.process(string(rune('a'+replicas))))
		name := fmt.Sprintf("with-%d", replicas+1)
		c.oneOf(name + "-warm")
		hold(b, pids[replicas])
		b.Run(name, func(b *testing.B) {
			for i := range b.N {
				n := nodesOf(b, 300)
				before := spent(b, pids...)
				rate := c.many(fmt.Sprintf("%s-%d-%d", name, b.N, i), n)
				b.ReportMetric(rate, "workflows/s")
				b.ReportMetric((spent(b, pids...)-before)*1000/float64(n), "ms-CPU/workflow")
			}
		})
	}
}

// hold lets a process have a quarter of a core, if there is a group of control groups to do so in.
func hold(b *testing.B, pid int) {
	b.Helper()
	root := os.Getenv("ARGOSY_CGROUP")
	if root == "" {
		return
	}
	dir := filepath.Join(root, fmt.Sprintf("shares-%d", pid))
	err := errors.Join(os.Mkdir(dir, 0o755),
		os.WriteFile(filepath.Join(dir, "cpu.cfs_quota_us"), []byte("25000"), 0o600),
		os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o600))
	if err != nil {
		b.Fatal(err)
	}
}

// spent is the CPU of processes so far, in seconds.
func spent(b *testing.B, pids ...int) (seconds float64) {
	b.Helper()
	for _, pid := range pids {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			b.Fatal(err)
		}
		fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
		for _, field := range fields[11:13] {
			ticks, err := strconv.ParseFloat(field, 64)
			if err != nil {
				b.Fatal(err)
			}
			seconds += ticks / 100
		}
	}
	return seconds
}

func (c *cluster) oneOf(name string) { c.many(name, 1) }

// many runs workflows of one pod each and returns how many ended a second.
func (c *cluster) many(name string, n int) float64 {
	c.t.Helper()
	k, err := client.NewWithWatch(kubetest.Load(c.t, c.kubeconfig), client.Options{})
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	began := time.Now()
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	go func() {
		_ = parallel.Do(8, list, func(i int) error {
			c.submitted(fmt.Sprintf(onePodManifest,
				fmt.Sprintf("%s-%d", name, i)))
			return nil
		})
	}()
	ended := map[string]bool{}
	// A server that falls behind ends a watch; the next begins with everything that is there.
	for ctx.Err() == nil && len(ended) < n {
		w, err := k.Watch(ctx, object.WorkflowList(), client.InNamespace("ci"))
		if err != nil {
			c.t.Fatal(err)
		}
		for e := range w.ResultChan() {
			u, ok := e.Object.(*unstructured.Unstructured)
			if !ok || !strings.HasPrefix(u.GetName(), name+"-") {
				continue
			}
			phase, _, _ := unstructured.NestedString(u.Object, "status", "phase")
			if phase == string(v1alpha1.WorkflowSucceeded) {
				ended[u.GetName()] = true
			}
			if len(ended) == n {
				break
			}
		}
		w.Stop()
	}
	if len(ended) < n {
		c.t.Fatalf("%d of %d workflows did not end", n-len(ended), n)
	}
	return float64(n) / time.Since(began).Seconds()
}

// BenchmarkReaction times how long after the end of a step the pod of the next is there.
func BenchmarkReaction(b *testing.B) {
	c := start(b)
	p := c.player()
	c.process("a")
	c.oneOf("warm")
	const length = 50
	for i := range b.N {
		name := fmt.Sprintf("chain-%d-%d", b.N, i)
		var steps strings.Builder
		for s := range length {
			fmt.Fprintf(&steps, "[{name: s%d, template: echo}], ", s)
		}
		c.submitted(strings.Replace(fmt.Sprintf(onePodManifest, name), "[{name: only, template: echo}]",
			strings.TrimSuffix(steps.String(), ", "), 1))
		c.await("the chain ends", func() error {
			if phase, _, _ := c.status(name); phase != string(v1alpha1.WorkflowSucceeded) {
				return fmt.Errorf("it is %s", phase)
			}
			return nil
		})
		took := p.reactions(name)
		b.ReportMetric(took[len(took)/2], "ms-median")
		b.ReportMetric(took[len(took)*99/100], "ms-p99")
	}
}

func (p *player) reactions(workflow string) []float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	var made []time.Time
	ends := map[time.Time]time.Time{}
	for name, at := range p.made {
		if strings.HasPrefix(name, workflow+"-") {
			made = append(made, at)
			ends[at] = p.done[name]
		}
	}
	slices.SortFunc(made, time.Time.Compare)
	var took []float64
	for i := 1; i < len(made); i++ {
		took = append(took, made[i].Sub(ends[made[i-1]]).Seconds()*1000)
	}
	slices.Sort(took)
	return took
}
