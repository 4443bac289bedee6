package bus_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/bus/bustest"
)

// BenchmarkConsume is what one event costs a consumer, server included, beside what its handler does.
func BenchmarkConsume(b *testing.B) {
	on := bustest.Start(b).Connect("test")
	e := event(b, "e", map[string]string{"padding": strings.Repeat("x", 200)})
	var making sync.WaitGroup
	for maker := range 8 {
		making.Go(func() {
			for i := maker; i < b.N; i += 8 {
				one := e.Clone()
				one.SetID(fmt.Sprint(i))
				publish(b, on, "events.ns.s.e", one)
			}
		})
	}
	making.Wait()
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	left := make(chan struct{}, b.N)
	ended := make(chan error, 1)
	b.ResetTimer()
	go func() {
		c := bus.Consumer{Stream: bus.Events, Name: "c", Concurrency: 8}
		ended <- on.Consume(ctx, c, func(context.Context, bus.Delivery) ([]bus.Outgoing, error) {
			left <- struct{}{}
			return nil, nil
		})
	}()
	for range b.N {
		<-left
	}
	b.StopTimer()
	cancel()
	if err := <-ended; err != nil {
		b.Error(err)
	}
}

// BenchmarkPublishBeside is what publishing an event costs that nobody wants, 16 at once, beside many subscribers: each
// with a consumer of its own, or all with one reader. The time of their making is reported as well.
func BenchmarkPublishBeside(b *testing.B) {
	for _, many := range []int{1, 100, 1000, 10000} {
		for _, shared := range []bool{false, true} {
			b.Run(fmt.Sprintf("subscribers=%d/shared=%t", many, shared), func(b *testing.B) {
				server := bustest.Start(b)
				on := server.Connect("test")
				ctx, cancel := context.WithCancel(context.Background())
				var done sync.WaitGroup
				defer done.Wait()
				defer cancel()
				ready := make(chan error, 100*many)
				nothing := func(context.Context, bus.Delivery) ([]bus.Outgoing, error) { return nil, nil }
				group := on.Share(
					bus.SharedConfig{
						Stream: bus.Events, Name: "bench", Subject: "events.>", Self: "a",
						Live: func() []string { return []string{"a"} },
					},
				)
				began := time.Now()
				for i := range many {
					c := bus.Consumer{
						Stream: bus.Events, Name: fmt.Sprint("c", i),
						Filters: []string{fmt.Sprintf("events.ns.s.e%d", i)}, Since: time.Now(), Concurrency: 64,
						Declared: func(err error) { ready <- err },
					}
					if shared {
						group.Subscribe(
							bus.Subscriber{Consumer: c, Key: fmt.Sprint("ns/", i), ID: fmt.Sprint(i), Handle: nothing},
						)
					} else {
						done.Go(func() { _ = on.Consume(ctx, c, nothing) })
					}
				}
				if shared {
					done.Go(func() { _ = group.Run(ctx) })
				}
				for range many {
					for <-ready != nil { // the server takes only so many at once
					}
				}
				made := time.Since(began)
				e := event(b, "e", map[string]string{"padding": strings.Repeat("x", 200)})
				b.ResetTimer()
				before := used(b)
				var all sync.WaitGroup
				for sender := range 16 {
					all.Go(func() {
						for i := sender; i < b.N; i += 16 {
							one := e.Clone()
							one.SetID(fmt.Sprint(i))
							publish(b, on, "events.ns.s.nobody", one)
						}
					})
				}
				all.Wait()
				b.StopTimer()
				b.ReportMetric(float64((used(b)-before).Microseconds())/float64(b.N), "us-of-CPU/event")
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
				b.ReportMetric(made.Seconds(), "s-to-make")
				b.ReportMetric(float64(len(server.Consumers(bus.Events))), "consumers")
			})
		}
	}
}

// used is the CPU time of this process, which says more than the clock where others use the machine.
func used(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
