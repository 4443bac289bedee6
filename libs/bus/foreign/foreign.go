// Package foreign reads NATS servers that are not the mesh's own: those that an
// EventSource names.
package foreign

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
)

// Server says where a server is and who we are there.
type Server struct {
	URL, Name      string
	User, Password string
	Token          string
	Seed           string // of an nkey
	Credentials    []byte // content of a .creds file
	TLS            *tls.Config
}

// Message is one that was read.
type Message struct {
	Subject string
	Data    []byte
	Header  map[string][]string
	// Sequence is its position in the stream; 0 outside of streams.
	Sequence uint64
}

func (s Server) connect() (*nats.Conn, error) {
	options := []nats.Option{nats.Name(s.Name), nats.MaxReconnects(-1), nats.ReconnectWait(time.Second), nats.Timeout(10 * time.Second)}
	if s.User != "" {
		options = append(options, nats.UserInfo(s.User, s.Password))
	}
	if s.Token != "" {
		options = append(options, nats.Token(s.Token))
	}
	if s.TLS != nil {
		options = append(options, nats.Secure(s.TLS))
	}
	if len(s.Credentials) > 0 {
		options = append(options, nats.UserCredentialBytes(s.Credentials))
	}
	if s.Seed != "" {
		pair, err := nkeys.FromSeed([]byte(s.Seed))
		if err != nil {
			return nil, fmt.Errorf("read the nkey: %w", err)
		}
		public, err := pair.PublicKey()
		if err != nil {
			return nil, fmt.Errorf("read the nkey: %w", err)
		}
		options = append(options, nats.Nkey(public, pair.Sign))
	}
	nc, err := nats.Connect(s.URL, options...)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", s.URL, err)
	}
	return nc, nil
}

// Subscribe calls see for each message of a subject, one after the other, until ctx
// ends. Members of a queue share the messages; the empty name means no queue. up is
// called when the server knows of the subscription. Nothing is kept for a
// subscriber that is away.
func (s Server) Subscribe(ctx context.Context, subject, queue string, up func(), see func(Message) error) error {
	nc, err := s.connect()
	if err != nil {
		return err
	}
	defer nc.Close()
	var sub *nats.Subscription
	if queue == "" {
		sub, err = nc.SubscribeSync(subject)
	} else {
		sub, err = nc.QueueSubscribeSync(subject, queue)
	}
	if err != nil {
		return fmt.Errorf("subscribe to %s: %w", subject, err)
	}
	if err := nc.FlushWithContext(withDeadline(ctx)); err != nil {
		return fmt.Errorf("subscribe to %s: %w", subject, err)
	}
	up()
	for {
		m, err := sub.NextMsgWithContext(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", subject, err)
		}
		if err := see(Message{Subject: m.Subject, Data: m.Data, Header: m.Header}); err != nil {
			return err
		}
	}
}

// withDeadline is for calls that insist on one; they end by themselves after it.
func withDeadline(ctx context.Context) context.Context {
	out, cancel := context.WithTimeout(ctx, 10*time.Second)
	context.AfterFunc(out, cancel)
	return out
}

// Consumer is a durable place in a stream.
type Consumer struct {
	Stream, Durable string
	Subjects        []string // none means all
	Oldest          bool     // a new one begins with what the stream holds
}

// Consume calls see for each message of a stream in order, until ctx ends, and
// acknowledges it after see returned without error. Readers with the same durable
// name share the messages.
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
	cfg := jetstream.ConsumerConfig{Durable: c.Durable, FilterSubjects: c.Subjects, AckPolicy: jetstream.AckExplicitPolicy, DeliverPolicy: jetstream.DeliverNewPolicy, MaxDeliver: -1}
	if c.Oldest {
		cfg.DeliverPolicy = jetstream.DeliverAllPolicy
	}
	cons, err := js.Consumer(ctx, c.Stream, c.Durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		cons, err = js.CreateConsumer(ctx, c.Stream, cfg)
	}
	if err != nil {
		return fmt.Errorf("consume stream %s: %w", c.Stream, err)
	}
	it, err := cons.Messages(jetstream.PullMaxMessages(64))
	if err != nil {
		return fmt.Errorf("consume stream %s: %w", c.Stream, err)
	}
	defer giveBack(nc, it)
	up()
	for {
		m, err := it.Next(jetstream.NextContext(ctx))
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read stream %s: %w", c.Stream, err)
		}
		if err := one(ctx, m, see); err != nil {
			return err
		}
	}
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
	if err := see(Message{Subject: m.Subject(), Data: m.Data(), Header: m.Headers(), Sequence: meta.Sequence.Stream}); err != nil {
		return errors.Join(err, m.Nak())
	}
	if err := m.DoubleAck(ctx); err != nil {
		return fmt.Errorf("acknowledge message %d: %w", meta.Sequence.Stream, err)
	}
	return nil
}
