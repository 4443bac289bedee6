package sensor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/sensing"
	"github.com/argosy-mesh/argosy/schemas/events"
)

// eventConcurrency is how many events of one Sensor a replica handles at once: most
// of the time they wait for targets.
const eventConcurrency = 64

// listener handles the events and the queued firings of one Sensor.
type listener struct {
	compiled  *compiledSensor
	bus       *bus.Bus
	readers   *bus.Shared
	performer *performer
	metrics   *metrics
	log       *slog.Logger
	// tell reports a firing that was given up to the people who look at the Sensor.
	tell func(trigger string, err error)

	// declared hears what the bus says about a place of the Sensor; may be nil.
	declared func(place string, err error)

	windows windows
	queued  chan struct{} // has something when the queue may have
	// ackWait is how long the bus waits for an answer before it asks another replica:
	// what a killed replica had in hand stands still for so long.
	ackWait time.Duration
}

// ackWait of a Sensor's consumers; work that takes longer says that it goes on.
const ackWait = 10 * time.Second

func newListener(u *compiledSensor, p *performer, readers *bus.Shared, tell func(trigger string, err error)) *listener {
	l := &listener{
		compiled:  u,
		bus:       p.bus,
		readers:   readers,
		performer: p,
		metrics:   p.metrics,
		log:       p.log,
		tell:      tell,
		ackWait:   ackWait,
		queued:    make(chan struct{}, 1),
	}
	l.windows = windows{kv: p.bus.KV(bus.WindowsBucket), compiled: u, known: map[int]remembered{}}
	return l
}

// subscribe has the Sensor's events come, in place of what an older version of it had.
func (l *listener) subscribe() *bus.Subscription {
	handle := l.handle
	if l.compiled.program.AnyWaits() {
		handle = l.handleInOrder
	}
	s := l.compiled.sensor
	return l.readers.Subscribe(
		bus.Subscriber{Consumer: l.consumer(), Key: s.Namespace + "/" + s.Name, ID: string(s.UID), Handle: handle},
	)
}

// run looks after the firings on the queue until ctx ends, and waits for what is at work.
func (l *listener) run(ctx context.Context, subscription *bus.Subscription) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-l.queued:
			l.bus.Empty(ctx, l.queue(), queueIdle, l.fireQueued)
		}
	}
	subscription.Stop() //nolint:contextcheck // what keeps its place outlives the listener
	<-subscription.Done()
	if err := l.compiled.close(); err != nil {
		l.log.InfoContext(
			ctx, "a trigger did not close cleanly", "sensor", l.compiled.sensor.Namespace+"/"+l.compiled.sensor.Name,
			"error", err,
		)
	}
}

// firings says that there may be firings on the queue.
func (l *listener) firings() {
	select {
	case l.queued <- struct{}{}:
	default:
	}
}

// consumer describes what the Sensor wants of the stream, and the consumer that it has while it cannot keep up with the
// others. The name holds the uid: an edited Sensor keeps its backlog, one made anew starts with its own creation.
func (l *listener) consumer() bus.Consumer {
	s := l.compiled.sensor
	var filters []string
	seen := map[string]bool{}
	for i := range s.Spec.Dependencies {
		d := &s.Spec.Dependencies[i]
		f := strings.Join(
			[]string{"events", bus.Token(s.Namespace), wildcard(d.EventSourceName), wildcard(d.EventName)}, ".",
		)
		if !seen[f] {
			seen[f] = true
			filters = append(filters, f)
		}
	}
	return bus.Consumer{
		Stream:      bus.Events,
		Name:        consumerName(string(s.UID)),
		Filters:     withoutOverlap(filters),
		Since:       s.CreationTimestamp.Time,
		Concurrency: eventConcurrency,
		Serial:      l.compiled.ordered(),
		AckWait:     l.ackWait,
		Grace:       stopGrace,
		Declared:    l.hear(placeEvents),
		Observe: func(class fault.Class, took time.Duration) {
			l.metrics.events.WithLabelValues(s.Namespace, s.Name, string(class)).Observe(took.Seconds())
		},
	}
}

func (l *listener) hear(place string) func(error) {
	if l.declared == nil {
		return nil
	}
	return func(err error) { l.declared(place, err) }
}

func consumerName(uid string) string { return "sensor-" + uid }

// wildcard turns a pattern of a dependency into one token of a subject.
func wildcard(pattern string) string {
	if strings.ContainsAny(pattern, "*?[") {
		return "*"
	}
	return bus.Token(pattern)
}

// withoutOverlap drops filters that others cover, which the server refuses.
func withoutOverlap(filters []string) []string {
	var kept []string
	for i, f := range filters {
		covered := false
		for j, other := range filters {
			covered = covered || i != j && covers(other, f)
		}
		if !covered {
			kept = append(kept, f)
		}
	}
	return kept
}

func covers(pattern, subject string) bool {
	p, s := strings.Split(pattern, "."), strings.Split(subject, ".")
	if len(p) != len(s) || pattern == subject {
		return false
	}
	for i := range p {
		if p[i] != "*" && p[i] != s[i] {
			return false
		}
	}
	return true
}

// handle reacts to one event of a Sensor without windows: effects first, then the
// acknowledgement. A crash in between repeats the event, and finds the effects done by
// their keys.
func (l *listener) handle(ctx context.Context, d bus.Delivery) ([]bus.Outgoing, error) {
	w, err := world(d)
	if err != nil {
		return nil, err
	}
	verdict := l.evaluate(ctx, w)
	var errs []error
	for _, f := range verdict.Firings {
		if one, ok := l.firing(f, d); ok {
			errs = append(errs, l.bringAbout(ctx, one))
		}
	}
	if errors.Join(errs...) != nil {
		return nil, worst(errs)
	}
	return nil, nil
}

// bringAbout performs a firing, or leaves it to the queue: when it fails, or must
// wait for its rate.
func (l *listener) bringAbout(ctx context.Context, f firing) error {
	if l.compiled.inline() {
		return l.performer.withRetries(ctx, f)
	}
	if f.trigger.limit != nil {
		return l.enqueue(ctx, f)
	}
	err := l.performer.attempt(ctx, f)
	if err == nil {
		return nil
	}
	l.log.InfoContext(ctx, "firing goes to the queue", "key", f.key, "error", err)
	return l.enqueue(ctx, f)
}

// firing completes what the core decided; false means that its trigger cannot work.
func (l *listener) firing(f sensing.Firing, d bus.Delivery) (firing, bool) {
	a := l.compiled.triggers[f.Trigger]
	if a == nil {
		return firing{}, false
	}
	return firing{
		compiled: l.compiled, trigger: a, events: f, key: keyOf(l.compiled.sensor, a.name, f),
		cause: bus.After(d.Event),
	}, true
}

func (l *listener) evaluate(ctx context.Context, w sensing.World) sensing.Verdict {
	v := l.compiled.program.Evaluate(w)
	for _, r := range v.Rejected {
		l.metrics.rejected.WithLabelValues(l.compiled.sensor.Namespace, l.compiled.sensor.Name, r.Filter).Inc()
		l.log.DebugContext(
			ctx, "event rejected", "event_id", w.Event.ID, "dependency", r.Dependency, "filter", r.Filter, "reason",
			r.Reason,
		)
	}
	return v
}

// world is what the core may know of a delivery. Its now is when the stream stored
// the event, so that an evaluation can be repeated with the same result.
func world(d bus.Delivery) (sensing.World, error) {
	tokens := strings.Split(d.Subject, ".")
	if len(tokens) != 4 {
		return sensing.World{}, fault.Poisonf("event %s: subject %s has not four tokens", d.ID(), d.Subject)
	}
	source, err := events.Untoken(tokens[2])
	if err != nil {
		return sensing.World{}, fault.AsPoison(err)
	}
	name, err := events.Untoken(tokens[3])
	if err != nil {
		return sensing.World{}, fault.AsPoison(err)
	}
	return sensing.World{EventSource: source, EventName: name, Event: view(d), Now: d.Stored, Alarm: alarm()}, nil
}

func view(d bus.Delivery) sensing.Event {
	e := sensing.Event{
		ID:          d.ID(),
		Type:        d.Type(),
		Source:      d.Source(),
		Subject:     d.Event.Subject(),
		ContentType: d.DataContentType(),
		Time:        d.Time(),
		Arrived:     d.Stored,
		Data:        d.Data(),
		Sequence:    d.Sequence,
	}
	if extensions := d.Extensions(); len(extensions) > 0 {
		e.Extensions = make(map[string]string, len(extensions))
		for name, v := range extensions {
			e.Extensions[name] = fmt.Sprint(v)
		}
	}
	return e
}
