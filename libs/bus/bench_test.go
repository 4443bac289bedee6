package bus_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

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
		ended <- on.Consume(ctx, bus.Consumer{Stream: bus.Events, Name: "c", Concurrency: 8}, func(context.Context, bus.Delivery) ([]bus.Outgoing, error) {
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
