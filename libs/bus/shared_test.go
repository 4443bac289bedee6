package bus_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/bus/bustest"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/nats-io/nats.go/jetstream"
)

// crew is a group of replicas in one process.
type crew struct {
	t      *testing.T
	server *bustest.Server
	mu     sync.Mutex
	alive  []string
	alone  atomic.Bool
	gone   map[string]bool // subscribers that are no more
}

func newCrew(t *testing.T) *crew {
	c := &crew{t: t, server: bustest.Start(t), gone: map[string]bool{}}
	c.alone.Store(true)
	return c
}

func (c *crew) live() []string { c.mu.Lock(); defer c.mu.Unlock(); return slices.Clone(c.alive) }

// says changes who counts as alive.
func (c *crew) says(names ...string) { c.mu.Lock(); defer c.mu.Unlock(); c.alive = names }

// replica is one that shares.
type replica struct {
	*bus.Shared
	bus  *bus.Bus
	stop func()
}

// replica starts one; it is to be among the living already.
func (c *crew) replica(name string) *replica {
	c.t.Helper()
	return c.replicaWith(name, nil)
}

// replicaWith starts one whose subscribers are there before it reads.
func (c *crew) replicaWith(name string, before func(r *replica)) *replica {
	c.t.Helper()
	r := &replica{bus: c.server.Connect(name)}
	r.Shared = r.bus.Share(
		bus.SharedConfig{
			Stream:  bus.Events,
			Name:    "test",
			Subject: "events.>",
			Self:    name,
			Live:    c.live,
			Alone:   c.alone.Load,
			Hold:    200 * time.Millisecond,
			Exists:  func(_ context.Context, key, _ string) (bool, error) { return !c.gone[key], nil },
		},
	)
	if before != nil {
		before(r)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			c.t.Error(err)
		}
	})
	c.t.Cleanup(r.stop)
	return r
}

// witness keeps what a subscriber handled, in order.
type witness struct {
	name     string
	subjects []string
	mu       sync.Mutex
	ids      []string
	attempts []int
	act      func(ctx context.Context, d bus.Delivery) error // may be nil
	declared chan error
	ordered  bool
	since    time.Time
}

func newWitness(name string, subjects ...string) *witness {
	return &witness{name: name, subjects: subjects, declared: make(chan error, 1000)}
}

func (w *witness) subscriber() bus.Subscriber {
	return bus.Subscriber{Key: w.name, ID: "id-" + w.name, Consumer: bus.Consumer{
		Name:        "own-" + w.name,
		Filters:     w.subjects,
		Since:       w.since,
		Concurrency: 8,
		Serial:      w.ordered,
		MaxDeliver:  3,
		AckWait:     time.Second,
		Grace:       50 * time.Millisecond,
		Backoff:     func(int) time.Duration { return time.Millisecond },
		Declared:    func(err error) { w.declared <- err },
	}, Handle: func(ctx context.Context, d bus.Delivery) ([]bus.Outgoing, error) {
		w.mu.Lock()
		w.attempts = append(w.attempts, d.Attempt)
		act := w.act
		w.mu.Unlock()
		var err error
		if act != nil {
			err = act(ctx, d)
		}
		if err == nil {
			w.mu.Lock()
			w.ids = append(w.ids, d.ID())
			w.mu.Unlock()
		}
		return nil, err
	}}
}

func (w *witness) ready(t *testing.T) {
	t.Helper()
	for receive(t, w.declared, "word about "+w.name) != nil {
	}
}

func (w *witness) seen() []string { w.mu.Lock(); defer w.mu.Unlock(); return slices.Clone(w.ids) }

func (w *witness) does(act func(ctx context.Context, d bus.Delivery) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.act = act
}

func within(t *testing.T, what string, check func() error) {
	t.Helper()
	deadline := time.After(testPatience)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("waited for %s: %v", what, err)
		case <-tick.C:
		}
	}
}

// saw waits until a witness has seen so many, and no other.
func (w *witness) saw(t *testing.T, want ...string) {
	t.Helper()
	within(t, w.name, func() error {
		got := w.seen()
		if !w.ordered {
			slices.Sort(got)
			want = slices.Sorted(slices.Values(want))
		}
		if !slices.Equal(got, want) {
			at := 0
			for at < len(got) && at < len(want) && got[at] == want[at] {
				at++
			}
			return fmt.Errorf(
				"%d events where %d are due: from the %d. on %v, want %v", len(got), len(want), at,
				got[at:min(at+10, len(got))], want[at:min(at+10, len(want))],
			)
		}
		return nil
	})
}

func ids(prefix string, from, to int) []string {
	var out []string
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprint(prefix, i))
	}
	return out
}

func (c *crew) send(b *bus.Bus, subject string, names ...string) {
	c.t.Helper()
	for _, id := range names {
		publish(c.t, b, subject, event(c.t, id, id))
	}
}

// own lists the consumers that subscribers have of their own.
func (c *crew) own() []string {
	return slices.DeleteFunc(
		c.server.Consumers(bus.Events),
		func(name string) bool { return !strings.HasPrefix(name, "own-") },
	)
}

func (c *crew) shareAll() {
	c.t.Helper()
	within(c.t, "all to share", func() error {
		if own := c.own(); len(own) > 0 {
			return fmt.Errorf("%v read on their own", own)
		}
		return nil
	})
}

// Each event comes to those that want it, once, in order; a new subscriber begins where it says.
func TestSharedEventsComeToThoseThatWantThem(t *testing.T) {
	c := newCrew(t)
	c.says("a")
	r := c.replica("a")
	c.send(r.bus, "events.ns.s.e", "old")
	begin := time.Now()
	e, f, all := newWitness("e", "events.ns.s.e"), newWitness("f", "events.ns.s.f"), newWitness("all", "events.ns.*.*")
	past := newWitness("past", "events.ns.s.e")
	for _, w := range []*witness{e, f, all, past} {
		w.ordered = true
		if w != past {
			w.since = begin
		}
		r.Subscribe(w.subscriber())
		w.ready(t)
	}
	for i := range 50 {
		c.send(r.bus, "events.ns.s.e", fmt.Sprint("e", i))
		c.send(r.bus, "events.ns.s.f", fmt.Sprint("f", i))
		c.send(r.bus, "events.other.s.f", fmt.Sprint("o", i))
	}
	e.saw(t, ids("e", 0, 50)...)
	f.saw(t, ids("f", 0, 50)...)
	past.saw(t, append([]string{"old"}, ids("e", 0, 50)...)...)
	var mixed []string
	for i := range 50 {
		mixed = append(mixed, fmt.Sprint("e", i), fmt.Sprint("f", i))
	}
	all.saw(t, mixed...)
	c.shareAll()
	if got := len(c.server.Consumers(bus.Events)); got != 1 {
		t.Errorf("%d consumers for four subscribers", got)
	}
}

// More subscribers than the server is told subjects of.
func TestManyShareOneConsumer(t *testing.T) {
	c := newCrew(t)
	c.says("a")
	r := c.replica("a")
	var all []*witness
	for i := range 200 {
		w := newWitness(fmt.Sprint("w", i), fmt.Sprintf("events.ns%d.s.e", i))
		w.since = time.Now()
		r.Subscribe(w.subscriber())
		all = append(all, w)
	}
	for i, w := range all {
		w.ready(t)
		c.send(r.bus, fmt.Sprintf("events.ns%d.s.e", i), fmt.Sprint("e", i))
	}
	for i, w := range all {
		w.saw(t, fmt.Sprint("e", i))
	}
	c.shareAll()
	within(t, "one consumer", func() error {
		if got := c.server.Consumers(bus.Events); len(got) != 1 {
			return fmt.Errorf("%v", got)
		}
		return nil
	})
}

// One whose handler does not return holds nobody, loses nothing, and comes back.
func TestASlowSubscriberHoldsNobody(t *testing.T) {
	for _, ordered := range []bool{true, false} {
		t.Run(fmt.Sprint("ordered ", ordered), func(t *testing.T) {
			c := newCrew(t)
			c.says("a")
			r := c.replica("a")
			slow, fast := newWitness("slow", "events.ns.s.e"), newWitness("fast", "events.ns.s.e")
			slow.ordered, fast.ordered = ordered, true
			release := make(chan struct{})
			var calls sync.Map
			slow.does(func(ctx context.Context, d bus.Delivery) error {
				if _, again := calls.LoadOrStore(d.ID(), true); again {
					t.Errorf("%s came again", d.ID())
				}
				select {
				case <-release:
				case <-ctx.Done():
				}
				return ctx.Err()
			})
			for _, w := range []*witness{slow, fast} {
				w.since = time.Now()
				r.Subscribe(w.subscriber())
				w.ready(t)
			}
			const n = 1500 // more than a lane holds
			c.send(r.bus, "events.ns.s.e", ids("e", 0, n)...)
			fast.saw(t, ids("e", 0, n)...)
			within(t, "the slow one to read on its own", func() error {
				if own := c.own(); !slices.Equal(own, []string{"own-slow"}) {
					return fmt.Errorf("%v", own)
				}
				return nil
			})
			close(release)
			slow.saw(t, ids("e", 0, n)...)
			c.shareAll()
			c.send(r.bus, "events.ns.s.e", "last")
			slow.saw(t, append(ids("e", 0, n), "last")...)
			if r.Apart() != 0 {
				t.Error("one is apart")
			}
		})
	}
}

// A failing subscriber has its attempts, dead letters and redrive, and holds nobody.
func TestAFailingSubscriberIsBuriedAlone(t *testing.T) {
	c := newCrew(t)
	c.says("a")
	r := c.replica("a")
	bad, good := newWitness("bad", "events.ns.s.e"), newWitness("good", "events.ns.s.e")
	var well atomic.Bool
	bad.does(func(_ context.Context, d bus.Delivery) error {
		if d.ID() == "e1" && !well.Load() {
			return errors.New("no")
		}
		if d.ID() == "e3" && !well.Load() {
			return fault.Poisonf("never")
		}
		return nil
	})
	for _, w := range []*witness{bad, good} {
		w.since, w.ordered = time.Now(), true
		r.Subscribe(w.subscriber())
		w.ready(t)
	}
	c.send(r.bus, "events.ns.s.e", ids("e", 0, 6)...)
	good.saw(t, ids("e", 0, 6)...)
	bad.saw(t, "e0", "e2", "e4", "e5")
	var dead []bus.DeadLetter
	within(t, "two dead letters", func() error {
		var err error
		if dead, err = r.bus.DeadLetters(t.Context(), bus.Events, ">", 0); err != nil || len(dead) != 2 {
			return fmt.Errorf("%d: %w", len(dead), err)
		}
		return nil
	})
	if dead[0].Consumer != "own-bad" || dead[0].Attempts != 3 || dead[0].Event.ID() != "e1" || dead[1].Attempts != 1 ||
		dead[1].Event.ID() != "e3" {
		t.Errorf("%+v", dead)
	}
	if want := []int{1, 1, 2, 3, 1, 1, 1, 1}; !slices.Equal(bad.attempts, want) {
		t.Errorf("attempts %v, want %v", bad.attempts, want)
	}
	c.shareAll()
	well.Store(true)
	if err := r.bus.Redrive(t.Context(), dead[0].Sequence); err != nil {
		t.Fatal(err)
	}
	bad.saw(t, "e0", "e2", "e4", "e5", "e1")
}

// A changed subscriber goes on where it was, with what it wants now; what the older version does not finish is done by
// the new one.
func TestAChangedSubscriberKeepsItsBacklog(t *testing.T) {
	c := newCrew(t)
	c.says("a")
	r := c.replica("a")
	w := newWitness("w", "events.ns.s.e")
	w.since, w.ordered = time.Now(), true
	stuck := make(chan string, 100)
	w.does(func(ctx context.Context, d bus.Delivery) error { stuck <- d.ID(); <-ctx.Done(); return ctx.Err() })
	first := r.Subscribe(w.subscriber())
	w.ready(t)
	c.send(r.bus, "events.ns.s.e", ids("e", 0, 5)...)
	receive(t, stuck, "the first")
	w.does(nil)
	w.subjects = append(w.subjects, "events.ns.s.f")
	r.Subscribe(w.subscriber())
	receive(t, first.Done(), "the end of the first version")
	w.saw(t, ids("e", 0, 5)...)
	c.shareAll()
	c.send(r.bus, "events.ns.s.f", "f0")
	w.saw(t, append(ids("e", 0, 5), "f0")...)
	if len(stuck) > 0 {
		t.Errorf("the first version took %s up", <-stuck)
	}
}

// One that nobody handles for a while keeps its place; so does one that is stopped while it is behind.
func TestAStoppedSubscriberKeepsItsPlace(t *testing.T) {
	c := newCrew(t)
	c.says("a")
	r := c.replica("a")
	w := newWitness("w", "events.ns.s.e")
	w.since, w.ordered = time.Now(), true
	first := r.Subscribe(w.subscriber())
	w.ready(t)
	c.send(r.bus, "events.ns.s.e", "e0")
	w.saw(t, "e0")
	first.Stop()
	receive(t, first.Done(), "its end")
	c.send(r.bus, "events.ns.s.e", ids("e", 1, 4)...)
	within(t, "its consumer", func() error {
		if own := c.own(); len(own) != 1 {
			return fmt.Errorf("%v", own)
		}
		return nil
	})
	r.stop()
	c.replicaWith("a", func(r *replica) { r.Subscribe(w.subscriber()) })
	w.saw(t, ids("e", 0, 4)...)
	c.shareAll()
}

// One that is removed leaves nothing behind, whatever it was doing.
func TestARemovedSubscriberLeavesNothing(t *testing.T) {
	c := newCrew(t)
	c.says("a")
	r := c.replica("a")
	slow, idle := newWitness("slow", "events.ns.s.e"), newWitness("idle", "events.ns.s.e")
	slow.does(func(ctx context.Context, _ bus.Delivery) error { <-ctx.Done(); return ctx.Err() })
	var subs []*bus.Subscription
	for _, w := range []*witness{slow, idle} {
		w.since = time.Now()
		subs = append(subs, r.Subscribe(w.subscriber()))
		w.ready(t)
	}
	c.send(r.bus, "events.ns.s.e", ids("e", 0, 20)...)
	idle.saw(t, ids("e", 0, 20)...)
	within(t, "the slow one to read on its own", func() error {
		if own := c.own(); len(own) != 1 {
			return fmt.Errorf("%v", own)
		}
		return nil
	})
	for i, w := range []*witness{slow, idle} {
		wait := r.Remove("id-" + w.name)
		receive(t, subs[i].Done(), "the end of "+w.name)
		wait()
		if err := r.DeleteSubscriber(t.Context(), "id-"+w.name, "own-"+w.name); err != nil {
			t.Fatal(err)
		}
	}
	if own := c.own(); len(own) > 0 {
		t.Errorf("%v are left", own)
	}
	if keys, err := r.bus.KV(bus.ReadersBucket).Keys(t.Context(), "test.sub."); err != nil || len(keys) > 0 {
		t.Errorf("%v are left, %v", keys, err)
	}
}

// Replicas hand subscribers over: none loses an event, none sees one twice, each sees them in order.
func TestReplicasHandSubscribersOver(t *testing.T) {
	c := newCrew(t)
	c.says("a")
	var all []*witness
	for i := range 40 {
		w := newWitness(fmt.Sprint("w", i), "events.ns.s.e")
		w.since, w.ordered = time.Now(), true
		if i%4 == 0 {
			w.does(func(ctx context.Context, _ bus.Delivery) error { // slow enough to be apart at times
				select {
				case <-time.After(10 * time.Millisecond):
				case <-ctx.Done():
				}
				return ctx.Err()
			})
		}
		all = append(all, w)
	}
	subscribe := func(r *replica) {
		for _, w := range all {
			r.Subscribe(w.subscriber())
		}
	}
	a := c.replicaWith("a", subscribe)
	for _, w := range all {
		w.ready(t)
	}
	sender := c.server.Connect("sender")
	sent := 0
	send := func(n int) {
		c.send(sender, "events.ns.s.e", ids("e", sent, sent+n)...)
		sent += n
	}
	send(100)
	c.says("a", "b")
	b := c.replicaWith("b", subscribe)
	send(100)
	within(t, "b to have its share", func() error {
		n := 0
		for _, w := range all {
			if b.Holds(w.name) {
				n++
			}
		}
		if n == 0 || n == len(all) {
			return fmt.Errorf("it has %d", n)
		}
		return nil
	})
	send(100)
	a.stop()
	c.says("b")
	send(100)
	for _, w := range all {
		w.saw(t, ids("e", 0, sent)...)
	}
	c.shareAll()
}

// What a replica leaves that dies without a word is done by another, in order; what is done again is what it had not
// saved.
func TestAnotherReplicaGoesOnAfterADeath(t *testing.T) {
	c := newCrew(t)
	c.says("a")
	a := newWitness("w", "events.ns.s.e") // as a sees it
	a.since, a.ordered = time.Now(), true
	held := make(chan string, 10)
	a.does(func(ctx context.Context, d bus.Delivery) error {
		if d.ID() == "e5" {
			held <- d.ID()
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	})
	first := c.replicaWith("a", func(r *replica) { r.Subscribe(a.subscriber()) })
	a.ready(t)
	sender := c.server.Connect("sender")
	c.send(sender, "events.ns.s.e", ids("e", 0, 10)...)
	receive(t, held, "the sixth")
	first.bus.Close() // nothing that it does is heard any more
	c.says("b")
	b := newWitness("w", "events.ns.s.e")
	b.since, b.ordered = a.since, true
	c.replicaWith("b", func(r *replica) { r.Subscribe(b.subscriber()) })
	b.ready(t)
	c.send(sender, "events.ns.s.e", "e10")
	within(t, "the rest", func() error {
		got := b.seen()
		if len(got) < 6 || !slices.Equal(got[len(got)-6:], ids("e", 5, 11)) ||
			!slices.Equal(got, ids("e", 11-len(got), 11)) {
			return fmt.Errorf("%v", got)
		}
		return nil
	})
}

// Subscribers that had durable consumers of their own keep what those had not read, and give them up then.
func TestConsumersOfAnOlderVersionAreReadToTheirEnd(t *testing.T) {
	c := newCrew(t)
	b := c.server.Connect("old")
	var all []*witness
	for i := range 20 {
		w := newWitness(fmt.Sprint("w", i), fmt.Sprintf("events.ns.s.e%d", i))
		w.since, w.ordered = time.Now().Add(-time.Hour), true
		all = append(all, w)
		consumer := w.subscriber().Consumer
		consumer.Stream = bus.Events
		ctx, cancel := context.WithCancel(t.Context())
		read := make(chan string, 10)
		var done sync.WaitGroup
		done.Go(func() {
			_ = b.Consume(
				ctx,
				consumer,
				func(_ context.Context, d bus.Delivery) ([]bus.Outgoing, error) { read <- d.ID(); return nil, nil },
			)
		})
		c.send(b, w.subjects[0], "read")
		receive(t, read, "the first")
		cancel()
		done.Wait()
		c.send(b, w.subjects[0], ids("unread", 0, 3)...)
	}
	c.says("a")
	c.alone.Store(false) // one of the older version is there still
	r := c.replicaWith("a", func(r *replica) {
		for _, w := range all {
			r.Subscribe(w.subscriber())
		}
	})
	for _, w := range all {
		w.saw(t, ids("unread", 0, 3)...)
	}
	if own := c.own(); len(own) != len(all) {
		t.Errorf("%d of %d consumers, while another needs them", len(own), len(all))
	}
	c.alone.Store(true)
	c.shareAll()
	for _, w := range all {
		c.send(b, w.subjects[0], "new")
		w.saw(t, append(ids("unread", 0, 3), "new")...)
	}
	if r.Apart() > 0 {
		t.Errorf("%d are apart", r.Apart())
	}
}

// A subscriber that nobody subscribes keeps its events; one that is gone leaves nothing.
func TestAnAbsentSubscriberKeepsItsPlace(t *testing.T) {
	c := newCrew(t)
	c.says("a")
	here, gone := newWitness("here", "events.ns.s.e"), newWitness("gone", "events.ns.s.e")
	r := c.replica("a")
	for _, w := range []*witness{here, gone} {
		w.since, w.ordered = time.Now(), true
		r.Subscribe(w.subscriber())
		w.ready(t)
	}
	r.stop()
	sender := c.server.Connect("sender")
	c.send(sender, "events.ns.s.e", "e0")
	c.gone["gone"] = true
	r = c.replica("a")
	within(t, "a consumer for the one that is absent", func() error {
		if own := c.own(); !slices.Equal(own, []string{"own-here"}) {
			return fmt.Errorf("%v", own)
		}
		return nil
	})
	c.send(sender, "events.ns.s.e", "e1")
	r.Subscribe(here.subscriber())
	here.saw(t, "e0", "e1")
	c.shareAll()
	if keys, err := r.bus.KV(bus.ReadersBucket).Keys(t.Context(), "test.sub."); err != nil || len(keys) != 1 {
		t.Errorf("%v, %v", keys, err)
	}
}

// The server goes away and comes back; the stream is made anew.
func TestSharedReadersOutliveTheServer(t *testing.T) {
	c := newCrew(t)
	c.says("a")
	r := c.replica("a")
	w := newWitness("w", "events.ns.s.e")
	w.since, w.ordered = time.Now(), true
	r.Subscribe(w.subscriber())
	w.ready(t)
	c.send(r.bus, "events.ns.s.e", "e0")
	w.saw(t, "e0")
	c.server.Stop()
	c.server.Resume()
	sender := c.server.Connect("sender")
	c.send(sender, "events.ns.s.e", "e1", "e2")
	w.saw(t, "e0", "e1", "e2")

	js := management(t, c.server)
	if err := js.DeleteStream(t.Context(), bus.Events); err != nil {
		t.Fatal(err)
	}
	sender = c.server.Connect("sender") // which makes it anew
	c.send(sender, "events.ns.s.e", "n0", "n1")
	w.saw(t, "e0", "e1", "e2", "n0", "n1")
}

// A server that takes no consumer is told of, and so is that it does again.
func TestASharedReaderThatIsRefusedSaysSo(t *testing.T) {
	c := newCrew(t)
	c.says("a")
	b := c.server.Connect("other")
	js := management(t, c.server)
	if _, err := js.CreateConsumer(
		t.Context(), bus.Events, jetstream.ConsumerConfig{Durable: "other", AckPolicy: jetstream.AckExplicitPolicy},
	); err != nil {
		t.Fatal(err)
	}
	w := newWitness("w", "events.ns.s.e")
	w.since = time.Now()
	c.says("a")
	c.replicaWith("a", func(r *replica) {
		c.server.LimitConsumers(bus.Events, 1)
		r.Subscribe(w.subscriber())
	})
	for !errors.Is(receive(t, w.declared, "the refusal"), bus.ErrRefused) {
	}
	c.server.LimitConsumers(bus.Events, 10)
	w.ready(t)
	c.send(b, "events.ns.s.e", "e0")
	w.saw(t, "e0")
}

// An event that kills whoever handles it does not do so for ever.
func TestADeadlyEventIsBuried(t *testing.T) {
	c := newCrew(t)
	c.says("a")
	sender := c.server.Connect("sender")
	w := newWitness("w", "events.ns.s.e")
	w.since, w.ordered = time.Now(), true
	sent := false
	deaths := 0
	for {
		died := make(chan struct{}, 1)
		var r *replica
		ready := make(chan struct{})
		w.does(func(_ context.Context, d bus.Delivery) error {
			if d.ID() != "deadly" {
				return nil
			}
			<-ready
			r.bus.Close() // nothing is heard of this replica any more
			select {
			case died <- struct{}{}:
			default:
			}
			return errors.New("dead")
		})
		r = c.replicaWith("a", func(r *replica) { r.Subscribe(w.subscriber()) })
		close(ready)
		if !sent {
			w.ready(t)
			c.send(sender, "events.ns.s.e", "deadly", "after")
			sent = true
		}
		within(t, "a death, or the event behind", func() error {
			if len(w.seen()) == 0 && len(died) == 0 {
				return errors.New("neither")
			}
			return nil
		})
		if len(w.seen()) > 0 {
			break
		}
		r.stop() // or it would go on trying, in vain
		if deaths++; deaths > 12 {
			t.Fatalf("%d deaths", deaths)
		}
	}
	w.saw(t, "after")
	dead, err := sender.DeadLetters(t.Context(), bus.Events, ">", 0)
	if err != nil || len(dead) != 1 || dead[0].Event.ID() != "deadly" {
		t.Errorf("%+v, %v", dead, err)
	}
	if deaths < 5 {
		t.Errorf("%d deaths", deaths)
	}
}
