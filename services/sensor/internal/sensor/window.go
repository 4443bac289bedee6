package sensor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/sensing"
)

// record is the stored state of one trigger that waits.
type record struct {
	// Waiting are the events that came, by dependency.
	Waiting map[string]reference `json:"waiting,omitempty"`
	// UpTo is the last event that this record takes into account. Events come in order:
	// one that is not above it has been handled.
	UpTo uint64 `json:"upTo"`
	// At is when the stream stored that event. A later event with a lower sequence is
	// one of a stream that was made anew.
	At time.Time `json:"at"`
	// Firing are the events with which the event UpTo made the trigger fire. The firing
	// is on the queue, or comes there when that event is delivered again.
	Firing map[string]reference `json:"firing,omitempty"`
}

// handled reports whether a record takes an event into account already.
func (r record) handled(d bus.Delivery) bool {
	return d.Sequence <= r.UpTo && !d.Stored.After(r.At)
}

// reference is an event in a record: what identifies it, and where to find it.
type reference struct {
	ID       string    `json:"id"`
	Source   string    `json:"source"`
	Sequence uint64    `json:"sequence"`
	Arrived  time.Time `json:"arrived"`
}

func references(w sensing.Window) map[string]reference {
	out := make(map[string]reference, len(w))
	for name, e := range w {
		out[name] = reference{ID: e.ID, Source: e.Source, Sequence: e.Sequence, Arrived: e.Arrived}
	}
	return out
}

func windowOf(refs map[string]reference) sensing.Window {
	w := make(sensing.Window, len(refs))
	for name, r := range refs {
		w[name] = sensing.Event{ID: r.ID, Source: r.Source, Sequence: r.Sequence, Arrived: r.Arrived}
	}
	return w
}

// remembered is a record as it was last seen, with its revision.
type remembered struct {
	record
	revision uint64
}

// windows keeps the records of one Sensor. One event is handled at a time, so that
// nothing here is locked; another replica's writes are noticed when a swap fails.
type windows struct {
	kv       bus.KV
	compiled *compiledSensor
	known    map[int]remembered
}

func (w *windows) key(trigger int) string {
	return string(w.compiled.sensor.UID) + "." + bus.Key(w.compiled.triggers[trigger].name)
}

// load returns the record of a trigger.
func (w *windows) load(ctx context.Context, trigger int) (remembered, error) {
	if r, ok := w.known[trigger]; ok {
		return r, nil
	}
	var r remembered
	raw, revision, err := w.kv.Get(ctx, w.key(trigger))
	switch {
	case errors.Is(err, bus.ErrNotFound):
	case err != nil:
		return r, fmt.Errorf("load window: %w", err)
	default:
		if err := json.Unmarshal(raw, &r.record); err != nil {
			return r, fault.Poisonf("window of trigger %s: %w", w.compiled.triggers[trigger].name, err)
		}
		r.revision = revision
	}
	w.known[trigger] = r
	return r, nil
}

// save writes a record over the one that was loaded. An error of class stale means
// that another replica was faster; what was known is forgotten then.
func (w *windows) save(ctx context.Context, trigger int, r record) error {
	raw, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("save window: %w", err)
	}
	revision, err := w.kv.CompareAndSwap(ctx, w.key(trigger), raw, w.known[trigger].revision)
	if err != nil {
		delete(w.known, trigger)
		return fmt.Errorf("save window: %w", err)
	}
	w.known[trigger] = remembered{record: r, revision: revision}
	return nil
}

// raceAttempts is how often records that another replica changed are read again
// within one delivery.
const raceAttempts = 20

// handleInOrder reacts to one event of a Sensor with windows. The order is: decide,
// write the records, put the firings on the queue, acknowledge. ADR-0016.
func (l *listener) handleInOrder(ctx context.Context, d bus.Delivery) ([]bus.Outgoing, error) {
	w, err := world(d)
	if err != nil {
		return nil, err
	}
	for range raceAttempts {
		err := l.step(ctx, d, w)
		if fault.Of(err) != fault.Stale {
			return nil, err
		}
	}
	return nil, fmt.Errorf(
		"windows of sensor %s/%s changed %d times while event %s was handled", l.compiled.sensor.Namespace,
		l.compiled.sensor.Name, raceAttempts, d.ID(),
	)
}

func (l *listener) step(ctx context.Context, d bus.Delivery, w sensing.World) error {
	records, err := l.records(ctx)
	if err != nil {
		return err
	}
	w.Windows = map[int]sensing.Window{}
	for i, r := range records {
		w.Windows[i] = windowOf(r.Waiting)
	}
	verdict := l.evaluate(ctx, w)
	fires := map[int]sensing.Firing{}
	for _, f := range verdict.Firings {
		fires[f.Trigger] = f
	}
	for i := range l.compiled.triggers {
		f, fired := fires[i]
		if r, waits := records[i]; waits {
			next, changed := verdict.Windows[i]
			err = l.wait(ctx, i, r, turn{firing: f, next: next, changed: changed}, d)
		} else if fired {
			err = l.put(ctx, f, d)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// turn is what an event means for one trigger with a window.
type turn struct {
	firing  sensing.Firing // without events when it does not fire
	next    sensing.Window
	changed bool
}

// wait does for one trigger with a window what an event means.
func (l *listener) wait(ctx context.Context, i int, r remembered, t turn, d bus.Delivery) error {
	switch {
	case r.UpTo == d.Sequence && r.handled(d) && len(r.Firing) > 0:
		// This event fired before the process died: the queue drops the copy.
		return l.put(ctx, sensing.Firing{Trigger: i, Events: windowOf(r.Firing)}, d)
	case !r.handled(d) && (len(t.firing.Events) > 0 || t.changed):
		return l.advance(ctx, i, t.next, t.firing, d)
	}
	return nil
}

// records loads those of all triggers that wait and work.
func (l *listener) records(ctx context.Context) (map[int]remembered, error) {
	out := map[int]remembered{}
	for i, a := range l.compiled.triggers {
		if a == nil || !l.compiled.program.Waits(i) {
			continue
		}
		r, err := l.windows.load(ctx, i)
		if err != nil {
			return nil, err
		}
		out[i] = r
	}
	return out, nil
}

// advance writes what an event changed for one trigger and puts its firing on the
// queue.
func (l *listener) advance(ctx context.Context, i int, next sensing.Window, f sensing.Firing, d bus.Delivery) error {
	r := record{Waiting: references(next), UpTo: d.Sequence, At: d.Stored, Firing: references(f.Events)}
	if err := l.windows.save(ctx, i, r); err != nil {
		return err
	}
	if len(f.Events) == 0 {
		return nil
	}
	return l.put(ctx, f, d)
}

func (l *listener) put(ctx context.Context, f sensing.Firing, d bus.Delivery) error {
	one, ok := l.firing(f, d)
	if !ok {
		return nil
	}
	return l.enqueue(ctx, one)
}
