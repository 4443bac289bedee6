package sensor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/kube/object"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/kube/secret"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sensor/internal/source"
	"github.com/argosy-mesh/argosy/services/sensor/internal/trigger"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/yaml"
)

// office is a reconciler over objects in memory and a real bus, with one worker: what one call waits for, all wait for.
type office struct {
	*bench
	client client.Client
	r      *reconciler
	news   chan event.GenericEvent
}

func newOffice(t *testing.T) *office {
	t.Helper()
	b := newBench(t)
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	kind := object.New("Sensor")
	c := fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(kind).Build()
	values := secret.NewReader(c, 0)
	o := &office{bench: b, client: c, news: make(chan event.GenericEvent)}
	serving, cancel := context.WithCancel(context.Background())
	readers := b.bus.Share(
		bus.SharedConfig{
			Stream: bus.Events, Name: groupName, Subject: "events.>", Self: "office",
			Live: func() []string { return []string{"office"} },
		},
	)
	o.r = &reconciler{
		client:    c,
		bus:       b.bus,
		readers:   readers,
		owns:      func(string) bool { return true },
		performer: &performer{bus: b.bus, log: b.tel.Log, metrics: b.metrics},
		world: trigger.World{
			Values: values, Sources: source.NewFetcher(values, nil, ""), Log: b.tel.Log, Now: time.Now,
		},
		live: func() int { return 1 },
		log:  b.tel.Log,
		news: o.news,
	}
	o.r.listeners = &listeners{
		serving: serving, log: b.tel.Log, now: time.Now, news: o.r.heard, running: map[string]*listening{},
	}
	ctx, stop := context.WithCancel(context.Background())
	drained, read := make(chan error, 1), make(chan error, 1)
	reading, end := context.WithCancel(context.Background())
	go func() { read <- readers.Run(reading) }()
	go func() { drained <- o.r.listeners.drain(ctx) }()
	t.Cleanup(func() {
		end()
		if err := <-read; err != nil {
			t.Error(err)
		}
		stop()
		if err := <-drained; err != nil {
			t.Error(err)
		}
		cancel()
	})
	return o
}

// apply writes a Sensor and has it looked at.
func (o *office) apply(name, spec string, generation int64) {
	o.t.Helper()
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte("{apiVersion: argoproj.io/v1alpha1, kind: Sensor}"), &u.Object); err != nil {
		o.t.Fatal(err)
	}
	var fields map[string]any
	if err := yaml.Unmarshal([]byte(spec), &fields); err != nil {
		o.t.Fatal(err)
	}
	u.Object["spec"] = fields
	u.SetNamespace("ns")
	u.SetName(name)
	u.SetUID(types.UID("uid-" + name))
	u.SetGeneration(generation)
	old := u.DeepCopy()
	if err := o.client.Get(context.Background(), client.ObjectKeyFromObject(u), old); err == nil {
		u.SetResourceVersion(old.GetResourceVersion())
		u.SetFinalizers(old.GetFinalizers())
		if err := o.client.Update(context.Background(), u); err != nil {
			o.t.Fatal(err)
		}
	} else if err := o.client.Create(context.Background(), u); err != nil {
		o.t.Fatal(err)
	}
	o.look(name)
}

func (o *office) look(name string) {
	o.t.Helper()
	if _, err := o.r.Reconcile(
		context.Background(), reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "ns", Name: name}},
	); err != nil {
		o.t.Fatal(err)
	}
}

// awaitReady looks at Sensors as the bus tells of them, until one is as wanted.
func (o *office) awaitReady(name, status, reason string) string {
	o.t.Helper()
	u := object.New("Sensor")
	deadline := time.After(within)
	for {
		if err := o.client.Get(context.Background(), types.NamespacedName{Namespace: "ns", Name: name}, u); err != nil {
			o.t.Fatal(err)
		}
		s, _, _ := v1alpha1.DecodeTolerant[v1alpha1.Sensor](u.Object)
		said := "no status"
		for _, c := range s.Status.Conditions {
			if c.Type != conditionReady {
				continue
			}
			if said = fmt.Sprint(c.Status, c.Reason, c.Message); c.Status == status && c.Reason == reason {
				return c.Message
			}
		}
		select {
		case e := <-o.news:
			o.look(e.Object.GetName())
		case <-deadline:
			o.t.Fatalf("%s says %s, want %s %s", name, said, status, reason)
		}
	}
}

// target answers nothing until its caller goes, and counts calls.
func target(t *testing.T, answer func(w http.ResponseWriter, r *http.Request)) (url string, called <-chan string) {
	t.Helper()
	calls := make(chan string, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or the server does not notice that the caller went
		calls <- r.Header.Get("Idempotency-Key")
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL, calls
}

func await[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(within):
		t.Fatalf("waited %s for %s", within, what)
		panic("unreachable")
	}
}

// calling is a Sensor that calls a target for each event of a name.
func calling(event, url, more string) string {
	return `{dependencies: [{name: d, eventSourceName: hooks, eventName: ` + event + `}], triggers: [{template: {name: call, http: {url: "` + url + `", payload: [{src: {dependencyName: d, dataKey: a}, dest: a}]}}` + more + `}]}`
}

// One Sensor that is busy for hours, whatever with, holds no other's work when it is edited or deleted; what it had in
// hand is done by what it is edited to.
func TestABusySensorHoldsNobody(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request)
		more   string
		events int
	}{
		"it retries for hours": {
			func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
			", retryStrategy: {duration: 1h, steps: 100}", 1,
		},
		"its target does not answer": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "", 1},
		"all its hands are full": {
			func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "",
			eventConcurrency + queueConcurrency + 3,
		},
		"it waits for its rate": {
			func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) },
			", rateLimit: {unit: Hour, requestsPerUnit: 1}", 3,
		},
		"its dlqTrigger fails, slowly": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
		},
			`, dlqTrigger: {template: {name: dead, http: {url: "http://127.0.0.1:1"}}, retryStrategy: {duration: 1h, steps: 9}}`, 1},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t)
			slow, called := target(t, c.answer)
			o.apply("slow", calling("slow", slow, c.more), 1)
			o.awaitReady("slow", "True", "Listening")
			for i := range c.events {
				o.publish("slow", fmt.Sprint("e", i), map[string]string{"a": "x"})
			}
			await(t, called, "the first call")
			first := o.r.listeners.running["ns/slow"]

			// Edited to a target that answers, it does what is left.
			good, done := target(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
			o.apply("slow", calling("slow", good, ""), 2)
			o.apply("other", calling("other", good, ""), 1)
			o.awaitReady("other", "True", "Listening")
			o.publish("other", "other", map[string]string{"a": "x"})
			await(t, first.done, "the end of what the edited Sensor had in hand")
			want := c.events + 1 // and that of the other
			if strings.Contains(c.more, "rateLimit") {
				want-- // the first was answered
			}
			for range want {
				await(t, done, "what the edited Sensor had in hand, and the other's call")
			}
			if dead, err := o.bus.DeadLetters(t.Context(), "*", ">", 0); err != nil || len(dead) > 0 {
				t.Errorf("%d dead letters, %v", len(dead), err)
			}
		})
	}
}

// A Sensor that is deleted while it is busy goes at once, and leaves nothing on the streams.
func TestABusySensorIsDeleted(t *testing.T) {
	o := newOffice(t)
	slow, called := target(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	o.apply("slow", calling("slow", slow, ", retryStrategy: {duration: 1h, steps: 100}"), 1)
	o.awaitReady("slow", "True", "Listening")
	o.publish("slow", "e", map[string]string{"a": "x"})
	await(t, called, "the call")
	first := o.r.listeners.running["ns/slow"]
	u := object.Named("Sensor", "ns", "slow")
	if err := o.client.Delete(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	o.look("slow")
	if err := o.client.Get(t.Context(), client.ObjectKeyFromObject(u), u); client.IgnoreNotFound(err) != nil ||
		err == nil {
		t.Errorf("it is still there: %v", err)
	}
	await(t, first.done, "the end of what it had in hand")
	o.eventually("its places to be free", func() error {
		if names := append(o.server.Consumers(bus.Events), o.server.Consumers(bus.Commands)...); len(names) > 0 {
			return fmt.Errorf("there are %v", names)
		}
		left, err := o.bus.Read(t.Context(), bus.Commands, "commands.>")
		if err != nil || len(left) > 0 {
			return fmt.Errorf("%d firings, %w", len(left), err)
		}
		return nil
	})
}

// Ready is what the server says, not what was asked of it.
func TestReadyIsWhatTheServerConfirmed(t *testing.T) {
	o := newOffice(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	there := make(chan error, 10)
	go func() {
		_ = o.bus.Consume(
			ctx,
			bus.Consumer{
				Stream: bus.Events, Name: "other", Filters: []string{"events.other.>"},
				Declared: func(err error) { there <- err },
			},
			func(context.Context, bus.Delivery) ([]bus.Outgoing, error) { return nil, nil },
		)
	}()
	if err := await(t, there, "another consumer"); err != nil {
		t.Fatal(err)
	}
	o.server.LimitConsumers(bus.Events, 1)
	url, _ := target(t, func(http.ResponseWriter, *http.Request) {})
	o.apply("one", calling("any", url, ""), 1)
	if said := o.awaitReady("one", "False", "Refused"); !strings.Contains(said, "consumer") {
		t.Errorf("it says %s", said)
	}
	o.server.LimitConsumers(bus.Events, 10)
	o.awaitReady("one", "True", "Listening")
	o.apply("two", calling("any", url, ""), 1)
	o.awaitReady("two", "True", "Listening")
}

// A Sensor that is deleted leaves nothing on the bus: no place, no window, no firing.
func TestADeletedSensorLeavesNothing(t *testing.T) {
	o := newOffice(t)
	url, _ := target(t, func(http.ResponseWriter, *http.Request) {})
	o.apply("pair", fmt.Sprintf(pairToSink, url), 1)
	o.awaitReady("pair", "True", "Listening")
	o.publish("a", "a1", map[string]any{})
	entries := func(bucket, prefix string) int {
		keys, err := o.bus.KV(bucket).Keys(t.Context(), prefix)
		if err != nil {
			t.Fatal(err)
		}
		return len(keys)
	}
	o.eventually("its window", func() error {
		if entries(bus.WindowsBucket, "uid-pair.") == 0 {
			return errors.New("there is none")
		}
		return nil
	})
	if entries(bus.ReadersBucket, groupName+".sub.") != 1 {
		t.Error("it has no place")
	}
	u := object.Named("Sensor", "ns", "pair")
	if err := o.client.Delete(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	o.look("pair")
	o.eventually("nothing to be left", func() error {
		windows, places := entries(bus.WindowsBucket, "uid-pair."), entries(bus.ReadersBucket, groupName+".sub.")
		consumers := append(o.server.Consumers(bus.Events), o.server.Consumers(bus.Commands)...)
		if windows+places+len(consumers) > 0 {
			return fmt.Errorf("%d windows, %d places, %v", windows, places, consumers)
		}
		return nil
	})
}
