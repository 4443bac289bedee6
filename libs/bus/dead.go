package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Headers of a dead letter beside those it had when it was alive.
const (
	deadReason   = "Argosy-Dead-Reason"
	deadConsumer = "Argosy-Dead-Consumer"
	deadAttempts = "Argosy-Dead-Attempts"
)

// DeadLetter is a message that could not be handled.
type DeadLetter struct {
	Sequence uint64    // its place on DEAD, by which it is shown and driven again
	Stream   string    // where it came from
	Subject  string    // and its subject there
	Consumer string    // who gave it up
	Reason   string    // why, at the last attempt
	Attempts int       // how often it was tried
	Buried   time.Time // when it was given up
	// Event is what it holds; its id is empty when it cannot be read.
	Event Event
}

// DeadLetters lists what is on DEAD, oldest first: those of one stream and
// original subject (which may hold wildcards), at most limit of them; a limit of 0
// means all.
func (b *Bus) DeadLetters(ctx context.Context, stream, subject string, limit int) ([]DeadLetter, error) {
	filter := "dead." + stream + "." + subject
	var out []DeadLetter
	err := b.scan(ctx, Dead, Range{Subjects: []string{filter}, Limit: limit}, func(m jetstream.Msg, meta *jetstream.MsgMetadata) error {
		out = append(out, letter(meta.Sequence.Stream, m.Subject(), m.Headers(), m.Data(), meta.Timestamp))
		return nil
	})
	return out, err
}

// DeadLetter returns one by its sequence, or [ErrNotFound].
func (b *Bus) DeadLetter(ctx context.Context, sequence uint64) (DeadLetter, error) {
	raw, err := b.deadMessage(ctx, sequence)
	if err != nil {
		return DeadLetter{}, err
	}
	l := letter(sequence, raw.Subject, raw.Header, raw.Data, raw.Time)
	if e, err := b.checkOut(ctx, l.Event); err == nil {
		l.Event = e
	}
	return l, nil
}

// Redrive puts a dead letter back where it came from and takes it off DEAD. Its
// consumers see it as new; effects that happened are not repeated, since their keys
// come from the event. A crash in between leaves both: driving again is a no-op
// within the dedupe window.
func (b *Bus) Redrive(ctx context.Context, sequence uint64) error {
	raw, err := b.deadMessage(ctx, sequence)
	if err != nil {
		return err
	}
	l := letter(sequence, raw.Subject, raw.Header, raw.Data, raw.Time)
	m := nats.NewMsg(l.Subject)
	m.Data = raw.Data
	for name, values := range raw.Header {
		if !strings.HasPrefix(name, "Argosy-Dead-") && !strings.HasPrefix(name, "Nats-") {
			m.Header[name] = values
		}
	}
	id := Key("redrive", strconv.FormatUint(sequence, 10), raw.Time.String())
	if _, err := b.js.PublishMsg(ctx, m, jetstream.WithMsgID(id), jetstream.WithExpectStream(l.Stream)); err != nil {
		return fmt.Errorf("drive dead letter %d again: %w", sequence, classed(err))
	}
	s, err := b.js.Stream(ctx, Dead)
	if err != nil {
		return fmt.Errorf("open stream %s: %w", Dead, err)
	}
	if err := s.DeleteMsg(ctx, sequence); err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
		return fmt.Errorf("take dead letter %d off: %w", sequence, err)
	}
	return nil
}

func (b *Bus) deadMessage(ctx context.Context, sequence uint64) (*jetstream.RawStreamMsg, error) {
	s, err := b.js.Stream(ctx, Dead)
	if err != nil {
		return nil, fmt.Errorf("open stream %s: %w", Dead, err)
	}
	raw, err := s.GetMsg(ctx, sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, fmt.Errorf("dead letter %d: %w", sequence, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("read dead letter %d: %w", sequence, err)
	}
	return raw, nil
}

func letter(sequence uint64, subject string, h nats.Header, body []byte, at time.Time) DeadLetter {
	rest := strings.TrimPrefix(subject, "dead.")
	stream, original, _ := strings.Cut(rest, ".")
	l := DeadLetter{Sequence: sequence, Stream: stream, Subject: original, Consumer: first(h, deadConsumer), Reason: percentDecode(first(h, deadReason)), Buried: at}
	l.Attempts, _ = strconv.Atoi(first(h, deadAttempts))
	if e, err := decode(h, body); err == nil {
		l.Event = e
	}
	return l
}
