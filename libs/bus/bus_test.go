package bus_test

import (
	"bytes"
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
	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func event(t testing.TB, id string, data any) bus.Event {
	t.Helper()
	e, err := bus.NewEvent(id, "test", "dev.argosy.test.v1", data)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func publish(t testing.TB, b *bus.Bus, subject string, events ...bus.Event) {
	t.Helper()
	for _, e := range events {
		if err := b.Publish(t.Context(), subject, e); err != nil {
			t.Fatal(err)
		}
	}
}

// consume runs a consumer until the test ends.
func consume(t *testing.T, b *bus.Bus, c bus.Consumer, h bus.Handler) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		if err := b.Consume(ctx, c, h); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); done.Wait() })
}

// bothWays plays a test with events that come at once, and with events that gather.
func bothWays(t *testing.T, test func(t *testing.T, linger time.Duration)) {
	t.Run("at once", func(t *testing.T) { test(t, 0) })
	t.Run("gathered", func(t *testing.T) { test(t, 20*time.Millisecond) })
}

// testPatience is for what must happen.
const testPatience = time.Minute

func receive[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(testPatience):
		t.Fatalf("no %s within a minute", what)
		panic("unreachable")
	}
}

func TestEventsArriveAsTheyWereSent(t *testing.T) {
	b := bustest.Start(t).Connect("test")
	sent := event(t, "id with % and é \"quotes\"", map[string]any{"body": "ü"})
	sent.SetSubject("refs/heads/main")
	sent.SetTime(time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC))
	sent = bus.WithLineage(sent, lineage.Lineage{Trace: "00-aa-bb-01", Correlation: "c", Causation: "d"})
	publish(t, b, bus.Subject("events", "ns", "dots.and spaces", "x"), sent)
	got := make(chan bus.Delivery, 1)
	consume(
		t,
		b,
		bus.Consumer{Stream: bus.Events, Name: "c", Filters: []string{"events.>"}},
		func(_ context.Context, d bus.Delivery) ([]bus.Outgoing, error) {
			got <- d
			return nil, nil
		},
	)
	d := receive(t, got, "event")
	if d.String() != sent.String() {
		t.Errorf("got\n%s\nwant\n%s", d.Event, sent)
	}
	if d.Subject != "events.ns.dots%2Eand%20spaces.x" || d.Attempt != 1 {
		t.Errorf("subject %s, attempt %d", d.Subject, d.Attempt)
	}
	after := bus.After(d.Event)
	if after.Correlation != "c" || after.Causation != sent.ID() || after.Trace != "00-aa-bb-01" {
		t.Errorf("lineage %+v", after)
	}
}

func TestTheSameEventIsStoredOnce(t *testing.T) {
	b := bustest.Start(t).Connect("test")
	for range 3 {
		publish(t, b, "facts.a.b", event(t, "same", 1))
	}
	publish(t, b, "facts.a.c", event(t, "same", 1)) // another subject is another event
	entries, err := b.Read(t.Context(), bus.Facts, "facts.>")
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 2 {
		t.Fatalf("stored %d, want 2", len(entries))
	}
}

func TestOtherTypesArePassedOver(t *testing.T) {
	bothWays(t, func(t *testing.T, linger time.Duration) {
		b := bustest.Start(t).Connect("test")
		of := func(id, kind string) bus.Event {
			e := event(t, id, 1)
			e.SetType(kind)
			return e
		}
		publish(t, b, "events.ns.s.e", of("1", "unwanted"))
		publish(t, b, "events.ns.s.e", of("2", "a kind"))
		publish(t, b, "events.ns.s.e", of("3", "other"))
		marked := of("6", "unwanted")
		marked.SetExtension("mark", "x y")
		publish(t, b, "events.ns.s.e", marked)
		seen := make(chan string, 10)
		consume(
			t,
			b,
			bus.Consumer{
				Stream: bus.Events, Name: "c", Linger: linger, Types: []string{"a kind", "other"},
				Having: []string{"mark"},
			},
			func(_ context.Context, d bus.Delivery) ([]bus.Outgoing, error) {
				seen <- d.ID()
				return nil, nil
			},
		)
		for _, want := range []string{"2", "3", "6"} {
			if got := receive(t, seen, "event"); got != want {
				t.Errorf("handled %s, want %s", got, want)
			}
		}
		publish(t, b, "events.ns.s.e", of("4", "unwanted"))
		publish(t, b, "events.ns.s.e", of("5", "other"))
		if got := receive(t, seen, "event after one that nobody wants"); got != "5" {
			t.Errorf("handled %s, want 5", got)
		}
	})
}

func TestManyAreHandledOnceInOrder(t *testing.T) {
	bothWays(t, func(t *testing.T, linger time.Duration) {
		const many = 700 // more than are fetched together, twice
		b := bustest.Start(t).Connect("test")
		seen := make(chan string, many+1)
		consume(
			t,
			b,
			bus.Consumer{Stream: bus.Events, Name: "c", Linger: linger},
			func(_ context.Context, d bus.Delivery) ([]bus.Outgoing, error) {
				seen <- d.ID()
				return nil, nil
			},
		)
		for i := range many {
			publish(t, b, "events.ns.s.e", event(t, fmt.Sprint(i), 1))
		}
		for i := range many {
			if got := receive(t, seen, "event"); got != fmt.Sprint(i) {
				t.Fatalf("handled %s, want %d", got, i)
			}
		}
		publish(t, b, "events.ns.s.e", event(t, "last", 1))
		if got := receive(t, seen, "event after a rest"); got != "last" {
			t.Fatalf("handled %s, want the last", got)
		}
	})
}

func TestErrorClassesDecide(t *testing.T) {
	bothWays(t, func(t *testing.T, linger time.Duration) {
		b := bustest.Start(t).Connect("test")
		seen := make(chan string, 100)
		quick := func(int) time.Duration { return time.Millisecond }
		consume(
			t,
			b,
			bus.Consumer{Stream: bus.Events, Name: "c", Linger: linger, MaxDeliver: 3, Backoff: quick},
			func(_ context.Context, d bus.Delivery) ([]bus.Outgoing, error) {
				seen <- fmt.Sprint(d.ID(), d.Attempt)
				switch {
				case d.ID() == "poison":
					return nil, fault.Poisonf("never")
				case d.ID() == "stale":
					return nil, fault.Stalef("overtaken")
				case d.ID() == "hopeless", d.ID() == "flaky" && d.Attempt == 1:
					return nil, errors.New("not now")
				}
				return []bus.Outgoing{{Subject: "facts.out", Event: event(t, "out-"+d.ID(), 1)}}, nil
			},
		)
		for _, id := range []string{"poison", "stale", "flaky", "hopeless", "good"} {
			publish(t, b, "events.ns.s.e", event(t, id, 1))
		}
		counts := map[string]int{}
		for range 1 + 1 + 2 + 3 + 1 {
			counts[receive(t, seen, "attempt")]++
		}
		for _, want := range []string{
			"poison1", "stale1", "flaky1", "flaky2", "hopeless1", "hopeless2", "hopeless3", "good1",
		} {
			if counts[want] != 1 {
				t.Errorf("%s seen %d times", want, counts[want])
			}
		}
		dead := await(t, b, bus.Dead, "dead.>", 2)
		if dead[0].Subject != "dead.EVENTS.events.ns.s.e" {
			t.Errorf("dead letter on %s", dead[0].Subject)
		}
		await(t, b, bus.Facts, "facts.out", 2)
	})
}

// await reads until the subject holds n entries.
func await(t *testing.T, b *bus.Bus, stream, subject string, n int) []bus.Delivery {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var got []bus.Delivery
	err := b.Follow(ctx, stream, subject, true, func(d bus.Delivery) error {
		if got = append(got, d); len(got) == n {
			return errDone
		}
		return nil
	})
	if !errors.Is(err, errDone) {
		t.Fatalf("%s holds %d entries, want %d (%v)", subject, len(got), n, err)
	}
	return got
}

var errDone = errors.New("done")

func TestLargeBodiesTravelByClaimCheck(t *testing.T) {
	b := bustest.Start(t).Connect("test")
	body := strings.Repeat("0123456789", 300_000)
	publish(t, b, "events.ns.s.big", event(t, "big", body))
	entries, err := b.Read(t.Context(), bus.Events, "events.ns.s.big")
	if err != nil {
		t.Fatal(err)
	}
	var got string
	if err := entries[0].DataAs(&got); err != nil || got != body {
		t.Fatalf("body of %d bytes came back as %d (%v)", len(body), len(got), err)
	}
}

func TestBodiesLiveAsLongAsWhatNamesThem(t *testing.T) {
	server := bustest.Start(t)
	server.Connect("test")
	nc, err := nats.Connect(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	age := func(stream string) time.Duration {
		s, err := js.Stream(t.Context(), stream)
		if err != nil {
			t.Fatal(err)
		}
		return s.CachedInfo().Config.MaxAge
	}
	bodies := age("OBJ_" + bus.PayloadsBucket)
	for _, stream := range []string{bus.Events, bus.Facts, bus.Runs, bus.Dead} {
		if a := age(stream); a == 0 || a > bodies {
			t.Errorf("%s lives %s, bodies %s", stream, a, bodies)
		}
	}
}

func TestNothingIsLostWhenTheServerRestarts(t *testing.T) {
	bothWays(t, func(t *testing.T, linger time.Duration) {
		s := bustest.Start(t)
		b := s.Connect("test")
		seen := make(chan string, 100)
		consume(
			t,
			b,
			bus.Consumer{Stream: bus.Events, Name: "c", Linger: linger},
			func(_ context.Context, d bus.Delivery) ([]bus.Outgoing, error) {
				seen <- d.ID()
				return nil, nil
			},
		)
		publish(t, b, "events.ns.s.e", event(t, "before", 1))
		receive(t, seen, "event before")
		s.Stop()
		if err := b.Publish(t.Context(), "events.ns.s.e", event(t, "during", 1)); err == nil {
			t.Fatal("published to a server that is away")
		}
		s.Resume()
		retry(t, func() error { return b.Publish(t.Context(), "events.ns.s.e", event(t, "after", 1)) })
		if got := receive(t, seen, "event after"); got != "after" {
			t.Fatalf("got %s", got)
		}
	})
}

// retry repeats until f succeeds; the server needs a moment to take us back.
func retry(t *testing.T, f func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatal(err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func TestJournalRefusesTheSecondWriter(t *testing.T) {
	b := bustest.Start(t).Connect("test")
	ctx := t.Context()
	first, err := b.Append(ctx, "runs.ns.u1", 0, event(t, "1", 1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Append(ctx, "runs.ns.u1", first, event(t, "2", 2)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Append(ctx, "runs.ns.u1", first, event(t, "2b", 2)); fault.Of(err) != fault.Stale {
		t.Fatalf("got %v, want stale", err)
	}
	if _, err := b.Append(ctx, "runs.ns.u2", 0, event(t, "1", 1)); err != nil {
		t.Fatal(err)
	}
	entries, err := b.Read(ctx, bus.Runs, "runs.ns.u1")
	if err != nil || len(entries) != 2 {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	if none, err := b.Read(ctx, bus.Runs, "runs.ns.nobody"); err != nil || none != nil {
		t.Fatalf("%v, %v", none, err)
	}
}

// Short journals are read in another way than long ones.
func TestJournalsOfAnyLengthAreReadInOrder(t *testing.T) {
	b := bustest.Start(t).Connect("test")
	for _, length := range []int{1, 12, 13, 40} {
		subject, last := fmt.Sprintf("runs.ns.l%d", length), uint64(0)
		for i := range length {
			var err error
			if last, err = b.Append(t.Context(), subject, last, event(t, fmt.Sprint(i), i)); err != nil {
				t.Fatal(err)
			}
			publish(t, b, "runs.ns.other", event(t, fmt.Sprintf("o%d-%d", length, i), i))
		}
		entries, err := b.Read(t.Context(), bus.Runs, subject)
		if err != nil || len(entries) != length {
			t.Fatalf("%d entries of %d, %v", len(entries), length, err)
		}
		for i, e := range entries {
			if e.ID() != fmt.Sprint(i) || e.Subject != subject || i == length-1 && e.Sequence != last {
				t.Errorf("entry %d of %d is %s of %s", i, length, e.ID(), e.Subject)
			}
		}
	}
}

func TestEntriesOfAPrefix(t *testing.T) {
	kv := bustest.Start(t).Connect("test").KV(bus.ArchiveBucket)
	for _, key := range []string{"a.1", "a.2", "ab.3", "a.4"} {
		if err := kv.Put(t.Context(), key, []byte("of "+key)); err != nil {
			t.Fatal(err)
		}
	}
	if err := kv.Delete(t.Context(), "a.4"); err != nil {
		t.Fatal(err)
	}
	for prefix, want := range map[string]int{"a.": 2, "": 3, "none.": 0} {
		got, err := kv.Entries(t.Context(), prefix)
		if err != nil || len(got) != want || want == 2 && string(got["a.1"]) != "of a.1" {
			t.Errorf("%q: %q, %v", prefix, got, err)
		}
	}
}

func TestAnEntryIsFoundByItsSequence(t *testing.T) {
	b := bustest.Start(t).Connect("test")
	publish(t, b, "events.ns.s.e", event(t, "one", 1), event(t, "two", 2))
	got, err := b.At(t.Context(), bus.Events, 2)
	if err != nil || got.ID() != "two" {
		t.Fatalf("%v, %v", got.Event, err)
	}
	if _, err := b.At(t.Context(), bus.Events, 99); !errors.Is(err, bus.ErrNotFound) {
		t.Fatalf("got %v", err)
	}
}

func TestANewConsumerStartsWhereItIsTold(t *testing.T) {
	b := bustest.Start(t).Connect("test")
	publish(t, b, "events.ns.s.e", event(t, "old", 1))
	entries, err := b.Read(t.Context(), bus.Events, "events.>")
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan string, 10)
	publish(t, b, "events.ns.s.e", event(t, "new", 1))
	since := entries[0].Stored.Add(time.Nanosecond)
	consume(
		t,
		b,
		bus.Consumer{Stream: bus.Events, Name: "late", Since: since},
		func(_ context.Context, d bus.Delivery) ([]bus.Outgoing, error) {
			seen <- d.ID()
			return nil, nil
		},
	)
	if got := receive(t, seen, "event"); got != "new" {
		t.Fatalf("got %s", got)
	}
	if err := errors.Join(
		b.DeleteConsumer(t.Context(), bus.Events, "nobody"), b.DeleteConsumer(t.Context(), bus.Events, "late"),
	); err != nil {
		t.Fatal(err)
	}
}

func TestKeyValueSwap(t *testing.T) {
	kv := bustest.Start(t).Connect("test").KV(bus.WindowsBucket)
	ctx := t.Context()
	if _, _, err := kv.Get(ctx, "k"); !errors.Is(err, bus.ErrNotFound) {
		t.Fatalf("got %v", err)
	}
	rev, err := kv.CompareAndSwap(ctx, "k", []byte("1"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.CompareAndSwap(ctx, "k", []byte("x"), 0); fault.Of(err) != fault.Stale {
		t.Fatalf("second create: %v", err)
	}
	if _, err := kv.CompareAndSwap(ctx, "k", []byte("2"), rev); err != nil {
		t.Fatal(err)
	}
	if _, err := kv.CompareAndSwap(ctx, "k", []byte("3"), rev); fault.Of(err) != fault.Stale {
		t.Fatalf("late update: %v", err)
	}
	if v, _, err := kv.Get(ctx, "k"); err != nil || string(v) != "2" {
		t.Fatalf("%s, %v", v, err)
	}
	if err := kv.Delete(ctx, "k"); err != nil {
		t.Fatal(err)
	}
}

func TestObjectsStream(t *testing.T) {
	o := bustest.Start(t).Connect("test").Objects(bus.ArtifactsBucket)
	ctx := t.Context()
	body := bytes.Repeat([]byte("x"), 3<<20)
	if err := o.Put(ctx, "a/b c.tgz", bytes.NewReader(body)); err != nil {
		t.Fatal(err)
	}
	r, err := o.Open(ctx, "a/b c.tgz")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var got bytes.Buffer
	if n, err := got.ReadFrom(r); err != nil || n != int64(len(body)) {
		t.Fatalf("%d bytes, %v", n, err)
	}
	if _, err := o.Open(ctx, "nothing"); !errors.Is(err, bus.ErrNotFound) {
		t.Fatalf("got %v", err)
	}
}

func TestMembersShareAndTakeOver(t *testing.T) {
	s := bustest.Start(t)
	a := s.Connect("a").Members("svc", "a")
	b := s.Connect("b").Members("svc", "b")
	run(t, a)
	stopB := run(t, b)
	until(t, a, 2)
	until(t, b, 2)
	owners := map[bool]int{}
	for i := range 100 {
		key := fmt.Sprint("ns/", i)
		if a.Owns(key) == b.Owns(key) {
			t.Fatalf("%s has no single owner", key)
		}
		owners[a.Owns(key)]++
	}
	if owners[true] < 20 || owners[false] < 20 {
		t.Errorf("shares %v", owners)
	}
	stopB()
	until(t, a, 1)
	if !a.Owns("anything") {
		t.Error("nobody took over")
	}
}

func run(t *testing.T, m *bus.Members) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { _ = m.Run(ctx) })
	stop = sync.OnceFunc(func() { cancel(); done.Wait() })
	t.Cleanup(stop)
	return stop
}

func until(t *testing.T, m *bus.Members, n int) {
	t.Helper()
	deadline := time.After(time.Minute)
	for len(m.Live()) != n {
		select {
		case <-m.Changed():
		case <-deadline:
			t.Fatalf("members %v, want %d", m.Live(), n)
		}
	}
}

// While there is no server an error says so, and not that a buffer is full.
func TestABusThatIsAwayIsSaidToBe(t *testing.T) {
	b, err := bus.Connect(bus.Config{URL: "nats://127.0.0.1:1", Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := b.Publish(ctx, "events.a.b.c", event(t, "1", "x")); !errors.Is(err, bus.ErrUnreachable) {
		t.Errorf("publish: %v", err)
	}
	if err := b.Declare(ctx, bus.DefaultLimits()); !errors.Is(err, bus.ErrUnreachable) {
		t.Errorf("declare: %v", err)
	}
}
