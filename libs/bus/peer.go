package bus

import (
	"context"
	"crypto/tls"
	"fmt"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
)

// PeerConfig says how to reach a NATS server that is not the mesh's own.
type PeerConfig struct {
	URL            string // servers, comma separated
	Name           string // shown to the server
	User, Password string
	Token          string
	Seed           []byte // nkey seed
	Credentials    []byte // text of a .creds file
	TLS            *tls.Config
}

// Peer is a connection to such a server. Safe for concurrent use.
type Peer struct {
	nc *nats.Conn
	js jetstream.JetStream
}

// DialPeer connects, and waits for the connection.
func DialPeer(cfg PeerConfig) (*Peer, error) {
	opts := []nats.Option{
		nats.Name(cfg.Name), nats.MaxReconnects(-1), nats.ReconnectWait(reconnectWait), nats.ReconnectBufSize(-1),
	}
	if cfg.User != "" {
		opts = append(opts, nats.UserInfo(cfg.User, cfg.Password))
	}
	if cfg.Token != "" {
		opts = append(opts, nats.Token(cfg.Token))
	}
	if len(cfg.Credentials) > 0 {
		opts = append(opts, nats.UserCredentialBytes(cfg.Credentials))
	}
	if len(cfg.Seed) > 0 {
		pair, err := nkeys.FromSeed([]byte(strings.TrimSpace(string(cfg.Seed))))
		if err != nil {
			return nil, fault.Poisonf("nkey: %w", err)
		}
		public, err := pair.PublicKey()
		if err != nil {
			return nil, fault.Poisonf("nkey: %w", err)
		}
		opts = append(opts, nats.Nkey(public, pair.Sign))
	}
	if cfg.TLS != nil {
		opts = append(opts, nats.Secure(cfg.TLS))
	}
	nc, err := nats.Connect(cfg.URL, opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", cfg.URL, err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("open jetstream at %s: %w", cfg.URL, err)
	}
	return &Peer{nc: nc, js: js}, nil
}

// Close ends the connection.
func (p *Peer) Close() error {
	p.nc.Close()
	return nil
}

// peerWait is how long a server may take to say that it has a message.
const peerWait = 10 * time.Second

// Publish sends a message without storage and returns when the server has it.
// Nobody says who received it.
func (p *Peer) Publish(ctx context.Context, subject string, headers map[string]string, body []byte) error {
	if err := p.nc.PublishMsg(message(subject, headers, body)); err != nil {
		return fmt.Errorf("publish to %s: %w", subject, err)
	}
	ctx, cancel := context.WithTimeout(ctx, peerWait)
	defer cancel()
	if err := p.nc.FlushWithContext(ctx); err != nil {
		return fmt.Errorf("publish to %s: %w", subject, err)
	}
	return nil
}

// Store sends a message to a stream and returns when it is stored. The same id
// within the stream's window is stored once.
func (p *Peer) Store(ctx context.Context, subject string, headers map[string]string, body []byte, id string) error {
	if _, err := p.js.PublishMsg(ctx, message(subject, headers, body), jetstream.WithMsgID(id)); err != nil {
		return fmt.Errorf("store on %s: %w", subject, err)
	}
	return nil
}

func message(subject string, headers map[string]string, body []byte) *nats.Msg {
	m := nats.NewMsg(subject)
	m.Data = body
	for name, value := range headers {
		m.Header.Set(name, value)
	}
	return m
}
