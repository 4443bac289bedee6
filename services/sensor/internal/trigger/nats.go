package trigger

import (
	"context"
	"maps"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/sensing/param"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// peers keeps connections to NATS servers.
type peers struct {
	world World
	open  *pool[*bus.Peer]
}

func newPeers(w World) peers { return peers{world: w, open: newPool((*bus.Peer).Close)} }

// Close closes the connections.
func (p *peers) Close() error { return p.open.Close() }

func (p *peers) dial(
	ctx context.Context, c Call, url string, auth *v1alpha1.NATSAuth, secure *v1alpha1.EventTLSConfig,
) (*bus.Peer, error) {
	cfg := bus.PeerConfig{URL: url, Name: "argosy sensor " + c.Sensor.Namespace + "/" + c.Sensor.Name}
	var err error
	if cfg.TLS, err = p.world.Values.TLS(ctx, c.Sensor.Namespace, secure); err != nil {
		return nil, err
	}
	if auth != nil {
		if cfg.User, cfg.Password, err = p.world.Values.Basic(ctx, c.Sensor.Namespace, auth.Basic); err != nil {
			return nil, err
		}
		if cfg.Token, err = p.world.Values.Value(ctx, c.Sensor.Namespace, auth.Token); err != nil {
			return nil, err
		}
		seed, err := p.world.Values.Value(ctx, c.Sensor.Namespace, auth.Nkey)
		if err != nil {
			return nil, err
		}
		credentials, err := p.world.Values.Value(ctx, c.Sensor.Namespace, auth.Credential)
		if err != nil {
			return nil, err
		}
		cfg.Seed, cfg.Credentials = []byte(seed), []byte(credentials)
	}
	settings := []any{cfg.URL, cfg.User, cfg.Password, cfg.Token, cfg.Seed, cfg.Credentials, secure}
	return p.open.get(settings, func() (*bus.Peer, error) { return bus.DialPeer(cfg) })
}

// idHeader carries the key of the effect on messages of systems without ids of their
// own.
const idHeader = "Idempotency-Key"

// core is the nats trigger: a message that the server has, whoever listens.
type core struct{ peers }

func newNATS(w World) Adapter { return &core{newPeers(w)} }

// Fire publishes the payload.
func (x *core) Fire(ctx context.Context, c Call) (Result, error) {
	t, err := param.Fill(c.Fill, c.Template.NATS, c.Template.NATS.Parameters)
	if err != nil {
		return Result{}, fault.Poisonf("nats.%w", err)
	}
	body, err := c.Fill.Payload(t.Payload)
	if err != nil {
		return Result{}, fault.Poisonf("nats.%w", err)
	}
	peer, err := x.dial(ctx, c, t.URL, t.Auth, t.TLS)
	if err != nil {
		return Result{}, err
	}
	return Result{Summary: "the server has it"}, peer.Publish(ctx, t.Subject, map[string]string{idHeader: c.Key}, body)
}

// stored is the jetstream trigger: a message that a stream holds, once per key.
type stored struct{ peers }

func newJetStream(w World) Adapter { return &stored{newPeers(w)} }

// Fire stores the payload; the key is the message id.
func (x *stored) Fire(ctx context.Context, c Call) (Result, error) {
	t, err := param.Fill(c.Fill, c.Template.JetStream, c.Template.JetStream.Parameters)
	if err != nil {
		return Result{}, fault.Poisonf("jetstream.%w", err)
	}
	body, err := c.Fill.Payload(t.Payload)
	if err != nil {
		return Result{}, fault.Poisonf("jetstream.%w", err)
	}
	peer, err := x.dial(ctx, c, t.URL, t.Auth, t.TLS)
	if err != nil {
		return Result{}, err
	}
	headers := map[string]string{idHeader: c.Key}
	maps.Copy(headers, t.Headers)
	return Result{Summary: "the stream has it"}, peer.Store(ctx, t.Subject, headers, body, c.Key)
}
