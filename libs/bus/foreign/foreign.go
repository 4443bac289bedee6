// Package foreign reads NATS servers that are not the mesh's own: those that an
// EventSource names.
package foreign

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
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
	// Time is when the stream stored it; zero outside of streams.
	Time time.Time
}

func (s Server) connect() (*nats.Conn, error) {
	options := []nats.Option{
		nats.Name(s.Name), nats.MaxReconnects(-1), nats.ReconnectWait(time.Second), nats.Timeout(10 * time.Second),
	}
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
