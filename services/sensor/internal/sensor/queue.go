package sensor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/libs/sensing"
	"github.com/argosy-mesh/argosy/schemas/events"
)

// Firings on the queue.
const (
	queueConcurrency = 16
	queueAttempts    = 10
	queueIdle        = 2 * time.Second // after which a queue without firings has no consumer any more
)

// enqueue puts a firing on the work queue. Its message id is made of the key.
func (l *listener) enqueue(ctx context.Context, f firing) error {
	command := events.FireTrigger{
		Key: f.key, Namespace: l.compiled.sensor.Namespace, Sensor: l.compiled.sensor.Name, Trigger: f.trigger.name,
	}
	for _, name := range f.events.Events.Names() {
		e := f.events.Events[name]
		command.Events = append(command.Events, events.FiringEvent{Dependency: name, ID: e.ID, Sequence: e.Sequence})
	}
	e, err := bus.NewEvent(f.key, events.ServiceSensor, events.TypeFireTrigger, command)
	if err != nil {
		return fault.AsPoison(err)
	}
	e.SetTime(time.Now())
	l.metrics.queued.WithLabelValues(l.compiled.sensor.Namespace, l.compiled.sensor.Name, f.trigger.name).Inc()
	if err := l.bus.Publish(ctx, l.queueSubject(), bus.WithLineage(e, f.cause)); err != nil {
		return err
	}
	l.firings()
	return nil
}

func (l *listener) queueSubject() string {
	return events.FireSubject(l.compiled.sensor.Namespace, string(l.compiled.sensor.UID))
}

func queueName(uid string) string { return "sensor-fire-" + uid }

// queue describes the Sensor's own firings on the work queue.
func (l *listener) queue() bus.Consumer {
	return bus.Consumer{
		Stream:      bus.Commands,
		Name:        queueName(string(l.compiled.sensor.UID)),
		Filters:     []string{l.queueSubject()},
		Concurrency: queueConcurrency,
		MaxDeliver:  queueAttempts,
		Serial:      l.compiled.inline(),
		AckWait:     l.ackWait,
		Grace:       stopGrace,
		Declared:    l.hear(placeQueue),
	}
}

// fireQueued performs one firing of the queue.
func (l *listener) fireQueued(ctx context.Context, d bus.Delivery) ([]bus.Outgoing, error) {
	var command events.FireTrigger
	if err := d.DataAs(&command); err != nil {
		return nil, fault.Poisonf("fire command %s: %w", d.ID(), err)
	}
	a := l.compiled.find(command.Trigger)
	if a == nil {
		return nil, fault.Poisonf(
			"sensor %s/%s has no trigger %q that works", command.Namespace, command.Sensor, command.Trigger,
		)
	}
	window, cause, err := l.contributors(ctx, command)
	if err != nil {
		return nil, fmt.Errorf("fire command %s: %w", d.ID(), err)
	}
	from := bus.LineageOf(d.Event)
	if from.Empty() {
		from = cause
	}
	err = l.performer.withRetries(
		ctx,
		firing{compiled: l.compiled, trigger: a, events: sensing.Firing{Events: window}, key: command.Key, cause: from},
	)
	if err != nil && ctx.Err() == nil && (fault.Of(err) == fault.Poison || d.Attempt >= queueAttempts) {
		l.tell(a.name, err)
	}
	return nil, err
}

// contributors reads the events of a firing back from the stream, transformed as
// their dependencies say.
func (l *listener) contributors(
	ctx context.Context, command events.FireTrigger,
) (sensing.Window, lineage.Lineage, error) {
	window := sensing.Window{}
	var latest bus.Delivery
	for _, ref := range command.Events {
		d, err := l.bus.At(ctx, bus.Events, ref.Sequence)
		if errors.Is(err, bus.ErrNotFound) {
			return nil, lineage.Lineage{}, fault.Poisonf(
				"event %s of dependency %s is no longer on the stream", ref.ID, ref.Dependency,
			)
		}
		if err != nil {
			return nil, lineage.Lineage{}, err
		}
		if d.ID() != ref.ID {
			return nil, lineage.Lineage{}, fault.Poisonf(
				"event %s of dependency %s is not at %d", ref.ID, ref.Dependency, ref.Sequence,
			)
		}
		e, err := l.compiled.program.Transformed(ref.Dependency, view(d), alarm())
		if err != nil {
			return nil, lineage.Lineage{}, fault.AsPoison(err)
		}
		window[ref.Dependency] = e
		if d.Sequence > latest.Sequence {
			latest = d
		}
	}
	return window, bus.After(latest.Event), nil
}
