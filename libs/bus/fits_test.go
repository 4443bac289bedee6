package bus_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/bus/bustest"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// What the bus can never store is poison, with and without a server; what is just small enough is stored, can be buried
// and followed.
func TestWhatCanNeverBeStoredIsPoison(t *testing.T) {
	b := bustest.Start(t).Connect("test")
	long := func(n int) string { return strings.Repeat("x", n) }
	for name, c := range map[string]struct {
		subject string
		shape   func(*bus.Event)
		cause   error
	}{
		"a long type": {
			"events.ns.s.e", func(e *bus.Event) { e.SetType(long(1 << 20)) }, bus.ErrTooLarge,
		},
		"a long id": {
			"events.ns.s.e", func(e *bus.Event) { e.SetID(long(bus.MaxAttribute + 1)) }, bus.ErrTooLarge,
		},
		"an id that encoding makes long": {
			"events.ns.s.e", func(e *bus.Event) { e.SetID(strings.Repeat("é", bus.MaxAttribute/6+1)) }, bus.ErrTooLarge,
		},
		"a long extension": {
			"events.ns.s.e", func(e *bus.Event) { e.SetExtension("note", long(70<<10)) }, bus.ErrTooLarge,
		},
		"many extensions": {
			"events.ns.s.e", func(e *bus.Event) { extend(e, 70, 1000) }, bus.ErrTooLarge,
		},
		"a subject over a control line": {bus.Subject("events", "ns", "s", long(5000)), nil, bus.ErrTooLarge},
		"a subject that encoding makes so": {
			bus.Subject("events", "ns", "s", strings.Repeat("ü", 400)), nil, bus.ErrTooLarge,
		},
		"a subject with an empty token": {"events.ns..e", nil, bus.ErrBadSubject},
		"a subject with white space":    {"events.ns.s.a b", nil, bus.ErrBadSubject},
		"a wildcard":                    {"events.ns.s.*", nil, bus.ErrBadSubject},
		"the largest id": {
			"events.ns.s.e", func(e *bus.Event) { e.SetID(long(bus.MaxAttribute)) }, nil,
		},
		"the largest subject":      {"events.ns.s." + long(bus.MaxSubject-12), nil, nil},
		"as many extensions as go": {"events.ns.s.e", func(e *bus.Event) { extend(e, 56, 1000) }, nil},
		"no event":                 {"events.ns.s.e", func(e *bus.Event) { e.SetSource("") }, errAny},
	} {
		t.Run(name, func(t *testing.T) {
			e := event(t, "id of "+name, 1)
			if c.shape != nil {
				c.shape(&e)
			}
			for way, err := range map[string]error{
				"by the bounds": bus.Fits(c.subject, e), "by the bus": b.Publish(t.Context(), c.subject, e),
			} {
				switch {
				case c.cause == nil && err != nil:
					t.Errorf("%s: %v", way, err)
				case c.cause != nil &&
					(fault.Of(err) != fault.Poison || !errors.Is(c.cause, errAny) && !errors.Is(err, c.cause)):
					t.Errorf("%s: %v, want poison for %v", way, err, c.cause)
				case err != nil && len(err.Error()) > 3000:
					t.Errorf("%s: an error of %d bytes", way, len(err.Error()))
				}
			}
			if err := b.Publish(t.Context(), "events.ns.s.e", event(t, "after "+name, 1)); err != nil {
				t.Errorf("the next event: %v", err)
			}
		})
	}
	if err := bus.Fits("events.ns.s.e", withBody(event(t, "b", 1), bus.MaxBody+1)); !errors.Is(err, bus.ErrTooLarge) ||
		fault.Of(err) != fault.Poison {
		t.Errorf("a body over the bound: %v", err)
	}
}

var errAny = errors.New("any")

func extend(e *bus.Event, count, size int) {
	for i := range count {
		e.SetExtension(fmt.Sprintf("ext%d", i), strings.Repeat("v", size))
	}
}

func withBody(e bus.Event, size int) bus.Event {
	e.DataEncoded = bytes.Repeat([]byte("b"), size)
	return e
}

// NATS counts headers and body together, so that a body within the limit may be too large beside its headers.
func TestABodyThatDoesNotFitBesideItsHeadersIsCheckedIn(t *testing.T) {
	s := bustest.Start(t)
	b, err := bus.Connect(bus.Config{URL: s.URL(), Name: "test", Inline: 1<<20 - 1000})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	if err := b.AwaitDeclared(t.Context(), bus.DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	sent := withBody(event(t, "large", 1), 1<<20-2000)
	extend(&sent, 20, 1000)
	publish(t, b, "events.ns.s.e", sent)
	d, err := b.At(t.Context(), bus.Events, 1)
	if err != nil || !bytes.Equal(d.Data(), sent.Data()) ||
		fmt.Sprint(d.Extensions()["ext3"]) != strings.Repeat("v", 1000) {
		t.Errorf("%d bytes, %v", len(d.Data()), err)
	}
}

// The largest event that is taken can be given up and driven again, and what follows from it is taken too.
func TestTheLargestEventIsBuriedDrivenAndFollowed(t *testing.T) {
	b := bustest.Start(t).Connect("test")
	subject := "commands.x." + strings.Repeat("n", bus.MaxSubject-11)
	e := event(t, strings.Repeat("i", bus.MaxAttribute), 1)
	extend(&e, 40, 1000)
	publish(t, b, subject, e)
	broken := make(chan struct{}, 1)
	broken <- struct{}{}
	handled := make(chan lineage.Lineage, 10)
	consume(
		t,
		b,
		bus.Consumer{Stream: bus.Commands, Name: "x"},
		func(_ context.Context, d bus.Delivery) ([]bus.Outgoing, error) {
			handled <- bus.After(d.Event)
			select {
			case <-broken:
				return nil, fault.Poisonf("broken: %s", strings.Repeat("ü", 2000))
			default:
				return nil, nil
			}
		},
	)
	follower := bus.WithLineage(event(t, "follower", 1), receive(t, handled, "delivery"))
	if err := b.Publish(t.Context(), "facts.x.y.z", follower); err != nil {
		t.Errorf("what follows: %v", err)
	}
	l := letters(t, b, 1)[0]
	if l.Subject != subject || l.Event.ID() != e.ID() {
		t.Errorf("%s, %s", l.Subject, l.Event.ID())
	}
	if err := b.Redrive(t.Context(), l.Sequence); err != nil {
		t.Fatal(err)
	}
	receive(t, handled, "second delivery")
}

// letters waits for n dead letters.
func letters(t *testing.T, b *bus.Bus, n int) []bus.DeadLetter {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testPatience)
	defer cancel()
	for {
		found, err := b.DeadLetters(ctx, "*", ">", 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(found) >= n {
			return found
		}
	}
}

// Others may store what we never would: it is buried all the same, as far as it fits.
func TestWhatOthersStoredIsBuriedAsFarAsItFits(t *testing.T) {
	s := bustest.Start(t)
	b := s.Connect("test")
	nc, err := nats.Connect(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	message := func(subject string, body int, header nats.Header) {
		t.Helper()
		m := &nats.Msg{Subject: subject, Header: header, Data: bytes.Repeat([]byte("b"), body)}
		if _, err := js.PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	header := func(id string, more nats.Header) nats.Header {
		h := nats.Header{"ce-specversion": {"1.0"}, "ce-id": {id}, "ce-source": {"s"}, "ce-type": {"t"}}
		maps.Copy(h, more)
		return h
	}
	message("commands.a.b", 10, header("headers", nats.Header{"X-Large": {strings.Repeat("h", 64000)}}))
	message("commands.a.b", 1<<20-200, header("body", nil))
	message("commands.a."+strings.Repeat("n", 4000), 10, header("subject", nil))
	message("commands.a.b", 1<<20-200, nats.Header{"Content-Type": {"application/cloudevents+json"}})
	consume(
		t,
		b,
		bus.Consumer{Stream: bus.Commands, Name: "a"},
		func(context.Context, bus.Delivery) ([]bus.Outgoing, error) {
			return nil, fault.Poisonf("no")
		},
	)
	for _, l := range letters(t, b, 4) {
		full, err := b.DeadLetter(t.Context(), l.Sequence)
		if err != nil {
			t.Error(err)
		}
		switch full.Event.ID() {
		case "body":
			if len(full.Event.Data()) != 1<<20-200 {
				t.Errorf("the body has %d bytes", len(full.Event.Data()))
			}
		case "subject":
			if len(full.Subject) != 4011 {
				t.Errorf("the subject has %d bytes", len(full.Subject))
			}
		}
	}
}

func TestAConnectionSurvivesWhatIsTooLarge(t *testing.T) {
	b := bustest.Start(t).Connect("test")
	if err := b.KV(bus.WindowsBucket).Put(t.Context(), "k", make([]byte, 2<<20)); fault.Of(err) != fault.Poison ||
		!errors.Is(err, bus.ErrTooLarge) {
		t.Errorf("a value of 2 MiB: %v", err)
	}
	if err := b.Ready(); err != nil {
		t.Error(err)
	}
}
