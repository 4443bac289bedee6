package ingest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/bus/bustest"
	"github.com/argosy-mesh/argosy/libs/kube/kubetest"
	"github.com/argosy-mesh/argosy/schemas/crds"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"
)

// envArguments are those of the process that plays the service, to be killed.
const envArguments = "INGEST_TEST_ARGUMENTS"

// TestServiceProcess is no test of its own: it is the service that the test below
// kills, from its arguments to its end.
func TestServiceProcess(t *testing.T) {
	text := os.Getenv(envArguments)
	if text == "" {
		return // played only by TestKilledWithAFullLocalLog
	}
	if err := Run(
		context.Background(),
		strings.Fields(text),
		func(string) string { return "" },
		os.Stderr,
	); err != nil {
		t.Fatal(err)
	}
}

// process is the service as a process of its own.
type process struct {
	t         *testing.T
	arguments string
	hooks     string
	child     *exec.Cmd
}

func (p *process) start() {
	p.t.Helper()
	p.child = exec.CommandContext(context.Background(), os.Args[0], "-test.run=^TestServiceProcess$")
	p.child.Env = append(os.Environ(), envArguments+"="+p.arguments)
	if err := p.child.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(p.kill)
}

// kill ends it with SIGKILL, as it stands.
func (p *process) kill() {
	if p.child != nil {
		_ = p.child.Process.Kill()
		_ = p.child.Wait()
		p.child = nil
	}
}

// post returns the status of one hook; 0 when nobody answered.
func (p *process) post(id, body string) int {
	req, err := http.NewRequestWithContext(
		p.t.Context(), http.MethodPost, "http://"+p.hooks+"/in", strings.NewReader(body),
	)
	if err != nil {
		return 0
	}
	req.Header.Set("Idempotency-Key", id)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	_ = res.Body.Close()
	return res.StatusCode
}

// await posts one id until it gets a status.
func (p *process) await(id, body string, status int) {
	p.t.Helper()
	deadline := time.After(time.Minute)
	last := -1
	for last != status {
		select {
		case <-deadline:
			p.t.Fatalf("%s: %d, want %d", id, last, status)
		case <-time.After(20 * time.Millisecond):
			last = p.post(id, body)
		}
	}
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

// declareHook makes an EventSource with a webhook at /in.
func declareHook(t *testing.T, kubeconfig string) {
	t.Helper()
	client, err := dynamic.NewForConfig(kubetest.Load(t, kubeconfig))
	if err != nil {
		t.Fatal(err)
	}
	text, err := crds.FS.ReadFile("eventsources.yaml")
	if err != nil {
		t.Fatal(err)
	}
	crd := &unstructured.Unstructured{}
	if err := yaml.Unmarshal(text, &crd.Object); err != nil {
		t.Fatal(err)
	}
	definitions := client.Resource(
		schema.GroupVersionResource{
			Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions",
		},
	)
	if _, err := definitions.Create(t.Context(), crd, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	es := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "argoproj.io/v1alpha1",
		"kind":       "EventSource",
		"metadata":   map[string]any{"name": "es"},
		"spec": map[string]any{
			"webhook": map[string]any{
				"in": map[string]any{"endpoint": "/in", "method": "POST", "port": "12000", "url": ""},
			},
		},
	}}
	sources := client.Resource(
		schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "eventsources"},
	).Namespace("default")
	deadline := time.After(time.Minute)
	for {
		_, err := sources.Create(t.Context(), es, metav1.CreateOptions{})
		if err == nil || apierrors.IsAlreadyExists(err) {
			return
		}
		select {
		case <-deadline:
			t.Fatal(err)
		case <-time.After(100 * time.Millisecond): // the definition is not served yet
		}
	}
}

func TestKilledWithAFullLocalLog(t *testing.T) {
	kubeconfig := kubetest.StartPath(t)
	declareHook(t, kubeconfig)
	server := bustest.Start(t)
	hooks := free(t)
	p := &process{
		t:     t,
		hooks: hooks,
		arguments: fmt.Sprintf(
			"--nats-url=%s --kubeconfig=%s --listen=%s --http-address=%s --local-log=%s --local-log-bytes=%d --log-level=error",
			server.URL(), kubeconfig, hooks, free(t), t.TempDir(), 1<<20,
		),
	}
	p.start()
	p.await("first", "{}", http.StatusOK)
	server.Stop()
	body := `{"filler":"` + strings.Repeat("x", 8<<10) + `"}`
	var mu sync.Mutex
	accepted := map[string]bool{"first": true}
	// Senders go on until the log is full.
	fill := func(round string) {
		var busy sync.WaitGroup
		var full atomic.Bool
		for sender := range 4 {
			busy.Go(func() {
				for i := 0; !full.Load() && i < 1000; i++ {
					id := fmt.Sprintf("%s-%d-%d", round, sender, i)
					switch p.post(id, body) {
					case http.StatusOK:
						mu.Lock()
						accepted[id] = true
						mu.Unlock()
					case http.StatusServiceUnavailable:
						full.Store(true)
					}
				}
			})
		}
		busy.Wait()
		if !full.Load() {
			t.Fatal("the local log never was full")
		}
	}
	fill("a")
	if len(accepted) < 50 {
		t.Fatalf("%d events in a log of 1 MiB", len(accepted))
	}
	p.kill()
	p.start()
	p.await("refused", body, http.StatusServiceUnavailable) // what was kept is still there
	p.kill()
	server.Resume()
	p.start()
	someForwarded(t, server)
	p.kill()
	p.start()
	p.await("last", "{}", http.StatusOK)
	accepted["last"] = true
	// A sender that saw no answer sends again.
	p.await("a-0-0", body, http.StatusOK)
	once(t, server, accepted)
}

// someForwarded waits until the log is on its way to the bus.
func someForwarded(t *testing.T, server *bustest.Server) {
	t.Helper()
	client := server.Connect("watcher")
	deadline := time.After(time.Minute)
	for {
		entries, err := client.Read(t.Context(), bus.Events, "events.default.es.in")
		if err == nil && len(entries) > 1 {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("nothing is forwarded: %v", err)
		case <-time.After(time.Millisecond):
		}
	}
}

// once waits until the bus holds what was accepted, and fails for what it holds
// twice or never.
func once(t *testing.T, server *bustest.Server, accepted map[string]bool) {
	t.Helper()
	client := server.Connect("reader")
	deadline := time.After(time.Minute)
	for {
		entries, err := client.Read(t.Context(), bus.Events, "events.default.es.in")
		count := map[string]int{}
		for _, e := range entries {
			count[e.ID()]++
			if count[e.ID()] > 1 || !accepted[e.ID()] && e.ID() != "refused" {
				t.Fatalf("%s is there %d times", e.ID(), count[e.ID()])
			}
		}
		missing := 0
		for id := range accepted {
			if count[id] == 0 {
				missing++
			}
		}
		if err == nil && missing == 0 {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("%d of %d are lost: %v", missing, len(accepted), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
