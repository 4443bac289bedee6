// Package outbox tells the mesh what happened, without making anyone wait for the bus.
//
// Promise: while the bus is there, Tell returns after the event is stored. While it is away, events wait in memory, in
// order, and are sent when it is back; the work that caused them goes on. Ids are deterministic, so an event that is told
// twice is stored once.
// Non-goal: surviving a crash while the bus is away. What a crash loses here is still in the status of the objects.
package outbox

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/libs/core/wait"
	"github.com/argosy-mesh/argosy/schemas/events"
)

const (
	// patience is how long a caller waits for the bus.
	patience = time.Second
	// retry is the pause between attempts while the bus is away.
	retry = 200 * time.Millisecond
	// room bounds what waits in memory; the oldest goes first.
	room = 20_000
)

// Publisher is the part of the bus that is needed.
type Publisher interface {
	Publish(ctx context.Context, subject string, e bus.Event) error
	Ready() error
}

// Outbox sends facts. Safe for concurrent use.
type Outbox struct {
	bus Publisher
	log *slog.Logger

	mu      sync.Mutex
	waiting []letter
	wake    chan struct{}
}

type letter struct {
	subject string
	event   bus.Event
}

// New returns an empty outbox.
func New(b Publisher, log *slog.Logger) *Outbox {
	return &Outbox{bus: b, log: log, wake: make(chan struct{}, 1)}
}

// Tell sends one fact about an object, now or later. It fails only for a fact that can never be sent.
func (o *Outbox) Tell(ctx context.Context, id, fact string, data events.Fact, l lineage.Lineage) error {
	e, err := bus.NewEvent(bus.Key(id), events.ServiceRolloutAnalyzer, events.FactType(fact), data)
	if err != nil {
		return fmt.Errorf("tell %s: %w", fact, err)
	}
	if l.Correlation == "" {
		l.Correlation = e.ID()
	}
	e = bus.WithLineage(e, l)
	next := letter{events.FactSubject(events.ServiceRolloutAnalyzer, fact, data.Object.Namespace, data.Object.Name), e}
	if o.empty() && o.bus.Ready() == nil {
		ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("the bus did not answer within %s", patience))
		defer cancel()
		if err = o.bus.Publish(ctx, next.subject, next.event); err == nil {
			return nil
		}
	}
	o.log.DebugContext(ctx, "fact waits for the bus", "fact", fact, "error", err)
	o.put(next)
	return nil
}

// Waiting is how many facts wait.
func (o *Outbox) Waiting() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.waiting)
}

func (o *Outbox) empty() bool { return o.Waiting() == 0 }

func (o *Outbox) put(l letter) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waiting = append(o.waiting, l)
	if over := len(o.waiting) - room; over > 0 {
		o.waiting = o.waiting[over:]
	}
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// Run sends what waits until ctx ends, and then once more for as long as the bus answers.
func (o *Outbox) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			final, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
			defer cancel()
			if o.drain(final); !o.empty() {
				o.log.WarnContext(final, "facts were not sent before the stop", "count", o.Waiting())
			}
			return nil
		case <-o.wake:
		}
		for !o.drain(ctx) && wait.For(ctx, retry) == nil {
		}
	}
}

// drain sends what waits, in order, and reports whether all of it went.
func (o *Outbox) drain(ctx context.Context) bool {
	for ctx.Err() == nil {
		o.mu.Lock()
		if len(o.waiting) == 0 {
			o.mu.Unlock()
			return true
		}
		next := o.waiting[0]
		o.mu.Unlock()
		if err := o.bus.Publish(ctx, next.subject, next.event); err != nil {
			return false
		}
		o.mu.Lock()
		if len(o.waiting) > 0 && o.waiting[0].event.ID() == next.event.ID() {
			o.waiting = o.waiting[1:]
		}
		o.mu.Unlock()
	}
	return false
}
