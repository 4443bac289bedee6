package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Stored says where the bus has an event.
type Stored struct {
	Stream    string
	Sequence  uint64
	Duplicate bool // it was there before, at that sequence
}

// publisher stores messages and waits for their confirmation. Each message in flight has a reply subject to itself, so
// that its confirmation goes from the connection straight to who waits: no table of those that wait, and one change of
// goroutine less.
type publisher struct {
	nc   *nats.Conn
	mu   sync.Mutex
	idle []*reply // last in, first out: few are in use at a time
}

// idleReplies is how many stay subscribed while nobody uses them.
const idleReplies = 64

// reply is where one confirmation arrives.
type reply struct {
	subject string
	sub     *nats.Subscription
	came    chan *nats.Msg
	late    *time.Timer // stopped while nobody waits
}

func (p *publisher) take() (*reply, error) {
	p.mu.Lock()
	if n := len(p.idle); n > 0 {
		r := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return r, nil
	}
	p.mu.Unlock()
	r := &reply{subject: p.nc.NewInbox(), came: make(chan *nats.Msg, 1), late: time.NewTimer(publishPatience)}
	r.late.Stop()
	var err error
	r.sub, err = p.nc.ChanSubscribe(r.subject, r.came)
	return r, err
}

// give takes a reply back that has had its confirmation. One that has not must not be used again: the confirmation may
// still come, and would be taken for another's.
func (p *publisher) give(r *reply, answered bool) {
	if answered {
		p.mu.Lock()
		if len(p.idle) < idleReplies {
			p.idle = append(p.idle, r)
			p.mu.Unlock()
			return
		}
		p.mu.Unlock()
	}
	_ = r.sub.Unsubscribe() // fails when the connection is closed, and the subscription with it
}

// How often a message is sent again when no stream listens, and how long after: a leader may just change. Source:
// nats.go, DefaultPubRetryWait.
const (
	unheardRetries = 2
	unheardWait    = 250 * time.Millisecond
)

// publishPatience is how long a confirmation is waited for where nothing else is said.
const publishPatience = 5 * time.Second

// store publishes a message. What it holds may be changed when store returns.
func (p *publisher) store(ctx context.Context, m *nats.Msg, patience time.Duration) (Stored, error) {
	if patience <= 0 {
		patience = publishPatience
	}
	for attempt := 0; ; attempt++ {
		answer, err := p.request(ctx, m, patience)
		if err != nil {
			return Stored{}, err
		}
		if len(answer.Data) == 0 && answer.Header.Get("Status") == unheard {
			if attempt < unheardRetries && pause(ctx, unheardWait) {
				continue
			}
			return Stored{}, jetstream.ErrNoStreamResponse
		}
		return confirmation(answer.Data)
	}
}

// unheard is the status of the server's own answer where nobody listens.
const unheard = "503"

func (p *publisher) request(ctx context.Context, m *nats.Msg, patience time.Duration) (*nats.Msg, error) {
	r, err := p.take()
	if err != nil {
		return nil, err
	}
	m.Reply = r.subject
	if err := p.nc.PublishMsg(m); err != nil {
		p.give(r, true) // nothing was sent
		return nil, err
	}
	r.late.Reset(patience)
	var answer *nats.Msg
	select {
	case answer = <-r.came:
	case <-r.late.C:
		err = context.DeadlineExceeded
	case <-ctx.Done():
		err = ctx.Err()
	}
	r.late.Stop() // before the next one has it
	p.give(r, err == nil)
	return answer, err
}

// confirmation reads what a stream answers. Nearly all say the same but for a number.
func confirmation(data []byte) (Stored, error) {
	if s, ok := plainConfirmation(string(data)); ok {
		return s, nil
	}
	var answer struct {
		*jetstream.PubAck

		Error *jetstream.APIError `json:"error"`
	}
	err := json.Unmarshal(data, &answer)
	switch {
	case err != nil:
		return Stored{}, jetstream.ErrInvalidJSAck
	case answer.Error != nil:
		return Stored{}, fmt.Errorf("nats: %w", answer.Error)
	case answer.PubAck == nil || answer.Stream == "":
		return Stored{}, jetstream.ErrInvalidJSAck
	}
	return Stored{Stream: answer.Stream, Sequence: answer.Sequence, Duplicate: answer.Duplicate}, nil
}

// plainConfirmation reads {"stream":"NAME", "seq":NUMBER}, and nothing else.
func plainConfirmation(text string) (Stored, bool) {
	text, ok := strings.CutPrefix(text, `{"stream":"`)
	name, rest, named := strings.Cut(text, `"`)
	rest = strings.TrimPrefix(rest, ",")
	rest = strings.TrimPrefix(rest, " ")
	number, counted := strings.CutPrefix(rest, `"seq":`)
	number, closed := strings.CutSuffix(number, "}")
	sequence, err := strconv.ParseUint(number, 10, 64)
	return Stored{
			Stream:   name,
			Sequence: sequence,
		}, ok && named && name != "" && counted && closed && err == nil &&
			!strings.ContainsRune(name, '\\')
}

// Message is an event made ready for a subject: encoded once, and known to fit.
type Message struct {
	id    string
	event Event
	wire  *nats.Msg
	size  int // of its headers

	memory attributes
}

var messages = sync.Pool{
	New: func() any { return &Message{memory: attributes{header: make(nats.Header, 2*mostAttributes)}} },
}

// Release gives the memory of a message back, for others to use: neither it nor what its methods returned may be used
// from then on, but for the event. It need not be called.
func (m *Message) Release() {
	if m.memory.size.all > mostReleased {
		return
	}
	clear(m.memory.header)
	clear(m.memory.values)
	*m = Message{memory: attributes{header: m.memory.header, values: m.memory.values[:0]}}
	messages.Put(m)
}

// mostReleased is the size of a header whose memory is kept.
const mostReleased = 4 << 10

// Prepare encodes an event for a subject. What can never be stored is an error of class poison: [ErrTooLarge],
// [ErrBadSubject], or an event that is none.
func Prepare(subject string, e Event) (*Message, error) {
	if err := subjectFits(subject); err != nil {
		return nil, fmt.Errorf("event %s: %w", short(e.ID()), err)
	}
	m, _ := messages.Get().(*Message) // nothing else is put there
	wire, size, err := encodeIn(&m.memory, subject, e)
	if err != nil {
		return nil, err
	}
	if err := bodyFits(e); err != nil {
		return nil, err
	}
	if err := headerFits(e.ID(), wire.Header, size); err != nil {
		return nil, err
	}
	m.id, m.event, m.wire, m.size = MessageID(subject, e), e, wire, size.all
	return m, nil
}

// ID is the deduplication id, [MessageID].
func (m *Message) ID() string { return m.id }

// Event is what the message holds.
func (m *Message) Event() Event { return m.event }

// Subject is where it goes.
func (m *Message) Subject() string { return m.wire.Subject }

// Store is [Bus.Publish] of a message that is prepared, for as long as patience and ctx allow; a patience of 0 is five
// seconds. The data of its event may be used anew when it returns.
func (b *Bus) Store(ctx context.Context, m *Message, patience time.Duration) (Stored, error) {
	return b.store(ctx, m, patience, "")
}

// store publishes with the condition that the subject's last message is at a sequence, if one is given.
func (b *Bus) store(ctx context.Context, m *Message, patience time.Duration, after string) (Stored, error) {
	wire, err := b.sized(ctx, m)
	if err != nil {
		return Stored{}, err
	}
	wire.Header[jetstream.MsgIDHeader] = []string{m.id}
	if after != "" {
		wire.Header[jetstream.ExpectedLastSubjSeqHeader] = []string{after}
	}
	stored, err := b.publisher.store(ctx, wire, patience)
	if err != nil {
		return stored, fmt.Errorf("publish event %s to %s: %w", m.event.ID(), wire.Subject, classed(err))
	}
	return stored, nil
}
