package pull

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"golang.org/x/sync/errgroup"
)

// pulsarPause is the rest before a topic that moved is looked up again.
const pulsarPause = time.Second

// pulsarTopics reads topics with a subscription named after the event, as upstream,
// so that a manifest that moves here goes on where it stopped. A shared subscription
// is read by all replicas, an exclusive one by the owner. The place of a message in
// its topic names the event.
func pulsarTopics(c v1alpha1.PulsarEventSource) Reader {
	shared := strings.EqualFold(c.Type, "shared")
	return Reader{Filter: c.Filter, Everywhere: shared, Run: func(ctx context.Context, env Env, emit Emit) error {
		if c.Type != "" && !shared && !strings.EqualFold(c.Type, "exclusive") {
			return fmt.Errorf("type %q is not supported; use exclusive or shared", c.Type)
		}
		server, err := pulsarCluster(ctx, env, c)
		if err != nil {
			return err
		}
		r := pulsarReader{server: server, config: c, subscription: env.Event, shared: shared, emit: emit}
		before, err := env.Positions.Load(ctx, env.Name())
		if err != nil {
			return err
		}
		// A subscription that was there before and is gone begins with what the topic still has, not with what comes next.
		r.known = string(before) == pulsarRead
		err = r.run(ctx, func() {
			if !r.known {
				_ = env.Positions.Save(ctx, env.Name(), []byte(pulsarRead)) // else it is saved with the next start
			}
			env.Up()
		})
		if over(ctx) {
			return nil
		}
		return err
	}}
}

// pulsarCluster is how the manifest wants to be let in: by a token, or by the
// certificate of TLS.
func pulsarCluster(ctx context.Context, env Env, c v1alpha1.PulsarEventSource) (pulsarServer, error) {
	out := pulsarServer{method: "none"}
	if c.AuthAthenzSecret != nil || len(c.AuthAthenzParams) > 0 {
		return out, errors.New("authAthenzParams and authAthenzSecret are not supported by this version; authTokenSecret and tls are")
	}
	hosts, ssl, err := pulsarHosts(c.URL)
	if err != nil {
		return out, err
	}
	out.hosts = hosts
	secure, err := pulsarTLS(ctx, env, c)
	if err != nil {
		return out, err
	}
	if ssl {
		out.secure = secure
	}
	if out.token, err = env.secretOf(ctx, c.AuthTokenSecret); err != nil {
		return out, err
	}
	switch {
	case out.token != "":
		out.method = "token"
	case ssl && len(secure.Certificates) > 0:
		out.method = "tls"
	}
	return out, nil
}

// pulsarTLS counts where the URL begins with pulsar+ssl. The name of the host is
// checked whatever tlsValidateHostname says, as the client of upstream does.
func pulsarTLS(ctx context.Context, env Env, c v1alpha1.PulsarEventSource) (*tls.Config, error) {
	out, err := env.TLS(ctx, c.TLS)
	if err != nil {
		return nil, err
	}
	if out == nil {
		out = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if c.TLSAllowInsecureConnection {
		out.InsecureSkipVerify = true
	}
	trusted, err := env.Secrets.Bytes(ctx, env.Namespace, c.TLSTrustCertsSecret)
	if err != nil || trusted == nil {
		return out, err
	}
	out.RootCAs = x509.NewCertPool()
	if !out.RootCAs.AppendCertsFromPEM(trusted) {
		return nil, errors.New("tlsTrustCertsSecret holds no certificate")
	}
	return out, nil
}

// The place where a subscription begins that is not there yet. Source: Pulsar,
// CommandSubscribe; the default is the latest.
const (
	pulsarInitialPosition = 13
	pulsarEarliest        = 1
)

// pulsarReader reads the topics of an event.
type pulsarReader struct {
	server       pulsarServer
	config       v1alpha1.PulsarEventSource
	subscription string
	shared       bool
	known        bool // the topics were subscribed to before
	emit         Emit
}

// pulsarRead is remembered of an event whose topics were subscribed to.
const pulsarRead = "subscribed"

// fullTopic spells a topic out. Source: Pulsar, the names of topics.
func fullTopic(name string) (string, error) {
	switch parts := strings.Split(name, "/"); {
	case strings.Contains(name, "://"):
		return name, nil
	case name != "" && len(parts) == 1:
		return "persistent://public/default/" + name, nil
	case len(parts) == 3:
		return "persistent://" + name, nil
	}
	return "", fmt.Errorf("topic %q is neither a name nor tenant/namespace/name", name)
}

// run reads all partitions of all topics, each over a connection to its broker. One
// that fails ends the others; up is called when all are subscribed to.
func (r pulsarReader) run(ctx context.Context, up func()) error {
	topics, err := r.partitions(ctx)
	if err != nil {
		return err
	}
	all, ctx := errgroup.WithContext(ctx)
	var ready errgroup.Group
	for _, topic := range topics {
		subscribed := make(chan struct{})
		all.Go(func() error {
			c, err := r.open(ctx, topic)
			if err != nil {
				return fmt.Errorf("subscribe to %s: %w", topic, err)
			}
			close(subscribed)
			return r.follow(ctx, topic, c)
		})
		ready.Go(func() error {
			select {
			case <-subscribed:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}
	if ready.Wait() == nil {
		up()
	}
	return all.Wait()
}

func (r pulsarReader) partitions(ctx context.Context) ([]string, error) {
	c, err := r.server.any(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.close() }()
	var out []string
	for _, name := range r.config.Topics {
		topic, err := fullTopic(name)
		if err != nil {
			return nil, err
		}
		parts, err := c.partitions(topic)
		if err != nil {
			return nil, err
		}
		out = append(out, parts...)
	}
	if len(out) == 0 {
		return nil, errors.New("topics is empty")
	}
	return out, nil
}

// open subscribes to one partition.
func (r pulsarReader) open(ctx context.Context, topic string) (*pulsarConn, error) {
	c, err := r.server.owner(ctx, topic)
	if err != nil {
		return nil, err
	}
	kind := uint64(0) // exclusive
	if r.shared {
		kind = 1
	}
	question := putNum(putBytes(putBytes(nil, 1, topic), 2, r.subscription), 3, kind)
	question = putNum(question, 4, pulsarConsumer)
	if r.known {
		question = putNum(question, pulsarInitialPosition, pulsarEarliest)
	}
	if _, err := c.ask(cmdSubscribe, cmdSuccess, 5, question); err != nil {
		return nil, errors.Join(err, c.close())
	}
	if err := c.permit(prefetch); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// follow reads a partition, also when it moves from broker to broker.
func (r pulsarReader) follow(ctx context.Context, topic string, c *pulsarConn) error {
	for {
		err := r.consume(ctx, topic, c)
		_ = c.close() // what is not acknowledged goes to others
		if errors.Is(err, errMoved) && pause(ctx, pulsarPause) {
			c, err = r.open(ctx, topic)
		}
		if over(ctx) {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", topic, err)
		}
	}
}

// consume reads one connection to its end.
func (r pulsarReader) consume(ctx context.Context, topic string, c *pulsarConn) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in, ended := make(chan pulsarDelivery, prefetch), make(chan error, 1)
	go func() { ended <- c.deliveries(ctx, in) }()
	chunks, seen := pulsarChunks{}, 0
	for d := range in {
		n, err := r.take(ctx, topic, c, chunks, d)
		if err != nil {
			return err
		}
		if seen += n; seen >= prefetch/2 {
			if err := c.permit(seen); err != nil {
				return err
			}
			seen = 0
		}
	}
	return <-ended
}

// take tells of the messages of one entry, then acknowledges it. It returns how many
// messages that was to the broker.
func (r pulsarReader) take(ctx context.Context, topic string, c *pulsarConn, chunks pulsarChunks, d pulsarDelivery) (int, error) {
	entry, err := parseEntry(d.data)
	if err != nil {
		return 0, fmt.Errorf("entry %v: %w", d.at, err)
	}
	count, parts := entry.count(), []pulsarPlace{d.at}
	if entry.meta.num(27) > 1 {
		var done bool
		if entry, parts, done = chunks.add(d.at, entry); !done {
			return count, nil
		}
	}
	messages, err := entry.messages(d.wanted)
	if err != nil {
		return 0, fmt.Errorf("entry %v: %w", d.at, err)
	}
	for _, m := range messages {
		data := pulsarData{Key: m.key, PublishTime: entry.published().String(), Content: content(r.config.JSONBody, m.body), Metadata: r.config.Metadata}
		if err := r.emit(ctx, Key("pulsar", r.config.URL, topic, d.at.ledger, d.at.entry, m.batch, entry.published().UnixNano()), data); err != nil {
			return 0, err
		}
	}
	return count, c.acknowledge(parts...)
}

// pulsarData is the view. Source: Argo Events, PulsarEventData.
type pulsarData struct {
	Key         string `json:"key"`
	PublishTime string `json:"publishTime"`
	Content
	Metadata Metadata `json:"metadata,omitempty"`
}
