package sensor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/bus/bustest"
	"github.com/argosy-mesh/argosy/libs/kube/secret"
	"github.com/argosy-mesh/argosy/libs/obs"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sensor/internal/source"
	"github.com/argosy-mesh/argosy/services/sensor/internal/trigger"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/yaml"
)

// bench is a bus and a Sensor on it, without a cluster: what a listener needs.
type bench struct {
	t       testing.TB
	server  *bustest.Server
	bus     *bus.Bus
	metrics *metrics
	tel     *obs.Telemetry
	mu      sync.Mutex
	live    []string // replicas
}

func newBench(t testing.TB) *bench {
	t.Helper()
	server := bustest.Start(t)
	tel, err := obs.New(
		context.Background(), obs.Config{Service: "sensor", Instance: "i", Level: "error", Out: io.Discard},
	)
	if err != nil {
		t.Fatal(err)
	}
	return &bench{t: t, server: server, bus: server.Connect("test"), metrics: newMetrics(tel.Registry), tel: tel}
}

func sensorOf(t testing.TB, spec string, annotations map[string]string) *v1alpha1.Sensor {
	t.Helper()
	s := &v1alpha1.Sensor{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "s", UID: "u", Annotations: annotations}}
	if err := yaml.Unmarshal([]byte(spec), &s.Spec); err != nil {
		t.Fatalf("%v in %s", err, spec)
	}
	return s
}

// listener makes one replica of a Sensor's listener.
func (b *bench) listener(s *v1alpha1.Sensor) *listener {
	b.t.Helper()
	values := secret.NewReader(fake.NewClientBuilder().Build(), 0)
	w := trigger.World{Values: values, Sources: source.NewFetcher(values, nil, ""), Log: b.tel.Log, Now: time.Now}
	u := compileSensor(s, w, func() int { return 1 })
	return newListener(u, &performer{bus: b.bus, log: b.tel.Log, metrics: b.metrics}, nil, func(string, error) {})
}

func (b *bench) replicas() []string { b.mu.Lock(); defer b.mu.Unlock(); return slices.Clone(b.live) }

// run starts a listener, with a replica of its own, until the test ends or stop is called.
func (b *bench) run(l *listener) (stop func()) {
	b.mu.Lock()
	name := fmt.Sprint("replica-", len(b.live))
	b.live = append(b.live, name)
	b.mu.Unlock()
	l.readers = b.bus.Share(
		bus.SharedConfig{Stream: bus.Events, Name: groupName, Subject: "events.>", Self: name, Live: b.replicas},
	)
	ctx, cancel := context.WithCancel(context.Background())
	reading, end := context.WithCancel(context.Background())
	done, read := make(chan struct{}), make(chan struct{})
	subscription := l.subscribe()
	go func() { defer close(done); l.run(ctx, subscription) }()
	go func() { defer close(read); _ = l.readers.Run(reading) }()
	stop = sync.OnceFunc(func() { end(); <-read; cancel(); <-done })
	b.t.Cleanup(stop)
	return stop
}

func (b *bench) publish(name, id string, data any) {
	b.t.Helper()
	e, err := bus.NewEvent(id, "hooks", "webhook", data)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.bus.Publish(context.Background(), bus.Subject("events", "ns", "hooks", name), e); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) eventually(what string, check func() error) {
	b.t.Helper()
	deadline := time.After(within)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			b.t.Fatalf("waited %s for %s: %v", within, what, err)
		case <-tick.C:
		}
	}
}

// sink is an HTTP target that keeps count of keys.
type sink struct {
	*httptest.Server
	mu     sync.Mutex
	keys   map[string]int
	bodies []string
	answer func(body string) int
}

func newSink(t testing.TB) *sink {
	s := &sink{keys: map[string]int{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.answer != nil {
			if status := s.answer(string(body)); status >= 300 {
				w.WriteHeader(status)
				return
			}
		}
		s.keys[r.Header.Get("Idempotency-Key")]++
		s.bodies = append(s.bodies, string(body))
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *sink) effects() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.keys)
}

func (s *sink) has(n int) func() error {
	return func() error {
		if got := s.effects(); got != n {
			return fmt.Errorf("%d effects, want %d", got, n)
		}
		return nil
	}
}

const toSink = `
dependencies: [{name: d, eventSourceName: hooks, eventName: push}]
triggers:
- template: {name: t, http: {url: "%s", payload: [{src: {dependencyName: d, dataKey: body}, dest: body}]}}
`

const pairToSink = `
dependencies: [{name: a, eventSourceName: hooks, eventName: a}, {name: b, eventSourceName: hooks, eventName: b}]
triggers:
- template: {name: t, conditions: a && b, http: {url: "%s", payload: [{src: {dependencyName: a, contextKey: id}, dest: a}, {src: {dependencyName: b, contextKey: id}, dest: b}]}}
`

func TestEventsBecomeRequests(t *testing.T) {
	b, s := newBench(t), newSink(t)
	b.run(b.listener(sensorOf(t, fmt.Sprintf(toSink, s.URL), nil)))
	for i := range 20 {
		b.publish("push", fmt.Sprint(i), map[string]any{"body": "x"})
	}
	b.publish("push", "3", map[string]any{"body": "x"})
	b.eventually("20 effects", s.has(20))
	if s.bodies[0] != `{"body":"x"}` {
		t.Errorf("%s", s.bodies[0])
	}
	facts, err := b.bus.Read(t.Context(), bus.Facts, "facts.sensor.trigger.fired.ns.s")
	if err != nil || len(facts) != 20 {
		t.Errorf("%d facts: %v", len(facts), err)
	}
}

func TestOneBadTriggerHarmsNoOther(t *testing.T) {
	b, good, bad := newBench(t), newSink(t), newSink(t)
	var mu sync.Mutex
	status := http.StatusServiceUnavailable
	bad.answer = func(string) int { mu.Lock(); defer mu.Unlock(); return status }
	spec := fmt.Sprintf(`
dependencies: [{name: d, eventSourceName: hooks, eventName: push}]
triggers:
- template: {name: broken, conditions: nothing, log: {}}
- template: {name: nokind}
- template: {name: bad, http: {url: "%s"}}
- template: {name: good, http: {url: "%s"}}
`, bad.URL, good.URL)
	l := b.listener(sensorOf(t, spec, nil))
	if len(l.compiled.problems) != 2 {
		t.Errorf("%v", l.compiled.problems)
	}
	b.run(l)
	b.publish("push", "1", map[string]any{})
	b.publish("push", "2", map[string]any{})
	b.eventually("the good ones", good.has(2))
	mu.Lock()
	status = http.StatusOK
	mu.Unlock()
	b.eventually("the bad ones, later", bad.has(2))
	for key, n := range good.keys {
		if n != 1 {
			t.Errorf("%s came %d times: a failure beside it repeated it", key, n)
		}
	}
}

func TestWhatNeverWorksIsDeadAndCanBeDrivenAgain(t *testing.T) {
	b, s := newBench(t), newSink(t)
	var mu sync.Mutex
	status := http.StatusBadRequest
	s.answer = func(string) int { mu.Lock(); defer mu.Unlock(); return status }
	b.run(b.listener(sensorOf(t, fmt.Sprintf(toSink, s.URL), nil)))
	b.publish("push", "1", map[string]any{"body": "x"})
	var dead []bus.DeadLetter
	b.eventually("a dead letter", func() error {
		var err error
		dead, err = b.bus.DeadLetters(t.Context(), bus.Commands, "commands.sensor.fire.>", 0)
		if err == nil && len(dead) == 0 {
			err = errors.New("none")
		}
		return err
	})
	mu.Lock()
	status = http.StatusOK
	mu.Unlock()
	if err := b.bus.Redrive(t.Context(), dead[0].Sequence); err != nil {
		t.Fatal(err)
	}
	b.eventually("the effect", s.has(1))
}

func TestDlqTriggersAndRetries(t *testing.T) {
	b, s, dlq := newBench(t), newSink(t), newSink(t)
	var mu sync.Mutex
	tries := 0
	s.answer = func(string) int { mu.Lock(); defer mu.Unlock(); tries++; return http.StatusServiceUnavailable }
	spec := fmt.Sprintf(`
dependencies: [{name: d, eventSourceName: hooks, eventName: push}]
triggers:
- template: {name: t, http: {url: "%s"}}
  retryStrategy: {steps: 3, duration: 1ms, jitter: 0}
  atLeastOnce: true
  dlqTrigger: {template: {name: dlq, http: {url: "%s"}}}
`, s.URL, dlq.URL)
	b.run(b.listener(sensorOf(t, spec, nil)))
	b.publish("push", "1", map[string]any{})
	b.eventually("the dlqTrigger", dlq.has(1))
	mu.Lock()
	defer mu.Unlock()
	if tries != 4 { // once on the spot, three times from the queue
		t.Errorf("%d tries", tries)
	}
}

func TestRateLimitsDoNotBurst(t *testing.T) {
	b, s := newBench(t), newSink(t)
	spec := fmt.Sprintf(`
dependencies: [{name: d, eventSourceName: hooks, eventName: push}]
triggers: [{rateLimit: {unit: Second, requestsPerUnit: 20}, template: {name: t, http: {url: "%s"}}}]
`, s.URL)
	b.run(b.listener(sensorOf(t, spec, nil)))
	began := time.Now()
	for i := range 6 {
		b.publish("push", fmt.Sprint(i), map[string]any{})
	}
	b.eventually("all", s.has(6))
	if took := time.Since(began); took < 5*50*time.Millisecond {
		t.Errorf("6 firings at 20 per second took %s", took)
	}
}

// TestPairsInQuickSuccession is what Argo Events loses: pairs that come faster than
// they are handled.
func TestPairsInQuickSuccession(t *testing.T) {
	b, s := newBench(t), newSink(t)
	sensor := sensorOf(t, fmt.Sprintf(pairToSink, s.URL), nil)
	const pairs = 100
	for i := range pairs {
		b.publish("a", fmt.Sprintf("a%d", i), map[string]any{})
		b.publish("b", fmt.Sprintf("b%d", i), map[string]any{})
	}
	// Two replicas share the work, and keep the order.
	b.run(b.listener(sensor))
	b.run(b.listener(sensor))
	b.eventually("every pair once", s.has(pairs))
	seen := map[string]bool{}
	for _, body := range s.bodies {
		seen[body] = true
	}
	for i := range pairs {
		if !seen[fmt.Sprintf(`{"a":"a%d","b":"b%d"}`, i, i)] {
			t.Errorf("pair %d did not fire", i)
		}
	}
}

func TestOrderedSensorsKeepTheOrderOfEffects(t *testing.T) {
	b, s := newBench(t), newSink(t)
	sensor := sensorOf(t, fmt.Sprintf(toSink, s.URL), map[string]string{orderedAnnotation: "true"})
	for i := range 50 {
		b.publish("push", fmt.Sprint(i), map[string]any{"body": fmt.Sprint(i)})
	}
	b.run(b.listener(sensor))
	b.run(b.listener(sensor))
	b.eventually("all", s.has(50))
	for i, body := range s.bodies {
		if body != fmt.Sprintf(`{"body":"%d"}`, i) {
			t.Fatalf("%s is at %d", body, i)
		}
	}
}
