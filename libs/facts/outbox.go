package facts

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/wait"
)

const (
	// patience is how long a caller waits for the bus.
	patience = time.Second
	// retry is the pause between attempts while the bus is away.
	retry = 200 * time.Millisecond
	// room bounds what waits in memory; the oldest goes first.
	room = 20_000
)

// Bus is the part of the bus that an Outbox needs.
type Bus interface {
	Publisher
	Ready() error
}

// Outbox tells the facts of a service without making anyone wait for the bus: while the bus is away they wait in
// memory, in order, and are sent when it is back. Safe for concurrent use.
type Outbox struct {
	bus     Bus
	service string
	log     *slog.Logger

	mu      sync.Mutex
	waiting []bus.Outgoing
	wake    chan struct{}
}

// NewOutbox returns an empty outbox of a service.
func NewOutbox(b Bus, service string, log *slog.Logger) *Outbox {
	return &Outbox{bus: b, service: service, log: log, wake: make(chan struct{}, 1)}
}

// Tell sends a fact, now or later. It fails only for a fact that can never be sent.
func (o *Outbox) Tell(ctx context.Context, f Fact) error {
	next, err := f.Event(o.service, time.Now())
	if err != nil {
		return err
	}
	if o.empty() && o.bus.Ready() == nil {
		ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("the bus did not answer within %s", patience))
		defer cancel()
		if err = o.bus.Publish(ctx, next.Subject, next.Event); err == nil {
			return nil
		}
	}
	o.log.DebugContext(ctx, "fact waits for the bus", "fact", f.Body.Fact(), "error", err)
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

func (o *Outbox) put(l bus.Outgoing) {
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
		if err := o.bus.Publish(ctx, next.Subject, next.Event); err != nil {
			return false
		}
		o.mu.Lock()
		if len(o.waiting) > 0 && o.waiting[0].Event.ID() == next.Event.ID() {
			o.waiting = o.waiting[1:]
		}
		o.mu.Unlock()
	}
	return false
}
