package sensor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/sensor/internal/core"
)

// raceAttempts is how often a window that another replica changed is read again
// within one delivery.
const raceAttempts = 20

// listener handles the events of one Sensor.
type listener struct {
	sensor  *v1alpha1.Sensor
	bus     *bus.Bus
	effects *effects
	log     *slog.Logger
	metrics *metrics
}

// consumer describes the Sensor's place in the stream. The name holds the uid: an
// edited Sensor keeps its backlog, one made anew starts with its own creation.
func (l *listener) consumer() bus.Consumer {
	var filters []string
	seen := map[string]bool{}
	for i := range l.sensor.Spec.Dependencies {
		d := &l.sensor.Spec.Dependencies[i]
		f := strings.Join([]string{"events", bus.Token(l.sensor.Namespace), wildcard(d.EventSourceName), wildcard(d.EventName)}, ".")
		if !seen[f] {
			seen[f] = true
			filters = append(filters, f)
		}
	}
	return bus.Consumer{
		Stream: bus.Events, Name: consumerName(string(l.sensor.UID)), Filters: withoutOverlap(filters), Since: l.sensor.CreationTimestamp.Time, Concurrency: 8,
		Observe: func(class fault.Class, took time.Duration) {
			l.metrics.events.WithLabelValues(l.sensor.Namespace, l.sensor.Name, string(class)).Observe(took.Seconds())
		},
	}
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

// handle reacts to one event.
func (l *listener) handle(ctx context.Context, d bus.Delivery) ([]bus.Outgoing, error) {
	world, err := l.world(d)
	if err != nil {
		return nil, err
	}
	for range raceAttempts {
		windows, revisions, err := l.load(ctx)
		if err != nil {
			return nil, err
		}
		world.Windows = windows
		outputs, err := l.react(ctx, d, world, revisions)
		if fault.Of(err) != fault.Stale {
			return outputs, err
		}
	}
	return nil, fmt.Errorf("windows of sensor %s/%s changed %d times while event %s was handled", l.sensor.Namespace, l.sensor.Name, raceAttempts, d.ID())
}

func (l *listener) world(d bus.Delivery) (core.World, error) {
	tokens := strings.Split(d.Subject, ".")
	if len(tokens) != 4 {
		return core.World{}, fault.Poisonf("event %s: subject %s has not four tokens", d.ID(), d.Subject)
	}
	source, err := events.Untoken(tokens[2])
	if err != nil {
		return core.World{}, fault.AsPoison(err)
	}
	name, err := events.Untoken(tokens[3])
	if err != nil {
		return core.World{}, fault.AsPoison(err)
	}
	return core.World{Spec: l.sensor.Spec, EventSource: source, EventName: name, Event: view(d), Now: time.Now()}, nil
}

func view(d bus.Delivery) core.Event {
	return core.Event{ID: d.ID(), Type: d.Type(), Source: d.Source(), Subject: d.Event.Subject(), ContentType: d.DataContentType(),
		Time: d.Time(), Data: d.Data(), Sequence: d.Sequence}
}

// react evaluates the event and brings its consequences about.
func (l *listener) react(ctx context.Context, d bus.Delivery, world core.World, revisions map[int]uint64) ([]bus.Outgoing, error) {
	verdict := core.Evaluate(world)
	for _, r := range verdict.Rejected {
		l.metrics.rejected.WithLabelValues(l.sensor.Namespace, l.sensor.Name).Inc()
		l.log.DebugContext(ctx, "event rejected", "event_id", d.ID(), "dependency", r.Dependency, "reason", r.Reason)
	}
	var outputs []bus.Outgoing
	var errs []error
	for _, firing := range verdict.Firings {
		// One bad trigger must not keep the others from firing: all are tried, and
		// a repetition finds the good ones done.
		out, err := l.effects.perform(ctx, l.sensor, firing, d.Event)
		errs = append(errs, err)
		outputs = append(outputs, out...)
	}
	if err := errors.Join(errs...); err != nil {
		return outputs, worst(errs)
	}
	return outputs, l.save(ctx, verdict.Windows, revisions)
}

// worst keeps a retry visible that a poison beside it would hide: what can still
// succeed must get its chance.
func worst(errs []error) error {
	joined := errors.Join(errs...)
	for _, err := range errs {
		if fault.Of(err) == fault.Retry {
			return fmt.Errorf("%s: %w", joined.Error(), err)
		}
	}
	return joined
}

// reference is an event in a stored window: where to find it again.
type reference struct {
	ID       string `json:"id"`
	Sequence uint64 `json:"sequence"`
}

func (l *listener) windowKey(trigger int) string {
	return string(l.sensor.UID) + "." + bus.Key(l.sensor.Spec.Triggers[trigger].Template.Name)
}

// windowed reports whether a trigger may have to wait for more than one event.
func (l *listener) windowed(trigger int) bool {
	return l.sensor.Spec.Triggers[trigger].Template != nil && len(l.sensor.Spec.Dependencies) > 1
}

func (l *listener) load(ctx context.Context) (map[int]core.Window, map[int]uint64, error) {
	windows, revisions := map[int]core.Window{}, map[int]uint64{}
	for i := range l.sensor.Spec.Triggers {
		if !l.windowed(i) {
			continue
		}
		raw, revision, err := l.bus.KV(bus.WindowsBucket).Get(ctx, l.windowKey(i))
		if errors.Is(err, bus.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("load window: %w", err)
		}
		if windows[i], err = l.fill(ctx, raw); err != nil {
			return nil, nil, err
		}
		revisions[i] = revision
	}
	return windows, revisions, nil
}

// fill reads the events of a stored window back from the stream. One that has
// aged out is no longer waited with.
func (l *listener) fill(ctx context.Context, raw []byte) (core.Window, error) {
	var stored map[string]reference
	if err := json.Unmarshal(raw, &stored); err != nil {
		return nil, fault.Poisonf("window of sensor %s/%s: %w", l.sensor.Namespace, l.sensor.Name, err)
	}
	w := core.Window{}
	for name, ref := range stored {
		d, err := l.bus.At(ctx, bus.Events, ref.Sequence)
		if errors.Is(err, bus.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("load window: %w", err)
		}
		w[name] = view(d)
	}
	return w, nil
}

func (l *listener) save(ctx context.Context, windows map[int]core.Window, revisions map[int]uint64) error {
	kv := l.bus.KV(bus.WindowsBucket)
	for i, w := range windows {
		stored := map[string]reference{}
		for name, e := range w {
			stored[name] = reference{ID: e.ID, Sequence: e.Sequence}
		}
		raw, err := json.Marshal(stored)
		if err != nil {
			return fmt.Errorf("save window: %w", err)
		}
		// An empty window stays as a value, so that its revision guards the next one.
		if _, err := kv.Swap(ctx, l.windowKey(i), raw, revisions[i]); err != nil {
			return fmt.Errorf("save window: %w", err)
		}
	}
	return nil
}
