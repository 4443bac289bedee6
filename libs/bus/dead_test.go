package bus_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/bus/bustest"
	"github.com/argosy-mesh/argosy/libs/core/fault"
)

func put(t *testing.T, b *bus.Bus, subject, id string) {
	t.Helper()
	e, err := bus.NewEvent(id, "test", "t", map[string]string{"id": id})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Publish(t.Context(), subject, e); err != nil {
		t.Fatal(err)
	}
}

func TestADeadLetterIsListedAndDrivenAgain(t *testing.T) {
	b := bustest.Start(t).Connect("test")
	put(t, b, "commands.x.do.ns", "c1")
	put(t, b, "commands.x.do.ns", "c2")
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	defer func() { cancel(); done.Wait() }()
	handled := make(chan string, 10)
	broken := true
	done.Go(func() {
		_ = b.Consume(
			ctx,
			bus.Consumer{Stream: bus.Commands, Name: "x"},
			func(_ context.Context, d bus.Delivery) ([]bus.Outgoing, error) {
				handled <- d.ID()
				if d.ID() == "c1" && broken {
					broken = false
					return nil, fault.Poisonf("100%% broken: ü")
				}
				return nil, nil
			},
		)
	})
	<-handled
	<-handled
	var letters []bus.DeadLetter
	for deadline := time.Now().Add(10 * time.Second); len(letters) == 0 && time.Now().Before(deadline); {
		var err error
		if letters, err = b.DeadLetters(t.Context(), bus.Commands, "commands.x.>", 0); err != nil {
			t.Fatal(err)
		}
	}
	if len(letters) != 1 {
		t.Fatalf("%d letters", len(letters))
	}
	l := letters[0]
	if l.Event.ID() != "c1" || l.Subject != "commands.x.do.ns" || l.Stream != bus.Commands || l.Consumer != "x" ||
		l.Attempts != 1 ||
		!strings.Contains(l.Reason, "100% broken: ü") {
		t.Errorf("%+v", l)
	}
	one, err := b.DeadLetter(t.Context(), l.Sequence)
	if err != nil || one.Event.ID() != "c1" {
		t.Errorf("%+v, %v", one, err)
	}
	if err := b.Redrive(t.Context(), l.Sequence); err != nil {
		t.Fatal(err)
	}
	if id := <-handled; id != "c1" {
		t.Errorf("%s came again", id)
	}
	if _, err := b.DeadLetter(t.Context(), l.Sequence); !errors.Is(err, bus.ErrNotFound) {
		t.Errorf("it is still dead: %v", err)
	}
	if err := b.Redrive(t.Context(), l.Sequence); !errors.Is(err, bus.ErrNotFound) {
		t.Errorf("driven twice: %v", err)
	}
}

func TestScanKeepsToItsRange(t *testing.T) {
	b := bustest.Start(t).Connect("test")
	for i := range 1200 {
		put(t, b, fmt.Sprintf("events.ns.s%d.e", i%2), fmt.Sprint(i))
	}
	var middle time.Time
	count := func(r bus.Range) (ids []string) {
		t.Helper()
		err := b.Scan(t.Context(), bus.Events, r, func(d bus.Delivery) error {
			if d.Sequence == 601 {
				middle = d.Stored
			}
			ids = append(ids, d.ID())
			return nil
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return ids
	}
	if got := count(bus.Range{}); len(got) != 1200 || got[0] != "0" || got[1199] != "1199" {
		t.Errorf("all: %d", len(got))
	}
	if got := count(bus.Range{Subjects: []string{"events.ns.s1.>"}, Limit: 3}); len(got) != 3 || got[2] != "5" {
		t.Errorf("three of one source: %v", got)
	}
	if got := count(bus.Range{After: 1198}); len(got) != 2 {
		t.Errorf("after: %v", got)
	}
	if from, to := count(bus.Range{From: middle}), count(bus.Range{To: middle}); len(from)+len(to) != 1200 ||
		len(to) == 0 {
		t.Errorf("from: %d, to: %d", len(from), len(to))
	}
	if got := count(bus.Range{Subjects: []string{"events.none.>"}}); len(got) != 0 {
		t.Errorf("nothing: %v", got)
	}
	boom := errors.New("boom")
	if err := b.Scan(
		t.Context(),
		bus.Events,
		bus.Range{},
		func(bus.Delivery) error { return boom },
		nil,
	); !errors.Is(err, boom) {
		t.Errorf("%v", err)
	}
	if err := b.Purge(t.Context(), bus.Events, "events.ns.s1.>"); err != nil {
		t.Fatal(err)
	}
	if got := count(bus.Range{}); len(got) != 600 {
		t.Errorf("after the purge: %d", len(got))
	}
}

func TestOrderedConsumersTakeOneEventAtATime(t *testing.T) {
	b := bustest.Start(t).Connect("test")
	for i := range 50 {
		put(t, b, "events.ns.s.e", fmt.Sprint(i))
	}
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	defer func() { cancel(); done.Wait() }()
	seen := make(chan string, 100)
	failed := map[string]bool{}
	var mu sync.Mutex
	atWork := 0
	for range 2 {
		done.Go(func() {
			_ = b.Consume(
				ctx,
				bus.Consumer{
					Stream: bus.Events, Name: "o", Serial: true, Backoff: func(int) time.Duration { return 0 },
				},
				func(_ context.Context, d bus.Delivery) ([]bus.Outgoing, error) {
					mu.Lock()
					defer mu.Unlock()
					if atWork++; atWork > 1 {
						t.Error("two at a time")
					}
					defer func() { atWork-- }()
					if !failed[d.ID()] && d.Sequence%7 == 0 {
						failed[d.ID()] = true
						return nil, errors.New("not yet")
					}
					seen <- d.ID()
					return nil, nil
				},
			)
		})
	}
	for i := range 50 {
		if got := <-seen; got != fmt.Sprint(i) {
			t.Fatalf("%s came at %d", got, i)
		}
	}
}

func TestPeers(t *testing.T) {
	server := bustest.Start(t)
	b := server.Connect("test")
	p, err := bus.DialPeer(bus.PeerConfig{URL: server.URL(), Name: "peer"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	if err := p.Publish(t.Context(), "nowhere", map[string]string{"X": "y"}, []byte("x")); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := p.Store(
			t.Context(), "events.ns.s.e",
			map[string]string{"ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-type": "t"}, []byte("{}"),
			"key",
		); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := b.Read(t.Context(), bus.Events, "events.>"); err != nil || len(got) != 1 {
		t.Errorf("%d stored: %v", len(got), err)
	}
	if err := p.Store(t.Context(), "no.stream.there", nil, nil, "key"); err == nil {
		t.Error("stored where no stream is")
	}
	if _, err := bus.DialPeer(bus.PeerConfig{URL: "nats://127.0.0.1:1"}); err == nil {
		t.Error("connected to nothing")
	}
	if _, err := bus.DialPeer(bus.PeerConfig{URL: server.URL(), Seed: []byte("junk")}); fault.Of(err) != fault.Poison {
		t.Errorf("a junk seed: %v", err)
	}
}

// A dead letter that is driven again and fails again is a dead letter again, as often as that happens.
func TestADeadLetterThatFailsAgainIsNotLost(t *testing.T) {
	b := bustest.Start(t).Connect("test")
	put(t, b, "commands.x.do.ns", "c1")
	consume(
		t,
		b,
		bus.Consumer{Stream: bus.Commands, Name: "x"},
		func(context.Context, bus.Delivery) ([]bus.Outgoing, error) {
			return nil, fault.Poisonf("broken")
		},
	)
	last := uint64(0)
	for range 3 {
		l := letters(t, b, 1)[0]
		if l.Sequence <= last || l.Attempts != 1 || l.Event.ID() != "c1" || l.Subject != "commands.x.do.ns" {
			t.Fatalf("%+v after %d", l, last)
		}
		last = l.Sequence
		if err := b.Redrive(t.Context(), l.Sequence); err != nil {
			t.Fatal(err)
		}
	}
}
