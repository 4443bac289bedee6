package bus_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/bus/bustest"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A consumer that is stopped does not wait for a handler for longer than its grace, and what the handler had in hand
// comes again, even at its last attempt and whatever the handler says then.
func TestAStoppedHandlerGivesItsEventBack(t *testing.T) {
	b := bustest.Start(t).Connect("test")
	publish(t, b, "events.ns.s.e", event(t, "one", 1))
	for attempt := 1; attempt <= 3; attempt++ {
		ctx, cancel := context.WithCancel(t.Context())
		begun := make(chan bus.Delivery, 1)
		var done sync.WaitGroup
		done.Go(func() {
			_ = b.Consume(
				ctx,
				bus.Consumer{Stream: bus.Events, Name: "c", MaxDeliver: 2, Grace: time.Millisecond},
				func(ctx context.Context, d bus.Delivery) ([]bus.Outgoing, error) {
					begun <- d
					<-ctx.Done()
					if !errors.Is(context.Cause(ctx), bus.ErrStopped) {
						t.Errorf("cause %v", context.Cause(ctx))
					}
					return nil, fault.Poisonf("interrupted: %w", ctx.Err())
				},
			)
		})
		if d := receive(t, begun, "delivery"); d.Attempt != attempt {
			t.Errorf("attempt %d came as %d", attempt, d.Attempt)
		}
		cancel()
		done.Wait()
	}
	handled := make(chan string, 1)
	consume(
		t,
		b,
		bus.Consumer{Stream: bus.Events, Name: "c", MaxDeliver: 2},
		func(_ context.Context, d bus.Delivery) ([]bus.Outgoing, error) {
			handled <- d.ID()
			return nil, nil
		},
	)
	if got := receive(t, handled, "delivery after the stops"); got != "one" {
		t.Errorf("got %s", got)
	}
	if dead, err := b.DeadLetters(t.Context(), "*", ">", 0); err != nil || len(dead) > 0 {
		t.Errorf("%d dead, %v", len(dead), err)
	}
}

// A consumer whose handlers are all at work stops pulling at once.
func TestABusyConsumerStopsWithinItsGrace(t *testing.T) {
	b := bustest.Start(t).Connect("test")
	publish(t, b, "events.ns.s.e", event(t, "one", 1), event(t, "two", 1), event(t, "three", 1))
	ctx, cancel := context.WithCancel(t.Context())
	begun, ended := make(chan string, 9), make(chan struct{})
	go func() {
		defer close(ended)
		_ = b.Consume(
			ctx,
			bus.Consumer{Stream: bus.Events, Name: "c", Concurrency: 2, Grace: time.Millisecond},
			func(ctx context.Context, d bus.Delivery) ([]bus.Outgoing, error) {
				begun <- d.ID()
				<-ctx.Done()
				return nil, ctx.Err()
			},
		)
	}()
	receive(t, begun, "first")
	receive(t, begun, "second")
	cancel()
	receive(t, ended, "end")
	if len(begun) > 0 {
		t.Errorf("%s began after the stop", <-begun)
	}
}

func management(t *testing.T, s *bustest.Server) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// The server takes 1,000 consumers where nothing is said. Each Sensor has one on EVENTS and one on COMMANDS.
func TestMoreThanAThousandConsumers(t *testing.T) {
	s := bustest.Start(t)
	s.Connect("test")
	js := management(t, s)
	for i := range 1010 {
		// In memory, since a thousand files take their time.
		cfg := jetstream.ConsumerConfig{
			Name: fmt.Sprint("c", i), AckPolicy: jetstream.AckExplicitPolicy, MemoryStorage: true,
			InactiveThreshold: time.Hour,
		}
		if _, err := js.CreateConsumer(t.Context(), bus.Events, cfg); err != nil {
			t.Fatalf("consumer %d: %v", i, err)
		}
	}
}

// Streams of an older version get the limit when they are declared again.
func TestTheLimitOfConsumersIsRaised(t *testing.T) {
	s := bustest.Start(t)
	js := management(t, s)
	for name, limit := range map[string]int{bus.Events: 3, bus.Commands: -1} {
		cfg := jetstream.StreamConfig{
			Name:         name,
			Subjects:     []string{map[string]string{bus.Events: "events.>", bus.Commands: "commands.>"}[name]},
			MaxConsumers: limit,
		}
		if name == bus.Commands {
			cfg.Retention = jetstream.WorkQueuePolicy
		}
		if _, err := js.CreateStream(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	s.Connect("test")
	for _, name := range []string{bus.Events, bus.Commands, bus.Facts, bus.Runs, bus.Dead} {
		stream, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if got := stream.CachedInfo().Config.MaxConsumers; got <= 100_000 {
			t.Errorf("%s takes %d consumers", name, got)
		}
	}
}

func TestAConsumerSaysWhetherTheServerHasIt(t *testing.T) {
	s := bustest.Start(t)
	b := s.Connect("test")
	js := management(t, s)
	stream, err := js.Stream(t.Context(), bus.Events)
	if err != nil {
		t.Fatal(err)
	}
	full := stream.CachedInfo().Config
	full.MaxConsumers = 1
	if _, err := js.UpdateStream(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	nothing := func(context.Context, bus.Delivery) ([]bus.Outgoing, error) { return nil, nil }
	declared := func(name string) <-chan error {
		said := make(chan error, 100)
		consume(t, b, bus.Consumer{Stream: bus.Events, Name: name, Declared: func(err error) {
			select {
			case said <- err:
			default:
			}
		}}, nothing)
		return said
	}
	if err := receive(t, declared("first"), "word of the first"); err != nil {
		t.Errorf("the first: %v", err)
	}
	second := declared("second")
	if err := receive(t, second, "word of the second"); !errors.Is(err, bus.ErrRefused) {
		t.Errorf("the second: %v", err)
	}
	full.MaxConsumers = 10
	if _, err := js.UpdateStream(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	for receive(t, second, "better word of the second") != nil {
	}
}

// What waits beside busy handlers is not given to somebody else meanwhile: it would be handled twice.
func TestWhatWaitsForAHandlerComesOnce(t *testing.T) {
	b := bustest.Start(t).Connect("test")
	const n, patience = 40, 200 * time.Millisecond
	for i := range n {
		publish(t, b, "events.ns.s.e", event(t, fmt.Sprint(i), i))
	}
	release := make(chan struct{})
	handled := make(chan bus.Delivery, 10*n)
	begun := make(chan string, 10*n)
	for range 2 { // replicas
		consume(
			t,
			b,
			bus.Consumer{Stream: bus.Events, Name: "c", Concurrency: 2, AckWait: patience},
			func(_ context.Context, d bus.Delivery) ([]bus.Outgoing, error) {
				begun <- d.ID()
				<-release
				handled <- d
				return nil, nil
			},
		)
	}
	for range 2 { // at least one of them is busy, and may have all the rest beside
		receive(t, begun, "busy handlers")
	}
	<-time.After(5 * patience) // nothing may come of it
	close(release)
	seen := map[string]bool{}
	for range n {
		d := receive(t, handled, "each event")
		if d.Attempt != 1 || seen[d.ID()] {
			t.Errorf("%s came as attempt %d", d.ID(), d.Attempt)
		}
		seen[d.ID()] = true
	}
}
