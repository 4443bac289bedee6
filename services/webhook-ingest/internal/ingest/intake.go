// Package ingest is the shell around the core: HTTP in, durable events out.
package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/wal"
)

// publishPatience is how long a sender may wait for the bus before its event goes
// to the local log. Slack gives up after 3 s, registries after 0.5 s.
const publishPatience = 400 * time.Millisecond

// forwardPause is the rest between attempts to reach the bus again.
const forwardPause = 250 * time.Millisecond

// intake makes events durable: on the bus, or in the local log while the bus is
// away. It keeps the order of arrival of this replica.
type intake struct {
	bus  *bus.Bus
	log  *slog.Logger
	wal  *wal.Log
	kick chan struct{}
}

// record is one event in the local log.
type record struct {
	Subject string    `json:"subject"`
	Event   bus.Event `json:"event"`
}

func newIntake(b *bus.Bus, local *wal.Log, log *slog.Logger) *intake {
	return &intake{bus: b, log: log, wal: local, kick: make(chan struct{}, 1)}
}

// accept returns when e is durable. An error means that it is not, and that the
// sender must try again.
func (i *intake) accept(ctx context.Context, subject string, e bus.Event) error {
	if i.wal.Len() == 0 {
		err := i.publish(ctx, subject, e)
		if err == nil || errors.Is(err, bus.ErrFull) || fault.Of(err) == fault.Poison {
			return err
		}
		i.log.WarnContext(ctx, "bus is away, event goes to the local log", "event_id", e.ID(), "error", err)
	}
	raw, err := json.Marshal(record{Subject: subject, Event: e})
	if err != nil {
		return fault.Poisonf("encode event %s: %w", e.ID(), err)
	}
	if err := i.wal.Append(raw); err != nil {
		return fmt.Errorf("keep event %s: %w", e.ID(), err)
	}
	select {
	case i.kick <- struct{}{}:
	default:
	}
	return nil
}

// publish stores e on the bus unless its delivery was stored before: senders
// redeliver for days, longer than the stream's own window.
func (i *intake) publish(ctx context.Context, subject string, e bus.Event) error {
	ctx, cancel := context.WithTimeout(ctx, publishPatience)
	defer cancel()
	seen, key := i.bus.KV(bus.SeenBucket), bus.MessageID(subject, e)
	_, _, err := seen.Get(ctx, key)
	if err == nil {
		return nil
	}
	if !errors.Is(err, bus.ErrNotFound) {
		return err
	}
	if err := i.bus.Publish(ctx, subject, e); err != nil {
		return err
	}
	// A crash here leaves the stream's own window, which is long enough for the
	// sender's immediate retry.
	if err := seen.Put(ctx, key, nil); err != nil {
		i.log.InfoContext(ctx, "delivery was not remembered", "event_id", e.ID(), "error", err)
	}
	return nil
}

// forward moves the local log to the bus, in order, until ctx ends. What is left
// then stays on disk for the next start.
func (i *intake) forward(ctx context.Context) error {
	for ctx.Err() == nil {
		raw, err := i.wal.First()
		if errors.Is(err, io.EOF) {
			select {
			case <-i.kick:
			case <-ctx.Done():
			}
			continue
		}
		if err != nil {
			return err
		}
		if err := i.forwardOne(ctx, raw); err != nil {
			select {
			case <-time.After(forwardPause):
			case <-ctx.Done():
			}
			continue
		}
		if err := i.wal.Done(); err != nil {
			return err
		}
	}
	return nil
}

func (i *intake) forwardOne(ctx context.Context, raw []byte) error {
	var r record
	if err := json.Unmarshal(raw, &r); err != nil {
		i.log.ErrorContext(ctx, "local log holds a record that cannot be read; it is dropped", "error", err)
		return nil
	}
	err := i.publish(ctx, r.Subject, r.Event)
	if fault.Of(err) == fault.Poison {
		i.log.ErrorContext(ctx, "local log holds an event that the bus refuses; it is dropped", "event_id", r.Event.ID(), "error", err)
		return nil
	}
	return err
}
