// Package ingest is the shell around the core: HTTP in, durable events out.
package ingest

import (
	"context"
	"encoding/binary"
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

// publishRate is how many bytes a second the bus takes at least; a large body may
// take that much longer. Only GitHub sends such, and it waits 10 s.
const publishRate = 8 << 20

func patienceFor(e bus.Event) time.Duration {
	return publishPatience + time.Duration(len(e.Data()))*time.Second/publishRate
}

// forwardPatience is for events of the local log, which nobody waits for: a large
// one may take its time.
const forwardPatience = 10 * time.Second

// forwardPause is the rest between attempts to reach the bus again.
const forwardPause = 250 * time.Millisecond

// intake makes events durable: on the bus, or in the local log while the bus is
// away. It keeps the order of arrival of this replica.
type intake struct {
	bus  *bus.Bus
	log  *slog.Logger
	wal  *wal.Log
	seen *seen
	kick chan struct{}
}

func newIntake(b *bus.Bus, local *wal.Log, log *slog.Logger) *intake {
	return &intake{bus: b, log: log, wal: local, seen: newSeen(), kick: make(chan struct{}, 1)}
}

// accept returns when e is durable. An error means that it is not, and that the
// sender must try again.
func (i *intake) accept(ctx context.Context, subject string, e bus.Event) error {
	if i.seen.ready.Load() && i.wal.Len() == 0 {
		err := i.publish(ctx, subject, e, patienceFor(e))
		if err == nil || errors.Is(err, bus.ErrFull) || fault.Of(err) == fault.Poison {
			return err
		}
		i.log.WarnContext(ctx, "bus is away, event goes to the local log", "event_id", e.ID(), "error", err)
	}
	raw, err := pack(subject, e)
	if err != nil {
		return err
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

// publish stores e on the bus unless its delivery was stored before.
func (i *intake) publish(ctx context.Context, subject string, e bus.Event, patience time.Duration) error {
	id := bus.MessageID(subject, e)
	if i.seen.has(id) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := i.bus.Publish(ctx, subject, e); err != nil {
		return err
	}
	i.seen.add(id, e.Time())
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
		if !i.seen.ready.Load() || i.forwardOne(ctx, raw) != nil {
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
	subject, e, err := unpack(raw)
	if err != nil {
		i.log.ErrorContext(ctx, "local log holds a record that cannot be read; it is dropped", "error", err)
		return nil
	}
	err = i.publish(ctx, subject, e, forwardPatience)
	if fault.Of(err) == fault.Poison {
		i.log.ErrorContext(ctx, "local log holds an event that the bus refuses; it is dropped", "event_id", e.ID(), "error", err)
		return nil
	}
	return err
}

// record is one event in the local log: its attributes, with its data behind them.
// The data is kept byte for byte, since a signature may be checked on it again;
// in JSON it would be compacted.
type record struct {
	Subject string    `json:"subject"`
	Event   bus.Event `json:"event"`
}

func pack(subject string, e bus.Event) ([]byte, error) {
	data := e.Data()
	bare := e.Clone()
	bare.DataEncoded, bare.DataBase64 = nil, false
	head, err := json.Marshal(record{Subject: subject, Event: bare})
	if err != nil {
		return nil, fault.Poisonf("encode event %s: %w", e.ID(), err)
	}
	out := make([]byte, 4, 4+len(head)+len(data))
	binary.BigEndian.PutUint32(out, uint32(len(head)))
	return append(append(out, head...), data...), nil
}

func unpack(raw []byte) (string, bus.Event, error) {
	var r record
	if len(raw) > 0 && raw[0] == '{' { // as version 0.1 wrote it
		err := json.Unmarshal(raw, &r)
		return r.Subject, r.Event, err
	}
	if len(raw) < 4 || len(raw)-4 < int(binary.BigEndian.Uint32(raw)) {
		return "", r.Event, errors.New("it is cut short")
	}
	head := raw[4 : 4+binary.BigEndian.Uint32(raw)]
	if err := json.Unmarshal(head, &r); err != nil {
		return "", r.Event, err
	}
	r.Event.DataEncoded = raw[4+len(head):]
	return r.Subject, r.Event, nil
}
