package foreign

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Consumer is a durable place in a stream.
type Consumer struct {
	Stream, Durable string
	Subjects        []string // none means all
	Oldest          bool     // a new one begins with what the stream holds
	// Owner marks the durables that are made here; those of others keep what their maker said where this says nothing.
	Owner string
	// Last is how far the stream was read before, as Save was told; zero when it never was.
	Last Place
	// Save is told how far the stream is read, now and then; nil saves nothing.
	Save func(context.Context, Place) error
	// Note is told what whoever looks at the consumer should know; nil tells nobody.
	Note func(string)
}

// Place is how far a stream was read.
type Place struct {
	Stream   string    `json:"stream"`
	Sequence uint64    `json:"sequence"` // all up to it is acknowledged
	At       time.Time `json:"at"`       // when that was so
}

// What a pull asks of the server: short waits, so that a durable that is gone is noticed.
const (
	pullExpiry    = 10 * time.Second
	pullHeartbeat = 2 * time.Second
	pullMost      = 64
	// placeSave is how often the place is saved while messages come.
	placeSave = 5 * time.Second
	// ackWait bounds the acknowledging.
	ackWait = 5 * time.Second
)

// ownerKey is the metadata of a durable that says who made it.
const ownerKey = "argosy.dev/event"

// Consume calls see for each message of a stream in order, until ctx ends, and
// acknowledges it after see returned without error. Readers with the same durable
// name share the messages. A durable that is gone from the server is made again where
// it was.
func (s Server) Consume(ctx context.Context, c Consumer, up func(), see func(Message) error) error {
	nc, err := s.connect()
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("open jetstream at %s: %w", s.URL, err)
	}
	cons, err := c.find(ctx, js)
	if err != nil {
		return fmt.Errorf("consume stream %s: %w", c.Stream, err)
	}
	if err := c.save(ctx, cons); err != nil {
		return err
	}
	it, err := cons.Messages(
		jetstream.PullMaxMessages(pullMost), jetstream.PullExpiry(pullExpiry), jetstream.PullHeartbeat(pullHeartbeat),
	)
	if err != nil {
		return fmt.Errorf("consume stream %s: %w", c.Stream, err)
	}
	defer giveBack(nc, it)
	up()
	saved := time.Now()
	for {
		m, err := it.Next(jetstream.NextContext(ctx))
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read stream %s by the durable %s: %w", c.Stream, c.Durable, err)
		}
		if err := one(ctx, m, see); err != nil {
			return err
		}
		if time.Since(saved) < placeSave {
			continue
		}
		if err := c.save(ctx, cons); err != nil && ctx.Err() == nil {
			return err
		}
		saved = time.Now()
	}
}

// find returns the durable as it should be: made where it is not there, and changed to
// the subjects that are asked for.
func (c Consumer) find(ctx context.Context, js jetstream.JetStream) (jetstream.Consumer, error) {
	cons, err := js.Consumer(ctx, c.Stream, c.Durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return c.make(ctx, js)
	}
	if err != nil {
		return nil, err
	}
	cfg := cons.CachedInfo().Config
	if err := c.readable(cfg); err != nil {
		return nil, err
	}
	if slices.Equal(slices.Sorted(slices.Values(filters(cfg))), slices.Sorted(slices.Values(c.Subjects))) ||
		len(c.Subjects) == 0 && cfg.Metadata[ownerKey] != c.Owner {
		return cons, nil
	}
	cfg.FilterSubject, cfg.FilterSubjects = "", c.Subjects
	cons, err = js.UpdateConsumer(ctx, c.Stream, cfg)
	if err != nil {
		return nil, fmt.Errorf("change the subjects of the durable %s to %v: %w", c.Durable, c.Subjects, err)
	}
	return cons, nil
}

// readable refuses durables that would lose messages here: what is sent ahead and not
// seen goes back when a reader stops.
func (c Consumer) readable(cfg jetstream.ConsumerConfig) error {
	switch {
	case cfg.AckPolicy != jetstream.AckExplicitPolicy:
		return fmt.Errorf(
			"the durable %s has the acknowledgement policy %s: messages that are sent ahead would be lost at each restart; make it anew with explicit, or name another one in durable",
			c.Durable, cfg.AckPolicy,
		)
	case cfg.MaxDeliver == 1:
		return fmt.Errorf(
			"the durable %s delivers each message once (max_deliver 1): messages that are sent ahead would be lost at each restart; raise it, or name another one in durable",
			c.Durable,
		)
	}
	return nil
}

func filters(cfg jetstream.ConsumerConfig) []string {
	if cfg.FilterSubject != "" {
		return []string{cfg.FilterSubject}
	}
	return cfg.FilterSubjects
}

// make makes the durable: where it was when it was there before, else with what comes
// next, or with all.
func (c Consumer) make(ctx context.Context, js jetstream.JetStream) (jetstream.Consumer, error) {
	cfg := jetstream.ConsumerConfig{
		Durable: c.Durable, FilterSubjects: c.Subjects, AckPolicy: jetstream.AckExplicitPolicy,
		DeliverPolicy: jetstream.DeliverNewPolicy, MaxDeliver: -1, Metadata: map[string]string{ownerKey: c.Owner},
	}
	note := ""
	switch {
	case !c.Last.At.IsZero():
		stream, err := js.Stream(ctx, c.Stream)
		if err != nil {
			return nil, err
		}
		info := stream.CachedInfo()
		if info.Created.After(c.Last.At) || info.State.LastSeq < c.Last.Sequence {
			cfg.DeliverPolicy = jetstream.DeliverAllPolicy
			note = fmt.Sprintf("the stream %s was deleted and made again: it is read from its beginning", c.Stream)
		} else {
			cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, c.Last.Sequence+1
			note = fmt.Sprintf(
				"the durable %s was gone from the stream %s: it was made again and goes on at %d", c.Durable, c.Stream,
				cfg.OptStartSeq,
			)
		}
	case c.Oldest:
		cfg.DeliverPolicy = jetstream.DeliverAllPolicy
	}
	cons, err := js.CreateConsumer(ctx, c.Stream, cfg)
	if errors.Is(err, jetstream.ErrConsumerExists) { // another replica was faster
		return js.Consumer(ctx, c.Stream, c.Durable)
	}
	if err == nil && note != "" && c.Note != nil {
		c.Note(note)
	}
	return cons, err
}

// save tells how far all replicas together are, as the server has it.
func (c Consumer) save(ctx context.Context, cons jetstream.Consumer) error {
	if c.Save == nil {
		return nil
	}
	info, err := cons.Info(ctx)
	if err != nil {
		return fmt.Errorf("ask for the durable %s of stream %s: %w", c.Durable, c.Stream, err)
	}
	at := info.TimeStamp
	if at.IsZero() {
		at = time.Now()
	}
	return c.Save(ctx, Place{Stream: c.Stream, Sequence: info.AckFloor.Stream, At: at})
}

// giveBack refuses what was fetched and not seen, for the server would keep it from
// the other replicas until the time to acknowledge is over (30 s).
func giveBack(nc *nats.Conn, it jetstream.MessagesContext) {
	it.Drain()
	for {
		m, err := it.Next()
		if err != nil {
			break
		}
		_ = m.Nak() // lost, it comes again later
	}
	_ = nc.FlushTimeout(time.Second)
}

func one(ctx context.Context, m jetstream.Msg, see func(Message) error) error {
	meta, err := m.Metadata()
	if err != nil {
		return fmt.Errorf("read a message of a stream: %w", err)
	}
	if err := see(
		Message{
			Subject: m.Subject(), Data: m.Data(), Header: m.Headers(), Sequence: meta.Sequence.Stream,
			Time: meta.Timestamp,
		},
	); err != nil {
		return errors.Join(err, m.Nak())
	}
	// Also when ctx ended meanwhile: it was seen.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ackWait)
	defer cancel()
	if err := m.DoubleAck(ctx); err != nil {
		return fmt.Errorf("acknowledge message %d: %w", meta.Sequence.Stream, err)
	}
	return nil
}
