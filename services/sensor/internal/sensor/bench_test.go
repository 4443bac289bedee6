package sensor

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/kube/secret"
	"github.com/argosy-mesh/argosy/services/sensor/internal/source"
	"github.com/argosy-mesh/argosy/services/sensor/internal/trigger"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

// counting is an HTTP target that only counts, and notes when each event came.
func counting(tb testing.TB, got *atomic.Int64, seen func(id string)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s := &http.Server{
		ReadHeaderTimeout: time.Second,
		Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if seen == nil {
				_, _ = io.Copy(io.Discard, r.Body)
			} else {
				body, _ := io.ReadAll(r.Body)
				seen(string(body))
			}
			got.Add(1)
		}),
	}
	go func() { _ = s.Serve(l) }()
	tb.Cleanup(func() { _ = s.Close() })
	return "http://" + l.Addr().String()
}

// reach waits until so many were counted.
func reach(got *atomic.Int64, n int64) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for got.Load() < n {
		<-tick.C
	}
}

const benchSpec = `
dependencies: [{name: d, eventSourceName: hooks, eventName: push, filters: {data: [{path: body.ref, type: string, value: [main]}]}}]
triggers:
- template: {name: t, http: {url: "%s", payload: [{src: {dependencyName: d, contextKey: id}, dest: ""}]}}
`

func (b *bench) fill(n int) {
	var all sync.WaitGroup
	for w := range 16 {
		all.Go(func() {
			for i := w; i < n; i += 16 {
				b.publish(
					"push",
					fmt.Sprint(i),
					map[string]any{
						"body": map[string]any{
							"ref":  "refs/heads/main",
							"text": "a text that makes the event two hundred bytes long, as the method of the peers has it",
						},
					},
				)
			}
		})
	}
	all.Wait()
}

// BenchmarkBacklogToHTTP drains a backlog into an HTTP target; the bus and the target
// share the machine.
func BenchmarkBacklogToHTTP(b *testing.B) {
	x := newBench(b)
	var got atomic.Int64
	url := counting(b, &got, nil)
	x.fill(b.N)
	b.ResetTimer()
	began := time.Now()
	stop := x.run(x.listener(sensorOf(b, fmt.Sprintf(benchSpec, url), nil)))
	reach(&got, int64(b.N))
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "triggers/s")
	b.StopTimer()
	stop()
}

// BenchmarkPairs drains pairs of events through a window.
func BenchmarkPairs(b *testing.B) {
	x := newBench(b)
	var got atomic.Int64
	url := counting(b, &got, nil)
	for i := range b.N {
		x.publish("a", fmt.Sprint("a", i), map[string]any{})
		x.publish("b", fmt.Sprint("b", i), map[string]any{})
	}
	b.ResetTimer()
	began := time.Now()
	stop := x.run(x.listener(sensorOf(b, fmt.Sprintf(pairToSink, url), nil)))
	reach(&got, int64(b.N))
	b.ReportMetric(2*float64(b.N)/time.Since(began).Seconds(), "events/s")
	b.StopTimer()
	stop()
}

// BenchmarkLag holds 2,000 events per second for b.N events and reports how late
// their effects are.
func BenchmarkLag(b *testing.B) {
	x := newBench(b)
	var got atomic.Int64
	var mu sync.Mutex
	sent := map[string]time.Time{}
	var lags []time.Duration
	url := counting(b, &got, func(id string) {
		mu.Lock()
		defer mu.Unlock()
		lags = append(lags, time.Since(sent[id]))
	})
	stop := x.run(x.listener(sensorOf(b, fmt.Sprintf(benchSpec, url), nil)))
	data := map[string]any{"body": map[string]any{"ref": "main"}}
	const rate = 2000
	b.ResetTimer()
	var all sync.WaitGroup
	slots := make(chan struct{}, 64)
	began := time.Now()
	for i := range b.N {
		if wait := time.Until(began.Add(time.Duration(i) * time.Second / rate)); wait > 0 {
			<-time.NewTimer(wait).C
		}
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			id := fmt.Sprint(i)
			e, err := bus.NewEvent(id, "hooks", "webhook", data)
			if err != nil {
				b.Error(err)
				return
			}
			mu.Lock()
			sent[id] = time.Now()
			mu.Unlock()
			if err := x.bus.Publish(b.Context(), "events.ns.hooks.push", e); err != nil {
				b.Error(err)
			}
		})
	}
	all.Wait()
	reach(&got, int64(b.N))
	b.StopTimer()
	stop()
	slices.Sort(lags)
	b.ReportMetric(float64(lags[len(lags)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(lags[len(lags)*99/100].Microseconds())/1000, "p99-ms")
}

// BenchmarkManySensors is b.N Sensors on one replica, each with an event of its own: until all are ready, until all
// have fired, and what the process holds then, with the bus in it.
func BenchmarkManySensors(b *testing.B) {
	x := newBench(b)
	var got atomic.Int64
	url := counting(b, &got, nil)
	readers := x.bus.Share(
		bus.SharedConfig{
			Stream: bus.Events, Name: groupName, Subject: "events.>", Self: "one",
			Live: func() []string { return []string{"one"} },
		},
	)
	values := secret.NewReader(fake.NewClientBuilder().Build(), 0)
	w := trigger.World{Values: values, Sources: source.NewFetcher(values, nil, ""), Log: x.tel.Log, Now: time.Now}
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { _ = readers.Run(ctx) })
	defer func() { cancel(); done.Wait() }()
	ready := make(chan struct{}, b.N)
	ls := &listeners{
		serving: context.Background(),
		log:     x.tel.Log,
		now:     time.Now,
		running: map[string]*listening{},
		news: func(l *listening) {
			if listens, _ := l.state(); listens {
				ready <- struct{}{}
			}
		},
	}
	b.ResetTimer()
	began := time.Now()
	for i := range b.N {
		s := sensorOf(b, fmt.Sprintf(strings.ReplaceAll(benchSpec, "push", fmt.Sprint("push", i)), url), nil)
		s.Name, s.UID = fmt.Sprint("s", i), types.UID(fmt.Sprint("u", i))
		s.CreationTimestamp = metav1.Now()
		l := newListener(
			compileSensor(s, w, func() int { return 1 }),
			&performer{bus: x.bus, log: x.tel.Log, metrics: x.metrics},
			readers,
			func(string, error) {},
		)
		ls.start("ns/"+s.Name, "1", l)
	}
	for range b.N {
		<-ready
	}
	b.ReportMetric(time.Since(began).Seconds(), "s-to-ready")
	began = time.Now()
	var all sync.WaitGroup
	for sender := range 16 {
		all.Go(func() {
			for i := sender; i < b.N; i += 16 {
				x.publish(fmt.Sprint("push", i), fmt.Sprint(i), map[string]any{"body": map[string]any{"ref": "main"}})
			}
		})
	}
	all.Wait()
	reach(&got, int64(b.N))
	b.ReportMetric(time.Since(began).Seconds(), "s-to-fire-all")
	b.StopTimer()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.Sys)/(1<<20), "MiB")
	b.ReportMetric(float64(len(x.server.Consumers(bus.Events))+len(x.server.Consumers(bus.Commands))), "consumers")
}
