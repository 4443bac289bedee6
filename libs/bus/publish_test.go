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
	"github.com/nats-io/nats.go/jetstream"
)

func prepared(t *testing.T, subject, id string) *bus.Message {
	t.Helper()
	m, err := bus.Prepare(subject, event(t, id, 1))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Whoever gives up takes its confirmation along: nobody is told the place of another's event.
func TestWhoGivesUpTakesItsConfirmationAlong(t *testing.T) {
	b := bustest.Start(t).Connect("test")
	const workers, each = 16, 200
	places := make([]map[string]uint64, workers)
	var all sync.WaitGroup
	for worker := range workers {
		places[worker] = map[string]uint64{}
		all.Go(func() {
			for i := range each {
				id := fmt.Sprintf("%d-%d", worker, i)
				ctx, cancel := context.WithCancel(t.Context())
				if i%3 == 0 {
					cancel() // its message is sent all the same
				}
				stored, err := b.Store(ctx, prepared(t, "events.ns.s.e", id), time.Minute)
				cancel()
				switch {
				case err == nil:
					places[worker][id] = stored.Sequence
				case i%3 != 0 || !errors.Is(err, context.Canceled):
					t.Errorf("%s: %v", id, err)
				}
			}
		})
	}
	all.Wait()
	entries, err := b.Read(t.Context(), bus.Events, "events.ns.s.e")
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]uint64{}
	for _, e := range entries {
		at[e.ID()] = e.Sequence
	}
	for worker := range workers {
		for id, sequence := range places[worker] {
			if at[id] != sequence {
				t.Errorf("%s was said to be at %d and is at %d", id, sequence, at[id])
			}
		}
	}
}

// What was there says so, with its place.
func TestADuplicateHasThePlaceOfTheFirst(t *testing.T) {
	b := bustest.Start(t).Connect("test")
	first, err := b.Store(t.Context(), prepared(t, "events.ns.s.e", "1"), 0)
	if err != nil || first != (bus.Stored{Stream: bus.Events, Sequence: 1}) {
		t.Fatal(first, err)
	}
	again, err := b.Store(t.Context(), prepared(t, "events.ns.s.e", "1"), 0)
	if err != nil || again != (bus.Stored{Stream: bus.Events, Sequence: 1, Duplicate: true}) {
		t.Error(again, err)
	}
}

func TestWhereNoStreamListensNothingIsStored(t *testing.T) {
	b := bustest.Start(t).Connect("test")
	if _, err := b.Store(t.Context(), prepared(t, "nobody.listens", "1"), 0); !errors.Is(
		err, jetstream.ErrNoStreamResponse,
	) {
		t.Error(err)
	}
}

// The server goes while messages are on their way, and comes back: what was confirmed is there, and what was not is
// stored by sending it again, each once.
func TestTheServerGoesWhileMessagesAreOnTheirWay(t *testing.T) {
	server := bustest.Start(t)
	b := server.Connect("test")
	const workers, each = 8, 200
	sent := make(chan struct{}, workers*each*100)
	var all sync.WaitGroup
	for worker := range workers {
		all.Go(func() {
			for i := range each {
				m := prepared(t, "events.ns.s.e", fmt.Sprintf("%d-%d", worker, i))
				for t.Context().Err() == nil {
					_, err := b.Store(t.Context(), m, 500*time.Millisecond)
					if err == nil {
						break
					}
					<-time.After(time.Millisecond)
				}
				sent <- struct{}{}
			}
		})
	}
	for range workers * each / 3 {
		<-sent
	}
	server.Stop()
	server.Resume()
	all.Wait()
	entries, err := b.Read(t.Context(), bus.Events, "events.ns.s.e")
	if err != nil {
		t.Fatal(err)
	}
	once := map[string]int{}
	for _, e := range entries {
		once[e.ID()]++
	}
	if len(once) != workers*each || len(entries) != len(once) {
		t.Errorf("%d events of %d, %d different", len(entries), workers*each, len(once))
	}
}
