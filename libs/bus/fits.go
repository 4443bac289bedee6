package bus

import (
	"context"
	"errors"
	"strings"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrTooLarge is the cause of a Publish or an Append of something that the bus can never store: an attribute, all
// attributes together, a subject or a body over the bounds below, or a message over what the server takes. The error is
// of class poison and names the bound. Whoever has accepted such an event must set it aside; waiting never helps.
var ErrTooLarge = errors.New("larger than the bus takes")

// ErrBadSubject is the cause of a Publish to what is no subject: an empty token, a wildcard, white space. The error is
// of class poison. Subjects made by [Subject] are never bad, but may be too large.
var ErrBadSubject = errors.New("not a subject")

// Bounds of what may be published. They leave room for what others add: the dead letters their reasons, followers the
// id as their correlation and causation.
const (
	// MaxSubject is in bytes. The server ends a connection whose control line has more than 4096.
	MaxSubject = 2048
	// MaxAttribute is of one attribute in bytes, percent-encoded.
	MaxAttribute = 16 << 10
	// MaxAttributes is of all together, as headers of NATS. The server takes 64 KiB.
	MaxAttributes = 60 << 10
	// MaxBody is in bytes; larger ones could not be brought back into memory.
	MaxBody = claimLimit
	// burial is what a dead letter needs beside its message, or its subject beside the original one.
	burial = 4 << 10
)

// Fits says whether an event may ever be stored on a subject, without asking the server: nil, or the error of class
// poison that Publish would return. An intake asks before it promises anything.
func Fits(subject string, e Event) error {
	m, err := Prepare(subject, e)
	if err == nil {
		m.Release()
	}
	return err
}

func subjectFits(subject string) error {
	if len(subject) > MaxSubject {
		return fault.Poisonf(
			"subject %s... has %d bytes, at most %d are taken; shorten the names it is made of: %w", subject[:80],
			len(subject), MaxSubject, ErrTooLarge,
		)
	}
	if !strings.ContainsAny(subject, "*> \t\r\n\x00") && subject != "" && subject[0] != '.' &&
		subject[len(subject)-1] != '.' &&
		!strings.Contains(subject, "..") {
		return nil
	}
	for token := range strings.SplitSeq(subject, ".") {
		if token == "" || token == "*" || token == ">" || strings.ContainsAny(token, " \t\r\n\x00") {
			return fault.Poisonf("subject %q has the token %q: %w", subject, token, ErrBadSubject)
		}
	}
	return nil
}

// bodyFits and headerFits judge an encoded event.
func bodyFits(e Event) error {
	if n := len(e.Data()); n > MaxBody {
		return fault.Poisonf(
			"event %s: its body has %d bytes, at most %d are taken: %w", e.ID(), n, MaxBody, ErrTooLarge,
		)
	}
	return nil
}

func headerFits(id string, h nats.Header, size headerBytes) error {
	if size.longest <= MaxAttribute && size.all <= MaxAttributes {
		return nil
	}
	for name, values := range h {
		for _, v := range values {
			if len(v) > MaxAttribute {
				return fault.Poisonf("event %s: attribute %s has %d bytes when encoded, at most %d are taken: %w",
					short(id), strings.TrimPrefix(name, headerPrefix), len(v), MaxAttribute, ErrTooLarge)
			}
		}
	}
	return fault.Poisonf(
		"event %s: its attributes have %d bytes when encoded, at most %d are taken: %w", short(id), size.all,
		MaxAttributes, ErrTooLarge,
	)
}

// What a header has beside its names and values.
const (
	headerFrame = len("NATS/1.0\r\n\r\n")
	headerLine  = len(": \r\n")
)

// headerSize is how many bytes a header has on the wire; the server counts them together with the body.
func headerSize(h nats.Header) int {
	size := headerFrame
	for name, values := range h {
		for _, v := range values {
			size += len(name) + headerLine + len(v)
		}
	}
	return size
}

// sized is a message as the server takes it. A body that is over the inline limit, or that the server would not take
// beside the headers, is checked in first.
func (b *Bus) sized(ctx context.Context, m *Message) (*nats.Msg, error) {
	if len(m.wire.Data) <= b.inline && b.takes(m.size+len(m.wire.Data)) {
		return m.wire, nil
	}
	wire, size := m.wire, m.size
	if len(wire.Data) > 0 {
		e, err := b.checkIn(ctx, wire.Subject, m.event)
		if err != nil {
			return nil, err
		}
		var header headerBytes
		if wire, header, err = encode(wire.Subject, e); err != nil {
			return nil, err
		}
		size = header.all
	}
	if !b.takes(size) {
		return nil, fault.Poisonf(
			"event %s: its attributes have %d bytes when encoded, and the server takes messages of %d (max_payload): %w",
			short(m.event.ID()), size, b.nc.MaxPayload(), ErrTooLarge,
		)
	}
	return wire, nil
}

// takes says whether the server stores a message of so many bytes, and its dead letter. Before the first connection
// nobody knows.
func (b *Bus) takes(size int) bool {
	most := b.nc.MaxPayload()
	return most <= 0 || int64(size)+burial <= most
}

// unstorable gives the errors of what the server or the client refuses for its size or form their class. Nil means that
// err is of another kind.
func unstorable(err error) error {
	if errors.Is(err, nats.ErrBadSubject) {
		return fault.AsPoison(errors.Join(ErrBadSubject, err))
	}
	if errors.Is(err, nats.ErrMaxPayload) {
		return fault.AsPoison(errors.Join(ErrTooLarge, err))
	}
	var api *jetstream.APIError
	if errors.As(err, &api) && (api.ErrorCode == errMessageSize || api.ErrorCode == errHeaderSize) {
		return fault.AsPoison(errors.Join(ErrTooLarge, err))
	}
	return nil
}

// Server error codes that the client library has no names for: 10054 "message size exceeds maximum allowed", 10097
// "header size exceeds maximum allowed of 64k".
const (
	errMessageSize jetstream.ErrorCode = 10054
	errHeaderSize  jetstream.ErrorCode = 10097
)
