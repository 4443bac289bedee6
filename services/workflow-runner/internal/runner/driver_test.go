package runner

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow/protocol"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/bridge"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/bridge/drivertest"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/driver"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/executor"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// driverIP is where the pods of drivers are in these tests: their port is always the same one.
const driverIP = "127.86.4.3"

// playDrivers runs what the pods of drivers hold, as a kubelet does, until the test ends.
func (c *cluster) playDrivers(d *drivertest.Driver) (names func() []string) {
	t := c.t
	sockets, err := os.MkdirTemp("", "driver") // paths of sockets are short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(sockets) })
	staging := t.TempDir()
	var mu sync.Mutex
	var seen []string
	tick := time.NewTicker(20 * time.Millisecond)
	go func() {
		defer tick.Stop()
		for t.Context().Err() == nil {
			var pods corev1.PodList
			_ = c.kube.List(t.Context(), &pods, client.InNamespace("ci"), client.HasLabels{driver.Label})
			for i := range pods.Items {
				p := &pods.Items[i]
				if p.Status.PodIP != "" {
					continue
				}
				socket := filepath.Join(sockets, strconv.Itoa(len(seen)))
				go func() { _ = d.Serve(t.Context(), socket) }()
				l, err := net.Listen("tcp", net.JoinHostPort(driverIP, strconv.Itoa(protocol.BridgePort)))
				if err != nil {
					t.Error(err)
					return
				}
				token := p.Annotations["argosy.dev/artifact-driver-token"]
				go func() {
					_ = bridge.Serve(t.Context(), l, bridge.Config{Token: token, Socket: socket, Staging: staging,
						Idle: time.Hour})
				}()
				p.Status.Phase, p.Status.PodIP, p.Status.PodIPs = corev1.PodRunning, driverIP,
					[]corev1.PodIP{{IP: driverIP}}
				if err := c.kube.Status().Update(t.Context(), p); err != nil {
					t.Error(err)
				}
				mu.Lock()
				seen = append(seen, p.Name)
				mu.Unlock()
			}
			select {
			case <-tick.C:
			case <-t.Context().Done():
			}
		}
	}()
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return seen
	}
}

// loaded runs the init container of a pod, and returns what an input holds.
func (c *cluster) loaded(node, input string) string {
	c.t.Helper()
	var text string
	c.await("pod of "+node, func() error {
		for _, p := range c.pods() {
			if !strings.HasSuffix(p.Annotations[object.AnnotationNodeName], node) {
				continue
			}
			dir := c.t.TempDir()
			getenv := func(string) string { return p.Spec.InitContainers[0].Env[0].Value }
			var said strings.Builder
			if code := executor.Main(c.t.Context(), []string{"load"}, getenv,
				executor.Streams{Out: io.Discard, Err: &said},
				executor.Places{Staging: dir}); code != 0 {
				return fmt.Errorf("load: %s", said.String())
			}
			raw, err := os.ReadFile(filepath.Join(dir, "inputs", input))
			text = string(raw)
			return err
		}
		return fmt.Errorf("no pod among %d", len(c.pods()))
	})
	return text
}

func TestArtifactsOfADriver(t *testing.T) {
	t.Parallel()
	c := start(t)
	at := address(t)
	d := &drivertest.Driver{Folder: t.TempDir()}
	pods := c.playDrivers(d)
	c.runner("a", "--http-address", at, "--artifact-url", "http://"+at, "--repository-namespace", "ci")
	c.create(`
apiVersion: v1
kind: ConfigMap
metadata: {name: workflow-controller-configmap}
data:
  artifactDrivers: |
    - {name: files, image: "example/files:1", connectionTimeoutSeconds: 20}
`)
	c.create(`
apiVersion: v1
kind: ConfigMap
metadata: {name: artifact-repositories, annotations: {workflows.argoproj.io/default-artifact-repository: main}}
data:
  main: "plugin: {name: files, configuration: 'folder: x', keyFormat: 'of/{{workflow.name}}'}"
`)
	dir := t.TempDir()
	c.create(`
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: wf}
spec:
  entrypoint: main
  artifactGC: {strategy: OnWorkflowCompletion}
  templates:
  - name: main
    steps:
    - - {name: out, template: out}
      - {name: unknown, template: unknown, continueOn: {failed: true, error: true}}
    - - {name: in, template: in, arguments: {artifacts: [{name: f, from: "{{steps.out.outputs.artifacts.kept}}"}]}}
  - name: out
    container: {image: busybox, command: [sh]}
    outputs:
      artifacts:
      - {name: kept, path: ` + dir + `/kept.txt, archive: {none: {}}, artifactGC: {strategy: Never}}
      - {name: packed, path: ` + dir + `/kept.txt}
      - {name: tree, path: ` + dir + `/tree, archive: {none: {}}, plugin: {key: tree}, artifactGC: {strategy: Never}}
  - name: unknown
    container: {image: busybox, command: [sh]}
    outputs: {artifacts: [{name: f, path: ` + dir + `/kept.txt, plugin: {name: nobody, configuration: c, key: k}}]}
  - name: in
    inputs: {artifacts: [{name: f, path: /f}, {name: other, path: /o, optional: true, plugin: {key: none}}]}
    container: {image: busybox, command: [sh]}
`)
	c.perform(".out", "echo 1 > "+dir+"/kept.txt; mkdir -p "+dir+"/tree/sub; echo 2 > "+dir+"/tree/sub/f")
	c.perform(".unknown", "true")
	if text := c.loaded(".in", "f"); text != "1\n" {
		t.Errorf("loaded %q", text)
	}
	if raw, err := os.ReadFile(filepath.Join(d.Folder, "tree", "sub", "f")); string(raw) != "2\n" {
		t.Errorf("%q, %v", raw, err)
	}
	c.perform(".in", "true")
	c.awaitPhase(v1alpha1.WorkflowSucceeded)
	if n := c.node("wf", ".unknown"); n.Phase != v1alpha1.NodeError ||
		!strings.Contains(n.Message, `there is no artifact driver "nobody"; artifactDrivers of ConfigMap ci/workflow-controller-configmap has files`) {
		t.Errorf("%s %s", n.Phase, n.Message)
	}
	c.await("the packed one is taken away", func() error {
		asked := strings.Join(d.Asked(), "\n")
		if !strings.Contains(asked, "Delete of/wf/packed.tgz folder: x") {
			return fmt.Errorf("%s", asked)
		}
		return nil
	})
	if _, err := os.Stat(filepath.Join(d.Folder, "of", "wf", "kept.txt")); err != nil {
		t.Error(err)
	}
	if names := pods(); len(names) != 1 || !strings.HasPrefix(names[0], "artifact-driver-files-") {
		t.Errorf("pods of drivers: %v", names)
	}
}
