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
	"sync/atomic"
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
	set  *aside

	reminded  time.Time    // of forward alone
	headSince atomic.Int64 // nanoseconds since 1970 when the oldest record began to wait; 0 while none waits
}

func newIntake(b *bus.Bus, local *wal.Log, log *slog.Logger) *intake {
	return &intake{
		bus: b, log: log, wal: local, seen: newSeen(), kick: make(chan struct{}, 1), set: newAside(local, log),
	}
}

// headAge is how long the oldest record of the local log has been waiting.
func (i *intake) headAge() time.Duration {
	since := i.headSince.Load()
	if since == 0 {
		return 0
	}
	return time.Since(time.Unix(0, since))
}

// accept returns when e is durable. An error means that it is not, and that the
// sender must try again.
func (i *intake) accept(ctx context.Context, subject string, e bus.Event) error {
	if err := storable(subject, e); err != nil {
		return err // it would never leave the local log
	}
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
	m, err := bus.Prepare(subject, e)
	if err != nil {
		return err
	}
	defer m.Release()
	if i.seen.has(m.ID()) {
		return nil
	}
	where, err := i.bus.Store(ctx, m, patience)
	if err != nil {
		return err
	}
	i.seen.stored(m.ID(), e.Time(), where)
	return nil
}

// forward moves the local log to the bus, in order, until ctx ends. What is left
// then stays on disk for the next start.
func (i *intake) forward(ctx context.Context) error {
	refused := 0 // how often the oldest was, while the bus was there
	for ctx.Err() == nil {
		raw, err := i.wal.First()
		if errors.Is(err, io.EOF) {
			i.headSince.Store(0)
			select {
			case <-i.kick:
			case <-ctx.Done():
			}
			continue
		}
		if err != nil {
			return err
		}
		i.headSince.CompareAndSwap(0, time.Now().UnixNano())
		if err := i.attempt(ctx, raw, &refused); err != nil {
			i.remind(ctx, err)
			select {
			case <-time.After(forwardPause):
			case <-ctx.Done():
			}
			continue
		}
		refused = 0
		i.headSince.Store(0)
		if err := i.wal.Done(); err != nil {
			return err
		}
	}
	return nil
}

// remindEvery is how often the log says that the oldest record still waits.
const remindEvery = time.Minute

func (i *intake) remind(ctx context.Context, err error) {
	if time.Since(i.reminded) < remindEvery || i.headAge() < remindEvery {
		return
	}
	i.reminded = time.Now()
	i.log.WarnContext(
		ctx, "the local log waits for the bus", "records", i.wal.Len(), "age", i.headAge().Round(time.Second), "error",
		err,
	)
}

// What it takes for the oldest record to be blamed and not the bus: so many refusals
// of it, after which one of those behind it is taken.
const (
	refusalsMost = 20
	lookBehind   = 8
)

// attempt moves the oldest record on. An error means that it must wait.
func (i *intake) attempt(ctx context.Context, raw []byte, refused *int) error {
	if !i.seen.ready.Load() {
		return errors.New("what the bus holds is not known yet")
	}
	err := i.forwardOne(ctx, raw)
	if err == nil || ctx.Err() != nil {
		return err
	}
	if i.bus.Ready() != nil || errors.Is(err, bus.ErrFull) {
		*refused = 0
		return err
	}
	if *refused++; *refused < refusalsMost {
		return err
	}
	if !i.othersPass(ctx) {
		*refused = 0
		return err
	}
	i.set.put(ctx, raw, fmt.Errorf("the bus refused it %d times and takes others: %w", *refused, err))
	return nil
}

// othersPass tries the records behind the oldest: when one of them passes, the fault
// is in the oldest. It is known as stored when its turn comes.
func (i *intake) othersPass(ctx context.Context) bool {
	for n := 1; n <= lookBehind; n++ {
		raw, err := i.wal.At(n)
		if err != nil {
			return false
		}
		if i.forwardOne(ctx, raw) == nil {
			return true
		}
	}
	return false
}

// forwardOne publishes one record, or sets it aside when it can never be published.
func (i *intake) forwardOne(ctx context.Context, raw []byte) error {
	subject, e, err := unpack(raw)
	if err == nil {
		if err = storable(subject, e); err == nil {
			err = i.publish(ctx, subject, e, forwardPatience)
		}
	} else {
		err = fault.AsPoison(err)
	}
	if fault.Of(err) == fault.Poison {
		i.set.put(ctx, raw, err)
		return nil
	}
	return err
}

// keepAside is for an event that nobody can be refused for, since it was read.
func (i *intake) keepAside(ctx context.Context, subject string, e bus.Event, why error) {
	raw, err := pack(subject, e)
	if err != nil {
		i.log.ErrorContext(
			ctx, "event cannot be stored and cannot be kept; it is dropped", "subject", subject, "event_id", e.ID(),
			"error", errors.Join(why, err),
		)
		return
	}
	i.set.put(ctx, raw, why)
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
