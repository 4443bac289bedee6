package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Append stores e as the next entry of the journal on subject, provided that the
// journal's last entry is still at sequence after (zero: the journal is empty).
// It returns the entry's sequence. Losing the race is an error of class stale:
// read again and decide again.
func (b *Bus) Append(ctx context.Context, subject string, after uint64, e Event) (uint64, error) {
	m, err := Prepare(subject, e)
	if err != nil {
		return 0, err
	}
	defer m.Release()
	stored, err := b.store(ctx, m, 0, strconv.FormatUint(after, 10))
	return stored.Sequence, err
}

// Read returns the entries of subject (which may hold wildcards) in order.
func (b *Bus) Read(ctx context.Context, stream, subject string) ([]Delivery, error) {
	s, err := b.js.Stream(ctx, stream)
	if err != nil {
		return nil, fmt.Errorf("open stream %s: %w", stream, err)
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(subject))
	if err != nil {
		return nil, fmt.Errorf("inspect %s: %w", subject, err)
	}
	var total uint64
	for _, n := range info.State.Subjects {
		total += n
	}
	if total == 0 {
		return nil, nil
	}
	if total <= fewEntries && !strings.ContainsAny(subject, "*>") {
		if entries, err := b.readFew(ctx, s, subject, total); err != nil || entries != nil {
			return entries, err
		}
	}
	return b.readN(ctx, stream, subject, total)
}

// fewEntries is up to how many entries are fetched one by one: making a consumer costs the server as much.
const fewEntries = 12

// readFew reads a short journal without a consumer; nothing when a copy that lags behind answers.
func (b *Bus) readFew(ctx context.Context, s jetstream.Stream, subject string, total uint64) ([]Delivery, error) {
	entries := make([]Delivery, 0, total)
	for next := uint64(1); uint64(len(entries)) < total; {
		raw, err := s.GetMsg(ctx, next, jetstream.WithGetMsgSubject(subject))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", subject, err)
		}
		e, err := decode(raw.Header, raw.Data)
		if err == nil {
			e, err = b.checkOut(ctx, e)
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", subject, err)
		}
		entries = append(
			entries, Delivery{Event: e, Subject: raw.Subject, Sequence: raw.Sequence, Attempt: 1, Stored: raw.Time},
		)
		next = raw.Sequence + 1
	}
	return entries, nil
}

// At returns the entry at one sequence of a stream, or ErrNotFound once it has
// aged out.
func (b *Bus) At(ctx context.Context, stream string, sequence uint64) (Delivery, error) {
	s, err := b.js.Stream(ctx, stream)
	if err != nil {
		return Delivery{}, fmt.Errorf("open stream %s: %w", stream, err)
	}
	raw, err := s.GetMsg(ctx, sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return Delivery{}, fmt.Errorf("%s at %d: %w", stream, sequence, ErrNotFound)
	}
	if err != nil {
		return Delivery{}, fmt.Errorf("read %s at %d: %w", stream, sequence, err)
	}
	e, err := decode(raw.Header, raw.Data)
	if err != nil {
		return Delivery{}, err
	}
	if e, err = b.checkOut(ctx, e); err != nil {
		return Delivery{}, err
	}
	return Delivery{Event: e, Subject: raw.Subject, Sequence: raw.Sequence, Attempt: 1, Stored: raw.Time}, nil
}

// readerLife is how long the server keeps the place of a reader that has read its fill: reading a journal must not
// leave a consumer behind for minutes, since the server allows only so many.
const readerLife = 5 * time.Second

func (b *Bus) readN(ctx context.Context, stream, subject string, total uint64) ([]Delivery, error) {
	cons, err := b.js.OrderedConsumer(
		ctx, stream, jetstream.OrderedConsumerConfig{FilterSubjects: []string{subject}, InactiveThreshold: readerLife},
	)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", subject, err)
	}
	it, err := cons.Messages()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", subject, err)
	}
	defer it.Stop()
	entries := make([]Delivery, 0, total)
	for {
		m, err := it.Next(jetstream.NextContext(ctx))
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			return nil, fmt.Errorf("read %s: %w", subject, err)
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", subject, err)
		}
		d, pending, err := b.entry(ctx, m)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", subject, err)
		}
		entries = append(entries, d)
		if pending == 0 {
			return entries, nil
		}
	}
}

func (b *Bus) entry(ctx context.Context, m jetstream.Msg) (Delivery, uint64, error) {
	meta, err := m.Metadata()
	if err != nil {
		return Delivery{}, 0, err
	}
	e, err := decode(m.Headers(), m.Data())
	if err != nil {
		return Delivery{}, 0, err
	}
	if e, err = b.checkOut(ctx, e); err != nil {
		return Delivery{}, 0, err
	}
	return Delivery{
		Event: e, Subject: m.Subject(), Sequence: meta.Sequence.Stream, Attempt: 1, Stored: meta.Timestamp,
	}, meta.NumPending, nil
}

// Follow calls see for every event of subject from now on (or from the start of
// the stream), in order, until ctx ends or see returns an error. It is for
// watching: nothing is acknowledged and nothing is remembered.
func (b *Bus) Follow(ctx context.Context, stream, subject string, fromStart bool, see func(Delivery) error) error {
	cfg := jetstream.OrderedConsumerConfig{FilterSubjects: []string{subject}, DeliverPolicy: jetstream.DeliverNewPolicy}
	if fromStart {
		cfg.DeliverPolicy = jetstream.DeliverAllPolicy
	}
	cons, err := b.js.OrderedConsumer(ctx, stream, cfg)
	if err != nil {
		return fmt.Errorf("follow %s: %w", subject, err)
	}
	it, err := cons.Messages()
	if err != nil {
		return fmt.Errorf("follow %s: %w", subject, err)
	}
	defer it.Stop()
	for {
		m, err := it.Next(jetstream.NextContext(ctx))
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("follow %s: %w", subject, err)
		}
		d, _, err := b.entry(ctx, m)
		if err != nil {
			return err
		}
		if err := see(d); err != nil {
			return err
		}
	}
}
