package sensor

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/kube/secret"
	"github.com/argosy-mesh/argosy/services/sensor/internal/source"
	"github.com/argosy-mesh/argosy/services/sensor/internal/trigger"
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

// Environment of a process that plays one replica, to be killed.
const (
	envBus  = "SENSOR_TEST_BUS"
	envSpec = "SENSOR_TEST_SPEC"
)

// TestReplicaProcess is no test of its own: it is the process that TestKilled kills.
func TestReplicaProcess(t *testing.T) {
	if os.Getenv(envBus) == "" {
		return // played only by TestKilled
	}
	b, err := bus.Connect(bus.Config{URL: os.Getenv(envBus), Name: "replica"})
	if err != nil {
		t.Fatal(err)
	}
	values := secret.NewReader(fake.NewClientBuilder().Build(), 0)
	log := slog.New(slog.DiscardHandler)
	u := compileSensor(
		sensorOf(t, os.Getenv(envSpec), nil),
		trigger.World{Values: values, Sources: source.NewFetcher(values, nil, ""), Log: log, Now: time.Now},
		func() int { return 1 },
	)
	readers := b.Share(
		bus.SharedConfig{
			Stream: bus.Events, Name: groupName, Subject: "events.>", Self: "replica",
			Live: func() []string { return []string{"replica"} },
		},
	)
	l := newListener(
		u,
		&performer{bus: b, log: log, metrics: newMetrics(prometheus.NewRegistry())},
		readers,
		func(string, error) {},
	)
	l.ackWait = 300 * time.Millisecond
	subscription := l.subscribe()
	go func() { _ = readers.Run(context.Background()) }()
	l.firings() // of the one that was killed
	l.run(context.Background(), subscription)
}

// killer keeps one replica running and kills it, with SIGKILL, when it is told to.
type killer struct {
	t     *testing.T
	env   []string
	mu    sync.Mutex
	child *exec.Cmd
	kills atomic.Int32
}

func (k *killer) start() {
	k.t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.child = exec.CommandContext(context.Background(), os.Args[0], "-test.run=^TestReplicaProcess$")
	k.child.Env = append(os.Environ(), k.env...)
	if err := k.child.Start(); err != nil {
		k.t.Fatal(err)
	}
}

// kill ends the replica as it stands.
func (k *killer) kill() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.child != nil {
		_ = k.child.Process.Kill()
		_ = k.child.Wait()
		k.child = nil
		k.kills.Add(1)
	}
}

func (k *killer) dead() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.child == nil
}

// TestKilled kills replicas with SIGKILL between an effect and its acknowledgement,
// and at any other moment, while pairs of events must each have exactly one effect.
func TestKilled(t *testing.T) {
	b := newBench(t)
	k := &killer{t: t}
	var mu sync.Mutex
	keys := map[string]int{}
	bodies := map[string]bool{}
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		keys[r.Header.Get("Idempotency-Key")]++
		bodies[string(body)] = true
		if n := len(keys); keys[r.Header.Get("Idempotency-Key")] == 1 && n%4 == 0 {
			// The effect is there; its replica does not live to hear so.
			k.kill()
		}
	}))
	defer s.Close()
	k.env = []string{envBus + "=" + b.server.URL(), envSpec + "=" + fmt.Sprintf(pairToSink, s.URL)}
	const pairs = 24
	for i := range pairs {
		b.publish("a", fmt.Sprintf("a%d", i), map[string]any{})
		b.publish("a", fmt.Sprintf("a%d'", i), map[string]any{}) // the latest of a dependency wins
		b.publish("b", fmt.Sprintf("b%d", i), map[string]any{})
	}
	k.start()
	defer k.kill()
	next := time.Now().Add(time.Second)
	b.eventually("every pair to have its effect", func() error {
		if k.dead() {
			k.start()
			next = time.Now().Add(200*time.Millisecond + rand.N(600*time.Millisecond))
		} else if time.Now().After(next) && k.kills.Load() < 14 {
			k.kill()
		}
		mu.Lock()
		defer mu.Unlock()
		if len(bodies) < pairs {
			return fmt.Errorf("%d of %d pairs after %d kills", len(bodies), pairs, k.kills.Load())
		}
		return nil
	})
	mu.Lock()
	defer mu.Unlock()
	for i := range pairs {
		if !bodies[fmt.Sprintf(`{"a":"a%d'","b":"b%d"}`, i, i)] {
			t.Errorf("pair %d has no effect", i)
		}
	}
	if len(keys) != pairs || len(bodies) != pairs {
		t.Errorf("%d keys and %d bodies for %d pairs: %v", len(keys), len(bodies), pairs, bodies)
	}
	if n := k.kills.Load(); n < 5 {
		t.Errorf("only %d kills", n)
	}
	t.Logf("%d kills", k.kills.Load())
}
