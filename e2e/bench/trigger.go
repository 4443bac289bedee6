package bench

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	sinkEvents    = "events.bench.sink.x"
	manyEvents    = 20_000  // as fast as they come
	backlogEvents = 100_000 // while no sensor runs
	heldRate      = 2_000   // a second
	heldTime      = 60 * time.Second
	drainPatience = 5 * time.Minute
)

// sink is what triggers call: it counts calls by their key, and how late each came.
type sink struct {
	mu   sync.Mutex
	seen map[string]int
	lags []float64 // milliseconds from publishing to the call
	last time.Time
	news chan struct{}
}

func (s *sink) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	var body struct {
		Sent int64 `json:"sent,string"`
	}
	err := json.NewDecoder(io.LimitReader(r.Body, 1<<16)).Decode(&body)
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[r.Header.Get("Idempotency-Key")]++
	if err == nil && body.Sent > 0 {
		s.lags = append(s.lags, float64(now.UnixNano()-body.Sent)/1e6)
	}
	s.last = now
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// take returns what came since the last time, and forgets it.
func (s *sink) take() (keys, twice int, lags []float64, last time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.seen {
		if n > 1 {
			twice++
		}
	}
	keys, lags, last = len(s.seen), s.lags, s.last
	s.seen, s.lags = map[string]int{}, nil
	return keys, twice, lags, last
}

// await returns when so many different calls have come.
func (s *sink) await(ctx context.Context, want int) error {
	ctx, cancel := context.WithTimeout(ctx, drainPatience)
	defer cancel()
	for {
		s.mu.Lock()
		have := len(s.seen)
		s.mu.Unlock()
		if have >= want {
			return nil
		}
		select {
		case <-s.news:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d triggers fired: %w", have, want, ctx.Err())
		}
	}
}

// triggers measures the sensor: events on the bus in, calls of an HTTP sink out.
func (b *bench) triggers(ctx context.Context) (figures []Figure, err error) {
	floor, err := b.newBusFloor(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		err = errors.Join(err, floor.purge(ctx))
		floor.close()
	}()
	s := &sink{seen: map[string]int{}, news: make(chan struct{}, 1)}
	url, stop, err := b.serve(ctx, s)
	if err != nil {
		return nil, err
	}
	defer stop()
	if err := b.client.Create(ctx, sinkSensor(url)); err != nil {
		return nil, fmt.Errorf("make the sensor: %w", err)
	}
	err = b.await(ctx, 30*time.Second, "the first trigger", func() (bool, error) {
		if err := floor.events(ctx, 1, 0); err != nil {
			return false, err
		}
		n, _, _, _ := s.take()
		return n > 0, nil
	})
	if err != nil {
		return nil, err
	}
	for _, part := range []func(context.Context, *busFloor, *sink) ([]Figure, error){
		b.triggerRate, b.triggerLag, b.triggerBacklog,
	} {
		found, err := part(ctx, floor, s)
		if figures = append(figures, found...); err != nil {
			return figures, err
		}
	}
	return figures, nil
}

// serve runs the sink where pods reach it: on the node's own address.
func (b *bench) serve(ctx context.Context, h http.Handler) (url string, stop func(), err error) {
	var nodes corev1.NodeList
	if err := b.client.List(ctx, &nodes); err != nil || len(nodes.Items) == 0 {
		return "", nil, errors.Join(errors.New("find the node's address"), err)
	}
	host := b.Node
	for _, a := range nodes.Items[0].Status.Addresses {
		if a.Type == corev1.NodeInternalIP {
			host = a.Address
		}
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return "", nil, fmt.Errorf("listen for triggers: %w", err)
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }()
	return "http://" + listener.Addr().String() + "/", func() { _ = server.Close() }, nil
}

func sinkSensor(url string) *unstructured.Unstructured {
	o := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"dependencies": []any{map[string]any{"name": "e", "eventSourceName": "sink", "eventName": "x"}},
		"triggers": []any{
			map[string]any{"template": map[string]any{"name": "call", "http": map[string]any{
				"url":    url,
				"method": "POST",
				"payload": []any{
					map[string]any{"src": map[string]any{"dependencyName": "e", "dataKey": "sent"}, "dest": "sent"},
				},
			}}},
		},
	}}}
	o.SetGroupVersionKind(v1alpha1.Kind("Sensor"))
	o.SetNamespace(namespace)
	o.SetName("sink")
	return o
}

// events publishes n events; rate a second, or as fast as the bus takes them when it is 0.
func (f *busFloor) events(ctx context.Context, n, rate int) error {
	batch, began := rand.Text(), time.Now()
	var acks []jetstream.PubAckFuture
	for i := range n {
		if rate > 0 {
			time.Sleep(time.Until(began.Add(time.Duration(i) * time.Second / time.Duration(rate))))
		}
		id := fmt.Sprintf("%s-%d", batch, i)
		m := &nats.Msg{
			Subject: sinkEvents,
			Data:    fmt.Appendf(nil, `{"sent":"%d","padding":"%s"}`, time.Now().UnixNano(), strings.Repeat("x", 150)),
			Header: nats.Header{
				"ce-specversion": {
					"1.0",
				},
				"ce-id":              {id},
				"ce-type":            {"webhook"},
				"ce-source":          {"bench"},
				"ce-datacontenttype": {"application/json"},
				"ce-time":            {time.Now().UTC().Format(time.RFC3339Nano)},
			},
		}
		ack, err := f.js.PublishMsgAsync(m, jetstream.WithMsgID(id))
		if err != nil {
			return fmt.Errorf("publish: %w", err)
		}
		acks = append(acks, ack)
	}
	for _, ack := range acks {
		select {
		case <-ack.Ok():
		case err := <-ack.Err():
			return fmt.Errorf("publish: %w", err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (b *bench) triggerRate(ctx context.Context, floor *busFloor, s *sink) ([]Figure, error) {
	s.take()
	before, err := b.used(ctx, "sensor")
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := errors.Join(floor.events(ctx, manyEvents, 0), s.await(ctx, manyEvents)); err != nil {
		return nil, err
	}
	n, twice, _, last := s.take()
	after, err := b.used(ctx, "sensor")
	if err != nil {
		return nil, err
	}
	rate, cpu := float64(n)/last.Sub(began).Seconds(), (after-before)*1000/float64(n)
	b.sayf("  %.0f triggers/s, %d fired twice, %.2f ms of CPU each", rate, twice, cpu)
	return []Figure{
		{
			Job:   "triggers to an HTTP sink",
			Unit:  "/s",
			Value: Once(rate),
			Aim:   AtLeast(4500, "/s"),
			Note:  fmt.Sprintf("%d events, %d fired twice; they are published meanwhile", n, twice),
		},
		{Job: "sensor's CPU per trigger", Unit: "ms", Value: Once(cpu), Aim: Under(0.27, "ms")},
	}, nil
}

func (b *bench) triggerLag(ctx context.Context, floor *busFloor, s *sink) ([]Figure, error) {
	const n = heldRate * int(heldTime/time.Second)
	began := time.Now()
	if err := floor.events(ctx, n, heldRate); err != nil {
		return nil, err
	}
	held := float64(n) / time.Since(began).Seconds()
	if err := s.await(ctx, n); err != nil {
		return nil, err
	}
	_, twice, lags, _ := s.take()
	b.sayf(
		"  lag at %.0f/s: p50 %.1f ms, p99 %.1f ms, %d fired twice", held, Percentile(lags, 50), Percentile(lags, 99),
		twice,
	)
	return []Figure{
		{
			Job:   fmt.Sprintf("lag of triggers at %d/s for %s, p99", heldRate, heldTime),
			Unit:  "ms",
			Value: Once(Percentile(lags, 99)),
			Aim:   Under(50, "ms"),
			Note:  fmt.Sprintf("p50 %.1f ms, held %.0f/s, %d fired twice", Percentile(lags, 50), held, twice),
		},
	}, nil
}

func (b *bench) triggerBacklog(ctx context.Context, floor *busFloor, s *sink) ([]Figure, error) {
	if err := b.scaleTo(ctx, "sensor", 0); err != nil {
		return nil, err
	}
	published := floor.events(ctx, backlogEvents, 0)
	if err := errors.Join(published, b.scaleTo(context.WithoutCancel(ctx), "sensor", 1)); err != nil {
		return nil, err
	}
	began := time.Now()
	if err := s.await(ctx, backlogEvents); err != nil {
		return nil, err
	}
	n, twice, _, last := s.take()
	rate := float64(n) / last.Sub(began).Seconds()
	b.sayf("  backlog of %d: %.0f/s, %d fired twice", n, rate, twice)
	return []Figure{
		{
			Job:   fmt.Sprintf("backlog of %d events drained", backlogEvents),
			Unit:  "/s",
			Value: Once(rate),
			Note:  fmt.Sprintf("from a ready sensor on; %d fired twice", twice),
		},
	}, nil
}

// used is how many seconds of CPU the pods of a service have taken.
func (b *bench) used(ctx context.Context, service string) (float64, error) {
	var pods corev1.PodList
	if err := b.client.List(ctx, &pods, client.InNamespace(control)); err != nil {
		return 0, fmt.Errorf("list the services' pods: %w", err)
	}
	total := 0.0
	for i := range pods.Items {
		if p := &pods.Items[i]; strings.HasPrefix(p.Name, service+"-") && p.Status.Phase == corev1.PodRunning {
			seconds, err := metric(ctx, p.Status.PodIP, "process_cpu_seconds_total")
			if err != nil {
				return 0, fmt.Errorf("CPU of %s: %w", p.Name, err)
			}
			total += seconds
		}
	}
	return total, nil
}
