package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Range says which part of a stream to look at. The zero value is all of it.
type Range struct {
	Subjects []string  // which may hold wildcards; none means all
	From     time.Time // stored at or after
	To       time.Time // stored before
	After    uint64    // with a sequence above this one; From counts only without it
	Limit    int       // at most so many
}

// errEnough ends a scan early.
var errEnough = errors.New("enough")

// Scan calls see for every event that a stream holds now within a range, in order.
// Nothing is acknowledged and nothing is remembered. Events that cannot be read are
// passed to skip, which may be nil.
func (b *Bus) Scan(
	ctx context.Context, stream string, r Range, see func(Delivery) error, skip func(sequence uint64, err error),
) error {
	return b.scan(ctx, stream, r, func(m jetstream.Msg, meta *jetstream.MsgMetadata) error {
		e, err := decode(m.Headers(), m.Data())
		if err == nil {
			e, err = b.checkOut(ctx, e)
		}
		if err != nil {
			if skip != nil {
				skip(meta.Sequence.Stream, err)
			}
			return nil
		}
		return see(
			Delivery{
				Event: e, Subject: m.Subject(), Sequence: meta.Sequence.Stream, Attempt: 1, Stored: meta.Timestamp,
			},
		)
	})
}

// scanBatch is how many messages are asked for at once.
const scanBatch = 500

func (b *Bus) scan(
	ctx context.Context, stream string, r Range, see func(jetstream.Msg, *jetstream.MsgMetadata) error,
) error {
	cfg := jetstream.ConsumerConfig{
		FilterSubjects: r.Subjects, AckPolicy: jetstream.AckNonePolicy, InactiveThreshold: time.Minute,
		MemoryStorage: true, Replicas: 1,
	}
	switch {
	case r.After > 0:
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, r.After+1
	case !r.From.IsZero():
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &r.From
	}
	cons, err := b.js.CreateConsumer(ctx, stream, cfg)
	if err != nil {
		return fmt.Errorf("scan %s: %w", stream, err)
	}
	info := cons.CachedInfo()
	defer func() { _ = b.js.DeleteConsumer(context.WithoutCancel(ctx), stream, info.Name) }()
	seen := 0
	for left := info.NumPending; left > 0; {
		batch, err := cons.Fetch(int(min(left, scanBatch)), jetstream.FetchMaxWait(5*time.Second))
		if err != nil {
			return fmt.Errorf("scan %s: %w", stream, err)
		}
		got := uint64(0)
		for m := range batch.Messages() {
			got++
			switch err := r.visit(m, &seen, see); {
			case errors.Is(err, errEnough):
				return nil
			case err != nil:
				return err
			}
		}
		if err := errors.Join(batch.Error(), ctx.Err()); err != nil {
			return fmt.Errorf("scan %s: %w", stream, err)
		}
		if got == 0 {
			return nil // what was pending has aged out
		}
		left -= min(got, left)
	}
	return nil
}

func (r Range) visit(m jetstream.Msg, seen *int, see func(jetstream.Msg, *jetstream.MsgMetadata) error) error {
	meta, err := m.Metadata()
	if err != nil {
		return err
	}
	if !r.To.IsZero() && !meta.Timestamp.Before(r.To) || r.Limit > 0 && *seen >= r.Limit {
		return errEnough
	}
	*seen++
	return see(m, meta)
}

// Purge removes what a stream holds of a subject, which may hold wildcards.
func (b *Bus) Purge(ctx context.Context, stream, subject string) error {
	s, err := b.js.Stream(ctx, stream)
	if err != nil {
		return fmt.Errorf("open stream %s: %w", stream, err)
	}
	if err := s.Purge(ctx, jetstream.WithPurgeSubject(subject)); err != nil {
		return fmt.Errorf("purge %s of %s: %w", subject, stream, err)
	}
	return nil
}

// AwaitReady waits for the server for at most patience.
func (b *Bus) AwaitReady(ctx context.Context, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := b.Ready()
		if err == nil {
			return nil
		}
		if !pause(ctx, reconnectWait/10) {
			return err
		}
	}
}
