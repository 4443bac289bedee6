package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/core/wait"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Config says where the bus is and who we are.
type Config struct {
	URL      string // servers, comma separated
	User     string
	Password string
	Inbox    string       // prefix of answers, for users that may not read those of others; "" is _INBOX
	Name     string       // shown by the server as the connection's name
	Inline   int          // bodies over this many bytes travel by claim check; 0 means 512 KiB
	Log      *slog.Logger // nil discards
}

// Bus is one connection to the mesh. Safe for concurrent use.
type Bus struct {
	nc     *nats.Conn
	js     jetstream.JetStream
	inline int
	log    *slog.Logger

	publisher publisher
	// buckets holds opened jetstream.KeyValue handles by bucket name.
	buckets sync.Map
}

// ErrFull is the cause of a Publish that the stream refused because its budget is
// used up.
var ErrFull = errors.New("the stream is full")

// reconnectWait is short: the server is near, and every wait is lag.
const reconnectWait = 200 * time.Millisecond

// Connect opens the connection in the background: a server that is not there yet
// is waited for by the first operation, not by Connect.
func Connect(cfg Config) (*Bus, error) {
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if cfg.Inline == 0 {
		cfg.Inline = 512 << 10
	}
	nc, err := nats.Connect(cfg.URL, options(cfg, log)...)
	if err != nil {
		return nil, fmt.Errorf("connect to the bus at %s: %w", cfg.URL, err)
	}
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(5*time.Second))
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("open jetstream: %w", err)
	}
	return &Bus{nc: nc, js: js, inline: cfg.Inline, log: log, publisher: publisher{nc: nc}}, nil
}

func options(cfg Config, log *slog.Logger) []nats.Option {
	opts := []nats.Option{
		nats.Name(cfg.Name),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectJitter(reconnectWait/2, reconnectWait/2),
		// No buffering while away: a publish must fail at once, so that its caller
		// can choose its own durable place.
		nats.ReconnectBufSize(-1),
		nats.PingInterval(10 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("bus connection lost", "error", err)
			}
		}),
		nats.ReconnectHandler(
			func(c *nats.Conn) { log.Info("bus connection restored", "server", c.ConnectedUrlRedacted()) },
		),
		nats.ErrorHandler(
			func(_ *nats.Conn, _ *nats.Subscription, err error) { log.Warn("bus reported an error", "error", err) },
		),
	}
	if cfg.User != "" {
		opts = append(opts, nats.UserInfo(cfg.User, cfg.Password))
	}
	if cfg.Inbox != "" {
		opts = append(opts, nats.CustomInboxPrefix(cfg.Inbox))
	}
	return opts
}

// Close ends the connection at once; parts must have drained before.
func (b *Bus) Close() { b.nc.Close() }

// Ready says whether the server can be reached now; nil means yes.
func (b *Bus) Ready() error {
	if s := b.nc.Status(); s != nats.CONNECTED {
		return fmt.Errorf("bus connection is %s", s)
	}
	return nil
}

// AwaitDeclared declares the topology, waiting for the server for as long as ctx
// allows.
func (b *Bus) AwaitDeclared(ctx context.Context, l Limits) error {
	for attempt := 1; ; attempt++ {
		err := b.Declare(ctx, l)
		if err == nil {
			return nil
		}
		if attempt%25 == 1 {
			b.log.Warn("waiting for the bus", "error", err)
		}
		if !pause(ctx, reconnectWait) {
			return fmt.Errorf("wait for the bus: %w", errors.Join(context.Cause(ctx), err))
		}
	}
}

// Publish stores e on its stream and returns when the server confirmed it. The
// message id is derived from the subject's event identity (subject, source, id):
// publishing the same event twice within the dedupe window stores it once. An
// event over the inline limit is stored as an object first (claim check). What can never be stored is an error of class
// poison: [ErrTooLarge], [ErrBadSubject], or an event that is none.
func (b *Bus) Publish(ctx context.Context, subject string, e Event) error {
	m, err := Prepare(subject, e)
	if err != nil {
		return err
	}
	defer m.Release()
	_, err = b.Store(ctx, m, 0)
	return err
}

// MessageID is the deduplication id of an event on a subject.
func MessageID(subject string, e Event) string { return Key(subject, e.Source(), e.ID()) }

// classed gives the bus's own errors their class.
func classed(err error) error {
	if never := unstorable(err); never != nil {
		return never
	}
	if errors.Is(err, nats.ErrReconnectBufExceeded) || errors.Is(err, nats.ErrHeadersNotSupported) {
		// So the library says that there is no connection, where none is kept back, and where none ever was.
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return err
	}
	switch api.ErrorCode {
	case jetstream.JSErrCodeStreamWrongLastSequence:
		return fault.AsStale(err)
	case errStoreFailed, errNoSpace:
		return errors.Join(ErrFull, err)
	}
	return err
}

// ErrUnreachable is wrapped by errors of what needs the bus while there is no connection to it.
var ErrUnreachable = errors.New("the bus cannot be reached")

// Server error codes that the client library has no names for: 10077 "maximum
// bytes exceeded" under discard-new, 10023 "insufficient resources".
const (
	errStoreFailed jetstream.ErrorCode = 10077
	errNoSpace     jetstream.ErrorCode = 10023
)

// pause waits for d; false means ctx ended first.
func pause(ctx context.Context, d time.Duration) bool { return wait.For(ctx, d) == nil }
