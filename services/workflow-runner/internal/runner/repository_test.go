package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/libs/flow/protocol"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/controller/workflow"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/executor"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/pods"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/store/storetest"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// address is one of this machine that is free now.
func address(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Addr().String()
}

// perform runs the executor of a pod as its kubelet would, with a program of its own, and ends the pod.
func (c *cluster) perform(node, program string) {
	c.t.Helper()
	c.await("pod of "+node, func() error {
		for _, p := range c.pods() {
			if strings.HasSuffix(p.Annotations[object.AnnotationNodeName], node) {
				return c.performPod(&p, program)
			}
		}
		return fmt.Errorf("no pod among %d", len(c.pods()))
	})
}

func (c *cluster) performPod(p *corev1.Pod, program string) error {
	var task protocol.Task
	main := p.Spec.Containers[0]
	for _, v := range main.Env {
		if v.Name == protocol.TaskVariable {
			if err := json.Unmarshal([]byte(v.Value), &task); err != nil {
				c.t.Fatal(err)
			}
		}
	}
	dir := c.t.TempDir()
	if task.Logs != nil {
		task.Logs.Path = filepath.Join(dir, "main.log")
	}
	last := filepath.Join(dir, "last")
	getenv := func(string) string { return string(object.JSON(task)) }
	code := executor.Main(c.t.Context(), []string{"run", "--", "sh", "-c", program}, getenv,
		executor.Streams{Out: io.Discard, Err: io.Discard}, executor.Places{Termination: last, Staging: dir})
	said, err := os.ReadFile(last)
	if err != nil {
		c.t.Fatal(err)
	}
	p.Status.Phase = corev1.PodSucceeded
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: pods.MainContainer, State: corev1.ContainerState{
		Terminated: &corev1.ContainerStateTerminated{ExitCode: int32(code), Message: string(said),
			FinishedAt: metav1.Now()}}}}
	return c.kube.Status().Update(c.t.Context(), p)
}

// repository makes a bucket the default of the namespace.
func (c *cluster) repository(server *storetest.Server) {
	c.t.Helper()
	c.create(`{apiVersion: v1, kind: Secret, metadata: {name: keys}, stringData: {id: ` + storetest.ID + `, secret: "` + storetest.Secret + `"}}`)
	c.create(`
apiVersion: v1
kind: ConfigMap
metadata: {name: artifact-repositories, annotations: {workflows.argoproj.io/default-artifact-repository: main}}
data:
  main: |
    archiveLogs: true
    s3: {endpoint: "` + server.Endpoint + `", bucket: art, insecure: true, keyFormat: "of/{{workflow.name}}", ` + storetest.KeyFields + `}
`)
}

func (c *cluster) keys(server *storetest.Server, want ...string) {
	c.t.Helper()
	c.await(fmt.Sprintf("the bucket holds %v", want), func() error {
		have := server.Objects("art")
		for _, key := range want {
			if _, there := have[key]; !there || len(have) != len(want) {
				return fmt.Errorf("it holds %q", have)
			}
		}
		if len(have) != len(want) {
			return fmt.Errorf("it holds %q", have)
		}
		return nil
	})
}

func TestArtifactsOfARepositoryAndTheirEnd(t *testing.T) {
	t.Parallel()
	c := start(t)
	server := storetest.Start(t, "art")
	at := address(t)
	c.runner("a", "--http-address", at, "--artifact-url", "http://"+at)
	c.repository(server)
	dir := t.TempDir()
	c.create(`
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: wf, finalizers: [` + workflow.UpstreamFinalizer + `]}
spec:
  entrypoint: main
  artifactGC: {strategy: OnWorkflowDeletion}
  workflowMetadata: {labelsFrom: {who: {expression: "workflow.name + '-x'"}}}
  metrics: {prometheus: [{name: mine, help: h, labels: [{key: status, value: "{{status}}"}], counter: {value: "1"}}]}
  templates:
  - name: main
    container: {image: busybox, command: [sh]}
    outputs:
      artifacts:
      - {name: kept, path: ` + dir + `/kept.txt, archive: {none: {}}}
      - {name: brief, path: ` + dir + `/brief.txt, artifactGC: {strategy: OnWorkflowCompletion}}
      - {name: stays, path: ` + dir + `/kept.txt, s3: {key: stays.tgz}, artifactGC: {strategy: Never}}
`)
	c.perform("wf", "echo hello; echo oops >&2; echo 1 > "+dir+"/kept.txt; echo 2 > "+dir+"/brief.txt")
	wf := c.awaitPhase(v1alpha1.WorkflowSucceeded)
	c.keys(server, "of/wf/kept.txt", "of/wf/main.log", "stays.tgz")
	// Which of two streams was written first is not known to who reads both.
	if log := server.Objects("art")["of/wf/main.log"]; log != "hello\noops\n" && log != "oops\nhello\n" {
		t.Errorf("logs: %q", log)
	}
	var said []string
	for _, a := range wf.Status.Nodes["wf"].Outputs.Artifacts {
		said = append(said, a.Name+"="+a.S3.Bucket+a.S3.Key)
	}
	if got := strings.Join(said, " "); got != "kept=of/wf/kept.txt brief=of/wf/brief.tgz stays=stays.tgz main-logs=of/wf/main.log" {
		t.Errorf("outputs: %s", got)
	}
	if ref := wf.Status.ArtifactRepositoryRef; ref == nil || ref.Key != "main" ||
		ref.ArtifactRepository.S3.Bucket != "art" || wf.Labels["who"] != "wf-x" {
		t.Errorf("%+v, labels %v", ref, wf.Labels)
	}
	c.await("it shows what is gone", func() error {
		for _, a := range c.awaitPhase(v1alpha1.WorkflowSucceeded).Status.Nodes["wf"].Outputs.Artifacts {
			if a.Deleted != (a.Name == "brief") {
				return fmt.Errorf("%s deleted: %v", a.Name, a.Deleted)
			}
		}
		return nil
	})
	for _, want := range []string{`argo_workflows_mine{status="Succeeded"} 1`,
		`argo_workflows_total_count{namespace="ci",phase="Succeeded"} 1`,
		`argo_workflows_gauge{phase="Succeeded"} 1`,
		`argo_workflows_pods_total_count{namespace="ci",phase="Succeeded"} 1`} {
		c.scraped("http://"+at+"/metrics", want)
	}
	gone := object.Workflow()
	gone.SetNamespace("ci")
	gone.SetName("wf")
	if err := c.kube.Delete(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	c.keys(server, "stays.tgz")
}

func (c *cluster) scraped(url, want string) {
	c.t.Helper()
	c.await(want, func() error {
		req, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err == nil && !strings.Contains(string(text), want+"\n") {
			err = errors.New("it is not there")
		}
		return err
	})
}

// The workflow goes while nobody looks, before its end: what its journal knows is taken away nevertheless.
func TestArtifactsGoWithAWorkflowThatGoesMeanwhile(t *testing.T) {
	t.Parallel()
	c := start(t)
	server := storetest.Start(t, "art")
	at := address(t)
	stop := c.runner("a", "--http-address", at, "--artifact-url", "http://"+at)
	c.repository(server)
	dir := t.TempDir()
	wf := c.create(`
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: wf}
spec:
  entrypoint: main
  artifactGC: {strategy: OnWorkflowCompletion}
  templates:
  - {name: main, steps: [[{name: one, template: make}], [{name: two, template: make}]]}
  - name: make
    container: {image: busybox, command: [sh]}
    outputs: {artifacts: [{name: f, path: ` + dir + `/f}]}
`)
	c.perform("[0].one", "echo 1 > "+dir+"/f")
	c.await("second pod", func() error {
		if len(c.pods()) != 2 {
			return fmt.Errorf("%d pods", len(c.pods()))
		}
		return nil
	})
	c.keys(server, "of/wf/f.tgz", "of/wf/main.log")
	stop()
	if err := c.kube.Delete(context.WithoutCancel(t.Context()), wf); err != nil {
		t.Fatal(err)
	}
	c.runner("b")
	c.keys(server)
}

func TestARepositoryThatIsNotThereIsSaid(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.runner("a")
	c.create(`{apiVersion: argoproj.io/v1alpha1, kind: Workflow, metadata: {name: wf}, spec: {entrypoint: main, artifactRepositoryRef: {key: gone}, templates: [{name: main, container: {image: i, command: [x]}}]}}`)
	if wf := c.awaitPhase(v1alpha1.WorkflowError); !strings.Contains(wf.Status.Message, "artifactRepositoryRef") {
		t.Errorf("%s", wf.Status.Message)
	}
}
