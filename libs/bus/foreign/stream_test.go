package foreign

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus/bustest"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// rig is a stream ORDERS of a server, and what a reader of it saw.
type rig struct {
	t      *testing.T
	server *bustest.Server
	js     jetstream.JetStream
	seen   chan Message
	place  Place
	ended  chan error // of the last reader
	notes  []string
}

func start(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, server: bustest.Start(t), seen: make(chan Message, 100)}
	nc, err := nats.Connect(r.server.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if r.js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	r.stream()
	return r
}

func (r *rig) stream() {
	r.t.Helper()
	if _, err := r.js.CreateStream(
		r.t.Context(), jetstream.StreamConfig{Name: "ORDERS", Subjects: []string{"orders.>"}},
	); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) put(subject, text string) {
	r.t.Helper()
	if _, err := r.js.Publish(r.t.Context(), subject, []byte(text)); err != nil {
		r.t.Fatal(err)
	}
}

// read reads until the returned function is called, which gives the error.
func (r *rig) read(c Consumer) (stop func() error) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	ended, up := make(chan error, 1), make(chan struct{})
	r.ended = ended
	c.Stream, c.Durable, c.Owner, c.Last = "ORDERS", "argosy", "ns/es/one", r.place
	c.Save = func(_ context.Context, p Place) error { r.place = p; return nil }
	c.Note = func(text string) { r.notes = append(r.notes, text) }
	go func() {
		ended <- Server{URL: r.server.URL(), Name: "t"}.Consume(ctx, c, func() { close(up) }, func(m Message) error {
			r.seen <- m
			return nil
		})
	}()
	select {
	case <-up:
	case err := <-ended:
		cancel()
		r.t.Fatalf("the reader ended: %v", err)
	}
	return func() error { cancel(); return <-ended }
}

func (r *rig) next() Message {
	r.t.Helper()
	select {
	case m := <-r.seen:
		return m
	case <-time.After(time.Minute):
		r.t.Fatal("no message")
		return Message{}
	}
}

func (r *rig) quiet() {
	r.t.Helper()
	select {
	case m := <-r.seen:
		r.t.Errorf("a message too many: %s on %s", m.Data, m.Subject)
	default:
	}
}

// Case 19: an edit reaches the durable.
func TestAnEditReachesTheDurable(t *testing.T) {
	r := start(t)
	stop := r.read(Consumer{Subjects: []string{"orders.eu.>"}})
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	for _, subjects := range [][]string{{"orders.us.>"}, {"orders.us.>", "orders.asia.>"}, nil, {"orders.us.>"}} {
		stop := r.read(Consumer{Subjects: subjects})
		r.put("orders.eu.1", "eu")
		r.put("orders.us.1", "us")
		if subjects == nil {
			if m := r.next(); string(m.Data) != "eu" {
				t.Errorf("%v: %s", subjects, m.Data)
			}
		}
		if m := r.next(); string(m.Data) != "us" {
			t.Errorf("%v: %s", subjects, m.Data)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		r.quiet()
		cons, err := r.js.Consumer(t.Context(), "ORDERS", "argosy")
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(filters(cons.CachedInfo().Config), " "); got != strings.Join(subjects, " ") {
			t.Errorf("the server filters by %s", got)
		}
	}
}

func TestADurableThatIsGoneGoesOnWhereItWas(t *testing.T) {
	r := start(t)
	r.put("orders.1", "before")
	_ = r.read(Consumer{})
	r.put("orders.1", "1")
	if m := r.next(); string(m.Data) != "1" {
		t.Fatalf("%s", m.Data)
	}
	if err := r.js.DeleteConsumer(t.Context(), "ORDERS", "argosy"); err != nil {
		t.Fatal(err)
	}
	if err := <-r.ended; err == nil {
		t.Errorf("the reading ended with %v", err)
	}
	r.put("orders.1", "2") // nobody reads
	r.place.Sequence = 1   // as it was saved last
	stop := r.read(Consumer{})
	if a, b := r.next(), r.next(); string(a.Data) != "1" || string(b.Data) != "2" {
		t.Errorf("%s, %s", a.Data, b.Data)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if len(r.notes) != 1 || !strings.Contains(r.notes[0], "goes on at 2") {
		t.Errorf("%v", r.notes)
	}
	r.quiet()
}

func TestAStreamThatIsMadeAgainIsReadFromItsBeginning(t *testing.T) {
	r := start(t)
	stop := r.read(Consumer{})
	r.put("orders.1", "old")
	first := r.next()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if err := r.js.DeleteStream(t.Context(), "ORDERS"); err != nil {
		t.Fatal(err)
	}
	r.stream()
	for _, text := range []string{"new 1", "new 2", "new 3"} {
		r.put("orders.1", text)
	}
	stop = r.read(Consumer{})
	second := r.next()
	if string(second.Data) != "new 1" || second.Sequence != first.Sequence || second.Time.Equal(first.Time) {
		t.Errorf("%+v after %+v", second, first)
	}
	r.next()
	r.next()
	if err := stop(); err != nil {
		t.Error(err)
	}
	if len(r.notes) != 1 || !strings.Contains(r.notes[0], "from its beginning") {
		t.Errorf("%v", r.notes)
	}
}

func TestWhatCannotBeReadSafelyIsRefused(t *testing.T) {
	r := start(t)
	for name, cfg := range map[string]jetstream.ConsumerConfig{
		"none": {AckPolicy: jetstream.AckNonePolicy}, "all": {AckPolicy: jetstream.AckAllPolicy},
		"once": {AckPolicy: jetstream.AckExplicitPolicy, MaxDeliver: 1},
	} {
		cfg.Durable = name
		if _, err := r.js.CreateConsumer(t.Context(), "ORDERS", cfg); err != nil {
			t.Fatal(err)
		}
		err := Server{
			URL: r.server.URL(),
		}.Consume(
			t.Context(),
			Consumer{Stream: "ORDERS", Durable: name},
			func() { t.Error("it is read") },
			func(Message) error { return nil },
		)
		if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "durable") {
			t.Errorf("%s: %v", name, err)
		}
	}
	theirs := jetstream.ConsumerConfig{
		Durable: "theirs", AckPolicy: jetstream.AckExplicitPolicy, FilterSubject: "orders.eu.>",
	}
	if _, err := r.js.CreateConsumer(t.Context(), "ORDERS", theirs); err != nil {
		t.Fatal(err)
	}
	cons, err := Consumer{Stream: "ORDERS", Durable: "theirs", Owner: "ns/es/one"}.find(t.Context(), r.js)
	if err != nil || cons.CachedInfo().Config.FilterSubject != "orders.eu.>" {
		t.Errorf("%v: what its maker said stays where the manifest says nothing", err)
	}
}
