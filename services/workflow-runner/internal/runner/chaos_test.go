package runner

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/flow/protocol"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/lock"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/pods"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// childVariable makes the test's own program the service, with these arguments.
const childVariable = "ARGOSY_TEST_RUNNER"

func TestMain(m *testing.M) {
	if args := os.Getenv(childVariable); args != "" {
		if err := Run(context.Background(), strings.Split(args, "\n"), func(string) string { return "" },
			os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// wire carries a runner's connection to the bus, and sees what it writes: it can
// take the power away right before, or right after, a write reaches the bus.
type wire struct {
	t      *testing.T
	target string
	listen net.Listener
	writes []string // how the subjects of the writes begin that it kills at
	deeper bool     // each life gets one point further than the one before

	mu    sync.Mutex
	child *exec.Cmd
	seen  int // writes of this life
	kills int // how many were done
	limit int
}

// newWire makes one that kills at the entries of journals.
func newWire(t *testing.T, server string, limit int) *wire {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{t: t, target: u.Host, listen: listener, limit: limit, writes: []string{"runs."}}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go w.carry(c)
		}
	}()
	return w
}

func (w *wire) carry(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", w.target)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	go func() {
		defer func() { _ = client.Close() }()
		_, _ = io.Copy(client, server)
	}()
	_ = w.watch(bufio.NewReader(client), server)
}

// watch forwards the client's side of the protocol of NATS, message by message.
func (w *wire) watch(from *bufio.Reader, to io.Writer) error {
	for {
		line, err := from.ReadString('\n')
		if err != nil {
			return err
		}
		words := strings.Fields(line)
		message := []byte(line)
		entry := false
		if len(words) > 2 && (words[0] == "PUB" || words[0] == "HPUB") {
			size, err := strconv.Atoi(words[len(words)-1])
			if err != nil {
				return err
			}
			payload := make([]byte, size+2)
			if _, err := io.ReadFull(from, payload); err != nil {
				return err
			}
			message = append(message, payload...)
			entry = slices.ContainsFunc(w.writes, func(prefix string) bool {
				return strings.HasPrefix(words[1], prefix)
			})
		}
		if entry && w.cut(true) {
			return errors.New("cut before an entry")
		}
		if _, err := to.Write(message); err != nil {
			return err
		}
		if entry && w.cut(false) {
			return errors.New("cut after an entry")
		}
	}
}

// cut kills the child when it is its turn: every second life ends before a write, and
// every other right after it. That is the first of its life, or one further from life
// to life.
func (w *wire) cut(before bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !before {
		defer func() { w.seen++ }()
	}
	if w.child == nil || w.kills >= w.limit || before != (w.kills%2 == 0) || w.deeper && w.seen != w.kills/2 {
		return false
	}
	w.kills++
	if err := w.child.Process.Kill(); err != nil {
		w.t.Error(err)
	}
	w.child = nil
	return true
}

func (w *wire) killed() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.kills
}

// live runs one life of a runner after the other until ctx ends.
func (c *cluster) live(ctx context.Context, w *wire) {
	self, err := os.Executable()
	if err != nil {
		c.t.Error(err)
		return
	}
	for life := 0; ctx.Err() == nil; life++ {
		args := []string{"--kubeconfig", c.kubeconfig, "--nats-url", "nats://" + w.listen.Addr().String(),
			"--http-address",
			"127.0.0.1:0", "--instance", "runner", "--log-level", "error"}
		child := exec.CommandContext(ctx, self)
		child.Env = append(os.Environ(), childVariable+"="+strings.Join(args, "\n"))
		w.mu.Lock()
		err := child.Start()
		w.child, w.seen = child, 0
		w.mu.Unlock()
		if err != nil {
			c.t.Error(err)
			return
		}
		_ = child.Wait()
	}
}

const chaosManifest = `
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: chaos, namespace: ci}
spec:
  entrypoint: main
  templates:
  - name: main
    dag:
      tasks:
      - {name: flaky, template: flaky}
      - {name: make, template: make}
      - {name: fan, template: run, depends: flaky, withSequence: {count: 20}}
      - {name: one, template: alone, depends: flaky}
      - {name: two, template: alone, depends: flaky}
      - {name: three, template: alone, depends: flaky}
      - {name: use, template: use, depends: "make && fan", arguments: {artifacts: [{name: a, from: "{{tasks.make.outputs.artifacts.a}}"}]}}
      - {name: again, template: again, depends: flaky}
      - {name: pair, template: pair, depends: flaky, withSequence: {count: 4}}
      - {name: end, template: run, depends: "use && one && two && three && again && pair"}
  - {name: run, container: {image: busybox, command: ["true"]}}
  - {name: flaky, retryStrategy: {limit: 2}, container: {image: busybox, command: ["true"]}}
  - {name: alone, synchronization: {mutexes: [{name: m}]}, container: {image: busybox, command: ["true"]}}
  - {name: again, retryStrategy: {limit: 2}, synchronization: {mutexes: [{name: m}]}, container: {image: busybox, command: ["true"]}}
  - {name: pair, synchronization: {semaphores: [{configMapKeyRef: {name: sizes, key: pairs}}]}, container: {image: busybox, command: ["true"]}}
  - {name: make, container: {image: busybox, command: ["true"]}, outputs: {artifacts: [{name: a, path: /a}]}}
  - {name: use, inputs: {artifacts: [{name: a, path: /a}]}, container: {image: busybox, command: ["true"]}}
`

// A runner that is killed at every entry that it records, before it and after it,
// does what one does that lives: the same tree, one pod per node, no lock left.
func TestARunnerKilledAtEveryEntryChangesNothing(t *testing.T) {
	t.Parallel()
	c := start(t)
	w := newWire(t, c.server.URL(), 1000)
	ctx, cancel := context.WithCancel(t.Context())
	var lives sync.WaitGroup
	lives.Go(func() { c.live(ctx, w) })
	t.Cleanup(func() { cancel(); lives.Wait() })
	wf := object.Workflow()
	if err := yaml.Unmarshal([]byte(chaosManifest), &wf.Object); err != nil {
		t.Fatal(err)
	}
	if err := c.kube.Create(t.Context(), wf); err != nil {
		t.Fatal(err)
	}
	sizes := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "ci", Name: "sizes"},
		Data: map[string]string{"pairs": "2"}}
	if err := c.kube.Create(t.Context(), sizes); err != nil {
		t.Fatal(err)
	}
	created := map[string]string{} // uid of each pod by name
	pace := &pace{wire: w}
	var most holding
	c.awaitFor(10*time.Minute, "the run ends", func() error {
		var now holding
		for _, p := range c.pods() {
			if uid, known := created[p.Name]; known && uid != string(p.UID) {
				t.Errorf("pod %s was made twice", p.Name)
			}
			created[p.Name] = string(p.UID)
			if p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
				continue
			}
			now.see(p.Annotations[object.AnnotationNodeName])
			if !pace.due() {
				continue
			}
			if err := c.play(&p); err != nil && !apierrors.IsConflict(err) {
				return err
			}
		}
		most.alone, most.paired = max(most.alone, now.alone), max(most.paired, now.paired)
		for _, wf := range c.workflows() {
			if wf.Status.Phase.Completed() {
				return nil
			}
		}
		return fmt.Errorf("%d pods, %d kills", len(created), w.killed())
	})
	c.judgeChaos(len(created), most)
	t.Logf("%d lives were taken", w.killed())
	if w.killed() < 30 {
		t.Errorf("only %d kills: the run was not hit at every entry", w.killed())
	}
}

// holding counts pods that hold a lock.
type holding struct{ alone, paired int }

// see counts the pod of a node.
func (h *holding) see(node string) {
	name, _, _ := strings.Cut(strings.TrimPrefix(node, "chaos."), "(")
	switch name {
	case "one", "two", "three", "again":
		h.alone++
	case "pair":
		h.paired++
	}
}

// pace lets one pod end after the other, so that each end is an entry of its own.
type pace struct {
	wire  *wire
	kills int
	last  time.Time
}

// due reports whether a runner died since the last pod ended, or none will for now.
func (p *pace) due() bool {
	kills := p.wire.killed()
	if kills == p.kills && time.Since(p.last) < 3*time.Second {
		return false
	}
	p.kills, p.last = kills, time.Now()
	return true
}

// play is what the kubelet and the executor would do with a pod.
func (c *cluster) play(p *corev1.Pod) error {
	node := p.Annotations[object.AnnotationNodeName]
	code := int32(0)
	if strings.HasSuffix(node, ".flaky(0)") || strings.HasSuffix(node, ".again(0)") {
		code = 1
	}
	ended := &corev1.ContainerStateTerminated{ExitCode: code, FinishedAt: metav1.Now()}
	if strings.HasSuffix(node, ".make") {
		text, err := json.Marshal(protocol.Termination{Report: protocol.Report{Artifacts: []string{"a"}}})
		if err != nil {
			return err
		}
		ended.Message = string(text)
	}
	p.Status.Phase = corev1.PodSucceeded
	if code != 0 {
		p.Status.Phase = corev1.PodFailed
	}
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: pods.MainContainer,
		State: corev1.ContainerState{Terminated: ended}}}
	return c.kube.Status().Update(c.t.Context(), p)
}

func (c *cluster) judgeChaos(pods int, most holding) {
	c.t.Helper()
	wf := c.workflows()[0]
	if wf.Status.Phase != v1alpha1.WorkflowSucceeded {
		c.t.Errorf("the run ended %s: %s", wf.Status.Phase, wf.Status.Message)
	}
	nodes := 0
	for _, n := range wf.Status.Nodes {
		if n.Type == v1alpha1.NodeTypePod {
			nodes++
		}
		if n.Phase != v1alpha1.NodeSucceeded && !strings.HasSuffix(n.Name, "flaky(0)") &&
			!strings.HasSuffix(n.Name, "again(0)") {
			c.t.Errorf("%s is %s: %s", n.Name, n.Phase, n.Message)
		}
	}
	if nodes != 34 || pods != nodes {
		c.t.Errorf("%d pods for %d nodes, want 34", pods, nodes)
	}
	if most.alone > 1 || most.paired > 2 {
		c.t.Errorf("%d held the mutex at once, and %d the semaphore of 2", most.alone, most.paired)
	}
	c.await("the lock is released", func() error {
		keys, err := c.bus.KV(bus.LocksBucket).Keys(c.t.Context(), lock.Prefix)
		if err != nil {
			return err
		}
		for _, key := range keys {
			raw, _, err := c.bus.KV(bus.LocksBucket).Get(c.t.Context(), key)
			if err != nil || strings.Contains(string(raw), "holding") || strings.Contains(string(raw), "waiting") {
				return fmt.Errorf("%s: %s, %w", key, raw, err)
			}
		}
		return nil
	})
}
