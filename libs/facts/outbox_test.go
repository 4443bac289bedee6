package facts

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/google/go-cmp/cmp"
)

// fakeBus remembers what was published, unless it is away.
type fakeBus struct {
	mu   sync.Mutex
	away bool
	got  []string
	last bus.Event
}

func (f *fakeBus) Publish(_ context.Context, subject string, e bus.Event) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away {
		return errors.New("away")
	}
	f.got, f.last = append(f.got, subject), e
	return nil
}

func (f *fakeBus) Ready() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away {
		return errors.New("away")
	}
	return nil
}

func (f *fakeBus) set(away bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away = away
}

func of(id, name string, body events.Body, l lineage.Lineage) Fact {
	return Fact{
		ID:      bus.Key(id),
		About:   events.Object{Kind: "Rollout", Namespace: "ns", Name: name},
		Body:    body,
		Lineage: l,
	}
}

func TestTellCarriesTheChain(t *testing.T) {
	f := &fakeBus{}
	o := NewOutbox(f, events.ServiceRolloutAnalyzer, slog.New(slog.DiscardHandler))
	l := lineage.Lineage{Trace: "t", Correlation: "c", Causation: "e"}
	if err := o.Tell(context.Background(), of("id", "shop", events.RolloutPromoted{}, l)); err != nil {
		t.Fatal(err)
	}
	if got := bus.LineageOf(
		f.last,
	); got != l || f.last.ID() != bus.Key("id") || f.last.Type() != "dev.argosy.rollout.promoted.v1" ||
		f.last.Time().IsZero() ||
		f.last.Subject() != "ns/shop" {
		t.Errorf("got %+v %s", got, f.last)
	}
	if diff := cmp.Diff([]string{"facts.rollout-analyzer.rollout.promoted.ns.shop"}, f.got); diff != "" {
		t.Error(diff)
	}
}

func TestFactsWaitInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeBus{away: true}
		o := NewOutbox(f, events.ServiceRolloutAnalyzer, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- o.Run(ctx) }()
		for i := range 3 {
			if err := o.Tell(
				ctx, of(fmt.Sprint(i), fmt.Sprint(i), events.RolloutWeighted{}, lineage.Lineage{}),
			); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if o.Waiting() != 3 {
			t.Fatalf("waiting: %d", o.Waiting())
		}
		f.set(false)
		<-time.After(2 * retry)
		synctest.Wait()
		var want []string
		for i := range 3 {
			want = append(want, fmt.Sprintf("facts.rollout-analyzer.rollout.weighted.ns.%d", i))
		}
		if diff := cmp.Diff(want, f.got); diff != "" {
			t.Error(diff)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestStopSendsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeBus{away: true}
		o := NewOutbox(f, events.ServiceRolloutAnalyzer, slog.New(slog.DiscardHandler))
		if err := o.Tell(t.Context(), of("x", "shop", events.RolloutUpdated{}, lineage.Lineage{})); err != nil {
			t.Fatal(err)
		}
		f.set(false)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := o.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if o.Waiting() != 0 || len(f.got) != 1 {
			t.Errorf("left %d, sent %v", o.Waiting(), f.got)
		}
	})
}

// What begins a chain is its first event.
func TestAFactWithoutACauseBeginsAChain(t *testing.T) {
	f := &fakeBus{}
	if err := Publish(
		t.Context(), f, events.ServiceSyncAgent, of("id", "shop", events.RolloutPromoted{}, lineage.Lineage{}),
	); err != nil {
		t.Fatal(err)
	}
	if got := bus.LineageOf(f.last).Correlation; got != bus.Key("id") {
		t.Errorf("correlation %q", got)
	}
	f.set(true)
	err := Publish(
		t.Context(), f, events.ServiceSyncAgent, of("id", "shop", events.RolloutPromoted{}, lineage.Lineage{}),
	)
	if err == nil || err.Error() != "tell rollout.promoted of Rollout ns/shop: away" {
		t.Error(err)
	}
}
