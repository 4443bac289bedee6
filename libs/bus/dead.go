package bus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Headers of a dead letter beside those it had when it was alive.
const (
	deadPrefix   = "Argosy-Dead-"
	deadReason   = deadPrefix + "Reason"
	deadConsumer = deadPrefix + "Consumer"
	deadAttempts = deadPrefix + "Attempts"
	deadSubject  = deadPrefix + "Subject" // where it came from, when that is too long to be part of its own
	deadDropped  = deadPrefix + "Dropped" // names of headers that found no room
)

// copied are the headers of a stored message that a copy may have. Those of the server are about how that message was
// to be stored, and would do the same to the copy: an expectation refuses it, a rollup removes others.
func copied(h nats.Header) nats.Header {
	out := make(nats.Header, len(h))
	for name, values := range h {
		if !isPrefixed(name, "Nats-") {
			out[name] = slices.Clone(values)
		}
	}
	return out
}

// isPrefixed ignores case, since the server does.
func isPrefixed(name, prefix string) bool {
	return len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix)
}

// bury copies a message to the dead letters as it came, with what went wrong. What makes it too large for a copy is
// taken off: the body goes to the payloads, of the headers the largest are dropped, by name.
func (w *worker) bury(ctx context.Context, m jetstream.Msg, d Delivery, cause error) error {
	dead := nats.NewMsg("dead." + w.consumer.Stream + "." + d.Subject)
	dead.Data, dead.Header = m.Data(), copied(m.Headers())
	dead.Header.Set(deadReason, percentEncode(short(cause.Error())))
	dead.Header.Set(deadConsumer, w.consumer.Name)
	dead.Header.Set(deadAttempts, fmt.Sprint(d.Attempt))
	id := Key(w.consumer.Stream, w.consumer.Name, fmt.Sprint(d.Sequence))
	if len(d.Subject) > MaxSubject {
		dead.Header.Set(deadSubject, percentEncode(d.Subject))
		dead.Subject = "dead." + w.consumer.Stream + "." + id
	}
	if err := w.bus.shrink(ctx, dead, id); err != nil {
		return fmt.Errorf("bury event %s: %w", d.ID(), err)
	}
	if _, err := w.bus.js.PublishMsg(ctx, dead, jetstream.WithMsgID(id)); err != nil {
		return fmt.Errorf("bury event %s: %w", d.ID(), err)
	}
	return nil
}

// shrink makes a copy fit that its burial made too large.
func (b *Bus) shrink(ctx context.Context, m *nats.Msg, id string) error {
	const room = 256 // for what the client adds
	most := maxHeader
	if server := int(b.nc.MaxPayload()); server > 0 {
		most = min(most, server)
	}
	for headerSize(m.Header)+room > most {
		largest := ""
		for name, values := range m.Header {
			if !isPrefixed(name, deadPrefix) &&
				(largest == "" || headerSize(nats.Header{name: values}) > headerSize(nats.Header{
					largest: m.Header[largest],
				})) {
				largest = name
			}
		}
		if largest == "" {
			return fmt.Errorf("headers of %d bytes: %w", headerSize(m.Header), ErrTooLarge)
		}
		delete(m.Header, largest)
		m.Header.Set(deadDropped, strings.TrimSpace(m.Header.Get(deadDropped)+" "+percentEncode(short(largest))))
	}
	if server := int(b.nc.MaxPayload()); server <= 0 || headerSize(m.Header)+len(m.Data)+room <= server {
		return nil
	}
	if err := b.Objects(PayloadsBucket).Put(ctx, "dead."+id, bytes.NewReader(m.Data)); err != nil {
		return err
	}
	if structured(m.Header) { // or it would be looked for in the body
		m.Header[headerPrefix+"datacontenttype"] = []string{first(m.Header, headerContentType)}
		maps.DeleteFunc(
			m.Header,
			func(name string, _ []string) bool { return strings.EqualFold(name, headerContentType) },
		)
	}
	m.Data = nil
	m.Header[headerPrefix+extDataRef] = []string{percentEncode(claimScheme + "dead." + id)}
	return nil
}

// maxHeader is what the server takes.
const maxHeader = 64<<10 - 1

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
	err := b.scan(
		ctx,
		Dead,
		Range{Subjects: []string{filter}, Limit: limit},
		func(m jetstream.Msg, meta *jetstream.MsgMetadata) error {
			out = append(out, letter(meta.Sequence.Stream, m.Subject(), m.Headers(), m.Data(), meta.Timestamp))
			return nil
		},
	)
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
	for name, values := range copied(raw.Header) {
		if !isPrefixed(name, deadPrefix) {
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
	l := DeadLetter{
		Sequence: sequence, Stream: stream, Subject: original, Consumer: first(h, deadConsumer),
		Reason: percentDecode(first(h, deadReason)), Buried: at,
	}
	if long := first(h, deadSubject); long != "" {
		l.Subject = percentDecode(long)
	}
	l.Attempts, _ = strconv.Atoi(first(h, deadAttempts))
	if e, err := decode(h, body); err == nil {
		l.Event = e
	}
	return l
}
