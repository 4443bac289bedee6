package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Recall tells see the message id of every event that a stream holds since a time,
// in order, and then of each new one, until ctx ends or the stream cannot be read.
// It calls ready once, when all that was there has been seen. Bodies are not
// transferred.
func (b *Bus) Recall(ctx context.Context, stream string, since time.Time, see func(id string, stored time.Time), ready func()) error {
	cons, err := b.js.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{
		HeadersOnly: true, DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &since,
	})
	if err != nil {
		return fmt.Errorf("recall %s: %w", stream, err)
	}
	it, err := cons.Messages(jetstream.PullMaxMessages(4096))
	if err != nil {
		return fmt.Errorf("recall %s: %w", stream, err)
	}
	defer it.Stop()
	if info := cons.CachedInfo(); info != nil && info.NumPending == 0 {
		ready()
		ready = func() {}
	}
	for {
		m, err := it.Next(jetstream.NextContext(ctx))
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("recall %s: %w", stream, err)
		}
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("recall %s: %w", stream, err)
		}
		see(m.Headers().Get(nats.MsgIdHdr), meta.Timestamp)
		if meta.NumPending == 0 {
			ready()
			ready = func() {}
		}
	}
}
