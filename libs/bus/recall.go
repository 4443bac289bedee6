package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// recallPause is the rest of a recall that has seen everything. What comes meanwhile is transferred at once: one by
	// one, each event would wake the server and this process.
	recallPause = 250 * time.Millisecond
	// recallBatch bounds what is asked for at once.
	recallBatch = 2048
	// recallKept is how long the server keeps the place of a recall that asks no more.
	recallKept = time.Minute
)

// Recall tells see the message id of every event that a stream holds since a time,
// in order, and then of new ones, soon after they are stored, until ctx ends or the
// stream cannot be read. It calls ready once, when all that was there has been seen.
// Bodies are not transferred.
func (b *Bus) Recall(ctx context.Context, stream string, since time.Time, see func(id string, stored time.Time), ready func()) error {
	cons, err := b.js.CreateConsumer(ctx, stream, jetstream.ConsumerConfig{
		HeadersOnly: true, DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &since,
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: recallKept,
	})
	if err != nil {
		return fmt.Errorf("recall %s: %w", stream, err)
	}
	r := recall{consumer: cons, see: see, caughtUp: cons.CachedInfo().NumPending == 0}
	for ctx.Err() == nil {
		if r.caughtUp && ready != nil {
			ready()
			ready = nil
		}
		if r.caughtUp && !pause(ctx, recallPause) {
			return nil
		}
		if err := r.batch(ctx); err != nil && ctx.Err() == nil {
			return fmt.Errorf("recall %s: %w", stream, err)
		}
	}
	return nil
}

type recall struct {
	consumer jetstream.Consumer
	see      func(id string, stored time.Time)
	seen     uint64 // messages
	caughtUp bool   // by what the server said with the last message
}

// batch sees what is there, up to a bound.
func (r *recall) batch(ctx context.Context) error {
	batch, err := r.consumer.FetchNoWait(recallBatch)
	if err != nil {
		return err
	}
	before := r.seen
	for m := range batch.Messages() {
		meta, err := m.Metadata()
		if err != nil {
			return err
		}
		if meta.Sequence.Consumer != r.seen+1 {
			return fmt.Errorf("message %d came after %d", meta.Sequence.Consumer, r.seen)
		}
		r.seen, r.caughtUp = r.seen+1, meta.NumPending == 0
		r.see(m.Headers().Get(nats.MsgIdHdr), meta.Timestamp)
	}
	if err := batch.Error(); err != nil || r.caughtUp || r.seen > before {
		return err
	}
	// Nothing came, though there should be more: it was removed meanwhile, or the server is away.
	info, err := r.consumer.Info(ctx)
	if err == nil {
		r.caughtUp = info.NumPending == 0
	}
	return err
}
