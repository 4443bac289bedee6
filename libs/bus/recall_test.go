package bus_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/bus/bustest"
)

func TestRecallTellsWhatIsThereAndWhatComes(t *testing.T) {
	for _, before := range []int{0, 3} {
		b := bustest.Start(t).Connect("test")
		subject := "events.ns.es.e"
		put := func(i int) string {
			e, err := bus.NewEvent(fmt.Sprint(i), "es", "x", map[string]int{"i": i})
			if err != nil {
				t.Fatal(err)
			}
			if err := b.Publish(t.Context(), subject, e); err != nil {
				t.Fatal(err)
			}
			return bus.MessageID(subject, e)
		}
		var want []string
		for i := range before {
			want = append(want, put(i))
		}
		ids, ready, ended := make(chan string, 10), make(chan struct{}), make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			see := func(id string, _ time.Time) { ids <- id }
			ended <- b.Recall(ctx, bus.Events, time.Now().Add(-time.Hour), &bus.Known{}, see, func() {
				close(ready)
			})
		}()
		select {
		case <-ready:
		case <-time.After(time.Minute):
			t.Fatal("never ready")
		}
		if len(ids) != before {
			t.Errorf("ready after %d of %d", len(ids), before)
		}
		want = append(want, put(before))
		for _, id := range want {
			if got := <-ids; got != id {
				t.Errorf("got %s, want %s", got, id)
			}
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// recalled runs a recall and returns what it tells, and whether it has caught up.
func recalled(t *testing.T, b *bus.Bus, known *bus.Known) (ids chan string, ready chan struct{}, end func()) {
	t.Helper()
	ids, ready = make(chan string, 100_000), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		see := func(id string, _ time.Time) { ids <- id }
		ended <- b.Recall(ctx, bus.Events, time.Now().Add(-time.Hour), known, see, func() {
			close(ready)
		})
	}()
	return ids, ready, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// What a process stores itself it does not read again; what others store between, it reads.
func TestRecallPassesOverWhatIsKnown(t *testing.T) {
	server := bustest.Start(t)
	own, other := server.Connect("own"), server.Connect("other")
	known := &bus.Known{}
	ids, ready, end := recalled(t, own, known)
	defer end()
	<-ready
	const many, foreign = 4000, 3
	told := map[string]int{}
	for round := range foreign {
		var all sync.WaitGroup
		for worker := range 8 {
			all.Go(func() {
				for i := range many / 8 {
					m, err := bus.Prepare("events.ns.es.e", event(t, fmt.Sprintf("%d-%d-%d", round, worker, i), 1))
					if err != nil {
						t.Error(err)
						return
					}
					stored, err := own.Store(t.Context(), m, 0)
					if err != nil {
						t.Error(err)
						return
					}
					known.Stored(stored.Sequence)
				}
			})
		}
		all.Wait()
		strange := event(t, fmt.Sprintf("strange %d", round), 1)
		publish(t, other, "events.ns.es.e", strange)
		want := bus.MessageID("events.ns.es.e", strange)
		for told[want] == 0 {
			select {
			case id := <-ids:
				told[id]++
			case <-time.After(time.Minute):
				t.Fatalf("%s is not told", want)
			}
		}
	}
	for range len(ids) {
		told[<-ids]++
	}
	if len(told) > many/4 {
		t.Errorf("%d events were read, of %d of which %d are others'", len(told), foreign*(many+1), foreign)
	}
}

// A recall goes on where the one before it ended, and begins anew with another stream.
func TestRecallGoesOnWhereItEnded(t *testing.T) {
	b := bustest.Start(t).Connect("test")
	known := &bus.Known{}
	tell := func(id string) string {
		e := event(t, id, 1)
		publish(t, b, "events.ns.es.e", e)
		return bus.MessageID("events.ns.es.e", e)
	}
	first := tell("1")
	ids, ready, end := recalled(t, b, known)
	<-ready
	end()
	second := tell("2")
	more, ready, end := recalled(t, b, known)
	<-ready
	end()
	if len(ids) != 1 || <-ids != first || len(more) != 1 || <-more != second {
		t.Error("not each was told once")
	}
}
