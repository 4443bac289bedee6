// Package promises keeps each promise made to those who send events and to those
// who act on them, while the fault is injected for real: the programs are the ones
// that are shipped, they are killed with SIGKILL, and the API server and the bus
// are real.
package promises

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/kube/kubetest"
	"github.com/argosy-mesh/argosy/schemas/crds"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

const (
	patience = time.Minute
	secret   = "swordfish"
)

// mesh is what one promise is kept by: a bus, ingest and sensor of its own, and an
// API server that all share.
type mesh struct {
	*testing.T
	kube                 client.Client
	namespace, url       string // url is where hooks go
	bus                  *bus.Bus
	nats, ingest, sensor *program
	sink                 *sink
}

// program is one of the shipped programs as a process.
type program struct {
	t     *testing.T
	path  string
	args  []string
	ready string // URL that answers 200; empty when there is none
	child *exec.Cmd
}

func (p *program) start() {
	p.t.Helper()
	p.launch()
	deadline := time.Now().Add(patience)
	for p.ready != "" && status(http.Get(p.ready)) != http.StatusOK {
		if time.Now().After(deadline) {
			p.t.Fatalf("%s is not ready after %s", filepath.Base(p.path), patience)
		}
		rest(10 * time.Millisecond)
	}
}

func (p *program) launch() {
	p.t.Helper()
	p.child = exec.CommandContext(context.Background(), p.path, p.args...)
	if testing.Verbose() {
		p.child.Stdout, p.child.Stderr = os.Stderr, os.Stderr
	}
	if err := p.child.Start(); err != nil {
		p.t.Fatal(err)
	}
}

// kill ends it with SIGKILL, as it stands.
func (p *program) kill() {
	if p.child != nil {
		_ = p.child.Process.Kill() // it may be gone already
		_ = p.child.Wait()
		p.child = nil
	}
}

func status(answer *http.Response, err error) int {
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, answer.Body) // for the connection to be used again
	_ = answer.Body.Close()
	return answer.StatusCode
}

// sink is what triggers act on.
type sink struct {
	mu     sync.Mutex
	keys   map[string]map[string]int // calls by id of the event and idempotency key
	traces []string
	answer func(id string, calls int) int // its status; nil means 200
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // a body that is cut off counts as another one
	id, code := string(body), http.StatusOK
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys[id] == nil {
		s.keys[id] = map[string]int{}
	}
	calls := 1
	for _, n := range s.keys[id] {
		calls += n
	}
	if s.answer != nil {
		code = s.answer(id, calls)
	}
	s.keys[id][r.Header.Get("Idempotency-Key")]++
	s.traces = append(s.traces, r.Header.Get("Traceparent"))
	w.WriteHeader(code)
}

// count returns how many events had an action, and how many of those more than one.
func (s *sink) count() (acted, twice int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, keys := range s.keys {
		if len(keys) > 1 {
			twice++
		}
	}
	return len(s.keys), twice
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// field is the API server of all promises.
type field struct {
	kubeconfig string
	kube       client.Client
}

func newField(t *testing.T) *field {
	t.Helper()
	for _, name := range []string{"nats-server", "webhook-ingest", "sensor"} {
		if _, err := os.Stat(filepath.Join(root(t), "bin", name)); err != nil {
			t.Fatalf("bin/%s is not built: run `make images` at the top of the repository", name)
		}
	}
	f := &field{kubeconfig: kubetest.StartPath(t)}
	var err error
	if f.kube, err = client.New(kubetest.Load(t, f.kubeconfig), client.Options{}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"eventsources.yaml", "sensors.yaml"} {
		text, err := crds.FS.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		apply(t, f.kube, "", string(text))
	}
	return f
}

// apply makes an object as soon as its kind is served.
func apply(t *testing.T, c client.Client, namespace, manifest string) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(manifest), &o.Object); err != nil {
		t.Fatalf("%v in %s", err, manifest)
	}
	o.SetNamespace(namespace)
	eventually(t, "make "+o.GetKind()+" "+o.GetName(), func() error { return c.Create(t.Context(), o) })
	return o
}

func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after %s: %v", what, patience, err)
		}
		rest(20 * time.Millisecond)
	}
}

// mesh starts everything that a promise needs.
func (f *field) mesh(t *testing.T) *mesh {
	t.Helper()
	m := &mesh{
		T: t, kube: f.kube, namespace: fmt.Sprintf("p%d", time.Now().UnixNano()),
		sink: &sink{keys: map[string]map[string]int{}},
	}
	apply(t, f.kube, "", "{apiVersion: v1, kind: Namespace, metadata: {name: "+m.namespace+"}}")
	apply(
		t, f.kube, m.namespace,
		"{apiVersion: v1, kind: Secret, metadata: {name: hub}, stringData: {secret: "+secret+"}}",
	)
	address, hooks := free(t), free(t)
	host, port, _ := strings.Cut(address, ":")
	natsURL := "nats://" + address
	m.nats = m.program("nats-server", "", "-a", host, "-p", port, "-js", "-sd", t.TempDir())
	m.nats.start()
	m.ingest = m.service("webhook-ingest", f.kubeconfig, natsURL, "--listen="+hooks, "--local-log="+t.TempDir())
	m.sensor = m.service("sensor", f.kubeconfig, natsURL)
	m.url = "http://" + hooks
	var err error
	if m.bus, err = bus.Connect(bus.Config{URL: natsURL, Name: "promises"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.bus.Close)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := m.bus.AwaitDeclared(ctx, bus.DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	m.ingest.start()
	m.sensor.start()
	return m
}

func (m *mesh) program(name, ready string, args ...string) *program {
	m.Helper()
	p := &program{t: m.T, path: filepath.Join(root(m.T), "bin", name), args: args, ready: ready}
	m.Cleanup(p.kill)
	return p
}

func (m *mesh) service(name, kubeconfig, natsURL string, args ...string) *program {
	m.Helper()
	address := free(m.T)
	args = append(
		args, "--nats-url="+natsURL, "--kubeconfig="+kubeconfig, "--http-address="+address, "--instance="+name,
		"--log-level=error",
	)
	return m.program(name, "http://"+address+"/readyz", args...)
}

// source makes an EventSource of hooks in the manifest form of its kind, and waits
// until it listens.
func (m *mesh) source(path, spec string) {
	m.Helper()
	o := apply(
		m.T, m.kube, m.namespace,
		"{apiVersion: argoproj.io/v1alpha1, kind: EventSource, metadata: {name: hooks}, spec: "+spec+"}",
	)
	m.Cleanup(func() { _ = m.kube.Delete(context.Background(), o) }) // the API server goes too
	eventually(m.T, "the hook is served", func() error {
		if code := status(http.Get(m.url + path)); code == http.StatusNotFound || code == 0 {
			return fmt.Errorf("status %d", code)
		}
		return nil
	})
}

// acting makes a Sensor that calls the sink with the id of the event, and waits
// until it listens. more is further spec.
func (m *mesh) acting(dependencies, payload, more string) *unstructured.Unstructured {
	m.Helper()
	server := httptest.NewServer(m.sink)
	m.Cleanup(server.Close)
	o := apply(m.T, m.kube, m.namespace, fmt.Sprintf(`
apiVersion: argoproj.io/v1alpha1
kind: Sensor
metadata: {name: act}
spec:
  dependencies: %s
  triggers: [{template: {name: call, http: {url: "%s", payload: %s}}%s}]
`, dependencies, server.URL, payload, more))
	m.Cleanup(func() { _ = m.kube.Delete(context.Background(), o) })
	m.listening()
	return o
}

// listening waits until the Sensor is served.
func (m *mesh) listening() {
	m.Helper()
	eventually(m.T, "the sensor listens", func() error {
		o := &unstructured.Unstructured{}
		o.SetAPIVersion("argoproj.io/v1alpha1")
		o.SetKind("Sensor")
		if err := m.kube.Get(m.Context(), client.ObjectKey{Namespace: m.namespace, Name: "act"}, o); err != nil {
			return err
		}
		conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
		for _, c := range conditions {
			if is, _ := c.(map[string]any); is["type"] == "Ready" && is["status"] == "True" {
				return nil
			}
		}
		return fmt.Errorf("conditions %v", conditions)
	})
}

// post sends one hook and returns the status of its answer; 0 means none.
func (m *mesh) post(path, id, body string, header map[string]string) int {
	req, err := http.NewRequestWithContext(m.Context(), http.MethodPost, m.url+path, strings.NewReader(body))
	if err != nil {
		return 0
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", id)
	for name, value := range header {
		req.Header.Set(name, value)
	}
	return status(http.DefaultClient.Do(req))
}

// hub sends one hook as GitHub does.
func (m *mesh) hub(kind, id, body, key string) int {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(body))
	return m.post(
		"/hub",
		"",
		body,
		map[string]string{
			"X-GitHub-Event":      kind,
			"X-GitHub-Delivery":   id,
			"X-Hub-Signature-256": "sha256=" + hex.EncodeToString(mac.Sum(nil)),
		},
	)
}

// acts waits until so many events have their action, and fails for one that has two.
func (m *mesh) acts(want int) {
	m.Helper()
	eventually(m.T, fmt.Sprintf("%d actions", want), func() error {
		if acted, _ := m.sink.count(); acted < want {
			return fmt.Errorf("%d of them", acted)
		}
		return nil
	})
	rest(300 * time.Millisecond) // for what nobody wants
	if acted, twice := m.sink.count(); acted != want || twice != 0 {
		m.Errorf("%d events acted upon, want %d; %d of them twice", acted, want, twice)
	}
}

// rest is the time between two looks at what is waited for, or before a fault.
func rest(d time.Duration) { <-time.After(d) }
