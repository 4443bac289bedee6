package runner

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/task"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// pluginServer answers as an executor plugin does, and remembers who asked for what.
type pluginServer struct {
	mu     sync.Mutex
	asked  map[string]int // by key
	tokens map[string]bool
	told   string // the whole of the last question
}

func (p *pluginServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Workflow struct {
			Metadata struct{ Name, Namespace, UID string } `json:"metadata"`
		} `json:"workflow"`
		Template struct {
			Plugin map[string]struct{ Greet string } `json:"plugin"`
		} `json:"template"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || r.Method != http.MethodPost ||
		r.URL.Path != "/api/v1/template.execute" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	mine, is := body.Template.Plugin["hello"]
	if !is {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	key := r.Header.Get("Idempotency-Key")
	p.asked[key]++
	p.tokens[r.Header.Get("Authorization")] = true
	p.told = body.Workflow.Metadata.Namespace + "/" + body.Workflow.Metadata.Name
	switch {
	case mine.Greet == "nobody":
		fmt.Fprint(w, `{"node": {"phase": "Failed", "message": "nobody is there"}}`)
	case p.asked[key] < 3:
		fmt.Fprint(w, `{"node": {"phase": "Running", "message": "it takes a while"}, "requeue": "200ms"}`)
	default:
		fmt.Fprintf(w, `{"node": {"phase": "Succeeded", "outputs": {"result": "hello %s", "parameters": [{"name": "length", "value": "%d"}]}}}`, mine.Greet, len(mine.Greet))
	}
}

// playPlugins gives the pods of plugins an address, as a kubelet does, and returns their names.
func (c *cluster) playPlugins() (names []string) {
	c.t.Helper()
	var pods corev1.PodList
	if err := c.kube.List(c.t.Context(), &pods, client.InNamespace("ci"),
		client.HasLabels{task.PluginsOf}); err != nil {
		c.t.Fatal(err)
	}
	for i := range pods.Items {
		p := &pods.Items[i]
		names = append(names, p.Name)
		if p.Status.PodIP == "" {
			p.Status.Phase, p.Status.PodIP, p.Status.PodIPs = corev1.PodRunning, "127.0.0.1",
				[]corev1.PodIP{{IP: "127.0.0.1"}}
			if err := c.kube.Status().Update(c.t.Context(), p); err != nil {
				c.t.Fatal(err)
			}
		}
	}
	return names
}

func TestPluginsDoTheWorkOfTheirTemplates(t *testing.T) {
	t.Parallel()
	c := start(t)
	answers := &pluginServer{asked: map[string]int{}, tokens: map[string]bool{}}
	server := httptest.NewServer(answers)
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.create(`
apiVersion: v1
kind: ConfigMap
metadata: {name: hello-executor-plugin, labels: {workflows.argoproj.io/configmap-type: ExecutorPlugin}}
data:
  sidecar.container: '{name: hello, image: hello:1, ports: [{containerPort: ` + port + `}]}'
  sidecar.automountServiceAccountToken: "true"
`)
	stop := c.runner("a")
	c.create(`
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: greeter}
spec:
  entrypoint: main
  executorPlugins:
  - metadata: {name: deaf}
    spec: {sidecar: {container: {name: deaf, image: "deaf:1", ports: [{containerPort: ` + port + `}]}}}
  templates:
  - name: main
    steps:
    - - {name: greet, template: greet, arguments: {parameters: [{name: who, value: world}]}}
    - - {name: nobody, template: greet, continueOn: {failed: true}, arguments: {parameters: [{name: who, value: nobody}]}}
      - {name: other, template: other, continueOn: {failed: true}}
  - name: greet
    inputs: {parameters: [{name: who}]}
    plugin: {hello: {greet: "{{inputs.parameters.who}}"}}
  - name: other
    plugin: {unheard: {}}
`)
	c.await("the plugin is asked", func() error {
		c.playPlugins()
		answers.mu.Lock()
		defer answers.mu.Unlock()
		if len(answers.asked) == 0 {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	before := c.playPlugins()
	stop() // while the plugin is at work; the next one finds its pod
	c.runner("b")
	if n := c.node("greeter", ".greet"); n.Phase != v1alpha1.NodeSucceeded || n.Type != v1alpha1.NodeTypePlugin ||
		*n.Outputs.Result != "hello world" || n.Outputs.Parameters[0].Value.String() != "5" {
		t.Errorf("greet: %+v", n)
	}
	c.await("the other plugin is there", func() error {
		if names := c.playPlugins(); len(names) != 2 {
			return fmt.Errorf("pods %v", names)
		}
		return nil
	})
	if n := c.node("greeter", ".nobody"); n.Phase != v1alpha1.NodeFailed || n.Message != "nobody is there" {
		t.Errorf("nobody: %s %s", n.Phase, n.Message)
	}
	if n := c.node("greeter", ".other"); n.Phase != v1alpha1.NodeFailed ||
		!strings.Contains(n.Message, "of deaf, hello, none does this work") {
		t.Errorf("other: %s %s", n.Phase, n.Message)
	}
	c.awaitPhase(v1alpha1.WorkflowSucceeded)
	if len(before) != 1 || len(answers.tokens) != 1 || answers.tokens["Bearer "] || answers.told != "ci/greeter" {
		t.Errorf("pods %v, tokens %v, asked for %s", before, answers.tokens, answers.told)
	}
	c.await("the plugins' pods are gone", func() error {
		if names := c.playPlugins(); len(names) != 0 {
			return fmt.Errorf("pods %v", names)
		}
		return nil
	})
}
