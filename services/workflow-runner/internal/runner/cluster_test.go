package runner

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/bus/bustest"
	"github.com/argosy-mesh/argosy/libs/kube/kubetest"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/crds"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/pods"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// cluster is a real API server and a real bus, with a kubelet that is played.
type cluster struct {
	t          testing.TB
	kubeconfig string
	kube       client.Client
	server     *bustest.Server
	bus        *bus.Bus
}

func start(t testing.TB) *cluster {
	t.Helper()
	c := &cluster{t: t, kubeconfig: kubetest.StartPath(t), server: bustest.Start(t)}
	var err error
	if c.kube, err = client.New(kubetest.Load(t, c.kubeconfig), client.Options{}); err != nil {
		t.Fatal(err)
	}
	c.bus = c.server.Connect("test")
	files, err := crds.FS.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		raw, err := crds.FS.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		o := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(raw, &o.Object); err != nil {
			t.Fatal(err)
		}
		if err := c.kube.Create(t.Context(), o); err != nil {
			t.Fatalf("%s: %v", f.Name(), err)
		}
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ci"}}
	if err := c.kube.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	c.await("workflows are served", func() error {
		list := object.WorkflowList()
		return c.kube.List(t.Context(), list)
	})
	return c
}

// runner starts one replica, with more flags, and returns how to stop it.
func (c *cluster) runner(instance string, more ...string) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		args := []string{"--kubeconfig", c.kubeconfig, "--nats-url", c.server.URL(), "--http-address", "127.0.0.1:0",
			"--instance", instance, "--http-reach", "any", "--log-level", "error"}
		if err := Run(ctx, append(args, more...), func(string) string { return "" }, io.Discard); err != nil {
			c.t.Errorf("runner %s: %v", instance, err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); done.Wait() })
	c.t.Cleanup(stop)
	return stop
}

func (c *cluster) await(what string, check func() error) {
	c.t.Helper()
	c.awaitFor(60*time.Second, what, check)
}

func (c *cluster) awaitFor(patience time.Duration, what string, check func() error) {
	c.t.Helper()
	deadline := time.After(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			c.t.Fatalf("%s: %v", what, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (c *cluster) pods() []corev1.Pod {
	c.t.Helper()
	var list corev1.PodList
	if err := c.kube.List(c.t.Context(), &list, client.InNamespace("ci")); err != nil {
		c.t.Fatal(err)
	}
	return list.Items
}

// finish plays the kubelet for the pod whose node name ends so.
func (c *cluster) finish(node string, code int32) {
	c.t.Helper()
	c.await("pod of "+node, func() error {
		for _, p := range c.pods() {
			if strings.HasSuffix(p.Annotations[object.AnnotationNodeName], node) {
				return c.end(&p, code)
			}
		}
		return fmt.Errorf("no pod among %d", len(c.pods()))
	})
}

func (c *cluster) end(p *corev1.Pod, code int32) error {
	p.Status.Phase = corev1.PodSucceeded
	if code != 0 {
		p.Status.Phase = corev1.PodFailed
	}
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: pods.MainContainer, State: corev1.ContainerState{
		Terminated: &corev1.ContainerStateTerminated{ExitCode: code, FinishedAt: metav1.Now()}}}}
	return c.kube.Status().Update(c.t.Context(), p)
}

const chainManifest = `{"apiVersion":"argoproj.io/v1alpha1","kind":"Workflow","metadata":{"generateName":"chain-"},"spec":{"entrypoint":"main","templates":[
 {"name":"main","steps":[[{"name":"one","template":"run"}],[{"name":"two","template":"run"}],[{"name":"three","template":"run"}]]},
 {"name":"run","container":{"image":"busybox","command":["true"]}}]}}`

func (c *cluster) submit(key string, times int) {
	c.t.Helper()
	for i := range times {
		e, err := bus.NewEvent(fmt.Sprintf("%s-%d", key, i), "sensor", events.TypeSubmitWorkflow,
			events.SubmitWorkflow{Key: key, Namespace: "ci", Workflow: json.RawMessage(chainManifest)})
		if err != nil {
			c.t.Fatal(err)
		}
		if err := c.bus.Publish(c.t.Context(), events.SubmitSubject("ci"), e); err != nil {
			c.t.Fatal(err)
		}
	}
}

func (c *cluster) workflows() []v1alpha1.Workflow {
	c.t.Helper()
	list := object.WorkflowList()
	if err := c.kube.List(c.t.Context(), list, client.InNamespace("ci")); err != nil {
		c.t.Fatal(err)
	}
	var out []v1alpha1.Workflow
	for i := range list.Items {
		// What can be read of a malformed one is enough here.
		wf, _, _ := v1alpha1.DecodeTolerant[v1alpha1.Workflow](list.Items[i].Object)
		out = append(out, *wf)
	}
	return out
}

func (c *cluster) awaitPhase(want v1alpha1.WorkflowPhase) v1alpha1.Workflow {
	c.t.Helper()
	var found v1alpha1.Workflow
	c.await("workflow is "+string(want), func() error {
		for _, wf := range c.workflows() {
			if wf.Status.Phase == want {
				found = wf
				return nil
			}
		}
		return fmt.Errorf("workflows %d", len(c.workflows()))
	})
	return found
}

func (c *cluster) facts(name string) int {
	c.t.Helper()
	entries, err := c.bus.Read(c.t.Context(), bus.Facts, "facts.workflow-runner."+name+".>")
	if err != nil {
		c.t.Fatal(err)
	}
	return len(entries)
}

func TestARunOutlivesItsRunner(t *testing.T) {
	t.Parallel()
	c := start(t)
	stop := c.runner("a")
	c.submit("abcdefghijkl", 3)
	c.finish("[0].one", 0)
	c.await("second pod", func() error {
		if len(c.pods()) != 2 {
			return fmt.Errorf("%d pods", len(c.pods()))
		}
		return nil
	})
	stop()
	c.finish("[1].two", 0) // nobody looks
	c.runner("b")
	c.finish("[2].three", 0)
	wf := c.awaitPhase(v1alpha1.WorkflowSucceeded)
	if n := len(c.workflows()); n != 1 {
		t.Errorf("%d workflows for one key", n)
	}
	if n := len(c.pods()); n != 3 {
		t.Errorf("%d pods for three steps", n)
	}
	if wf.Name != "chain-abcdefghij" || wf.Status.Progress != "3/3" || len(wf.Status.Nodes) != 7 {
		t.Errorf("%s, progress %s, %d nodes", wf.Name, wf.Status.Progress, len(wf.Status.Nodes))
	}
	c.await("facts are told once", func() error {
		if s, f, e := c.facts("workflow.started"), c.facts("step.finished"), c.facts("workflow.finished"); s != 1 ||
			f != 3 ||
			e != 1 {
			return fmt.Errorf("%d started, %d steps finished, %d finished", s, f, e)
		}
		return nil
	})
}

func TestTwoRunnersMakeOnePodPerStep(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.runner("a")
	c.runner("b")
	const runs = 6
	for i := range runs {
		c.submit(fmt.Sprintf("key-%d-abcdef", i), 2)
	}
	c.await("all runs succeed", func() error {
		for _, p := range c.pods() {
			if p.Status.Phase == corev1.PodPending || p.Status.Phase == "" {
				if err := c.end(&p, 0); err != nil && !apierrors.IsConflict(err) {
					return err
				}
			}
		}
		done := 0
		for _, wf := range c.workflows() {
			if wf.Status.Phase == v1alpha1.WorkflowSucceeded {
				done++
			}
		}
		if done != runs {
			return fmt.Errorf("%d of %d", done, runs)
		}
		return nil
	})
	if n := len(c.pods()); n != 3*runs {
		t.Errorf("%d pods, want %d", n, 3*runs)
	}
}

func TestAMalformedWorkflowHarmsNoOther(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.runner("a")
	bad := object.Workflow()
	if err := yaml.Unmarshal([]byte(`{apiVersion: argoproj.io/v1alpha1, kind: Workflow, metadata: {name: bad, namespace: ci}, spec: {entrypoint: main, templates: [{name: main, container: {image: [not, a, string]}}]}}`), &bad.Object); err != nil {
		t.Fatal(err)
	}
	if err := c.kube.Create(t.Context(), bad); err != nil {
		t.Fatal(err)
	}
	c.submit("good-abcdefghij", 1)
	wf := c.awaitPhase(v1alpha1.WorkflowError)
	if wf.Name != "bad" || !strings.Contains(wf.Status.Message, "spec.templates[0].container.image") {
		t.Errorf("%s: %s", wf.Name, wf.Status.Message)
	}
	c.finish("[0].one", 1)
	if wf := c.awaitPhase(v1alpha1.WorkflowFailed); !strings.HasPrefix(wf.Name, "chain-") {
		t.Errorf("%s failed", wf.Name)
	}
}
