package trigger

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/apache/pulsar-client-go/pulsar"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/sensing/param"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// topics is the pulsar trigger.
type topics struct {
	world   World
	clients *pool[*producers]
}

// producers are those of one client, by topic.
type producers struct {
	client pulsar.Client
	mu     sync.Mutex
	open   map[string]pulsar.Producer
}

func newPulsar(w World) Adapter { return &topics{world: w, clients: newPool((*producers).Close)} }

// Close flushes and closes the producers.
func (x *topics) Close() error { return x.clients.Close() }

// Close ends the producers and their connection.
func (p *producers) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range p.open {
		one.Close()
	}
	p.client.Close()
	return nil
}

func (p *producers) of(topic string) (pulsar.Producer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if one, ok := p.open[topic]; ok {
		return one, nil
	}
	one, err := p.client.CreateProducer(pulsar.ProducerOptions{Topic: topic})
	if err != nil {
		return nil, fmt.Errorf("produce to %s: %w", topic, err)
	}
	p.open[topic] = one
	return one, nil
}

// Fire sends one message and waits until the broker has it.
func (x *topics) Fire(ctx context.Context, c Call) (Result, error) {
	t, err := param.Fill(c.Fill, c.Template.Pulsar, c.Template.Pulsar.Parameters)
	if err != nil {
		return Result{}, fault.Poisonf("pulsar.%w", err)
	}
	body, err := c.Fill.Payload(t.Payload)
	if err != nil {
		return Result{}, fault.Poisonf("pulsar.%w", err)
	}
	all, err := x.client(ctx, c, t)
	if err != nil {
		return Result{}, err
	}
	producer, err := all.of(t.Topic)
	if err != nil {
		return Result{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	id, err := producer.Send(
		ctx, &pulsar.ProducerMessage{Payload: body, Properties: map[string]string{idHeader: c.Key}},
	)
	if err != nil {
		return Result{}, fmt.Errorf("send to %s: %w", t.Topic, err)
	}
	return Result{Summary: id.String()}, nil
}

func (x *topics) client(ctx context.Context, c Call, t *v1alpha1.PulsarTrigger) (*producers, error) {
	options := pulsar.ClientOptions{
		URL: t.URL, OperationTimeout: requestTimeout / 2, ConnectionTimeout: requestTimeout / 4,
		TLSAllowInsecureConnection: t.TLSAllowInsecureConnection, TLSValidateHostname: t.TLSValidateHostname,
	}
	token, err := x.world.Values.Value(ctx, c.Sensor.Namespace, t.AuthTokenSecret)
	if err != nil {
		return nil, err
	}
	if token != "" {
		options.Authentication = pulsar.NewAuthenticationToken(token)
	}
	secure, err := x.world.Values.TLS(ctx, c.Sensor.Namespace, t.TLS)
	if err != nil {
		return nil, err
	}
	trusted, err := x.world.Values.Value(ctx, c.Sensor.Namespace, t.TLSTrustCertsSecret)
	if err != nil {
		return nil, err
	}
	if trusted != "" {
		if secure, err = trust(secure, trusted); err != nil {
			return nil, err
		}
	}
	options.TLSConfig = secure
	athenz, err := x.athenz(ctx, c, t)
	if err != nil {
		return nil, err
	}
	if athenz != nil && token == "" {
		options.Authentication = pulsar.NewAuthenticationAthenz(athenz)
	}
	settings := []any{t.URL, token, athenz, t.TLS, trusted, t.TLSAllowInsecureConnection, t.TLSValidateHostname}
	return x.clients.get(settings, func() (*producers, error) {
		client, err := pulsar.NewClient(options)
		if err != nil {
			return nil, fault.AsPoison(fmt.Errorf("connect to %s: %w", t.URL, err))
		}
		return &producers{client: client, open: map[string]pulsar.Producer{}}, nil
	})
}

// athenzFields may be given in authAthenzParams: the others of the client name files, and those would be files of this
// service.
var athenzFields = []string{
	"providerDomain", "tenantDomain", "tenantService", "keyId", "principalHeader", "roleHeader", "ztsUrl",
}

// athenz are the settings of Athenz with the private key of the trigger's Secret, nil when it does not ask for that.
func (x *topics) athenz(ctx context.Context, c Call, t *v1alpha1.PulsarTrigger) (map[string]string, error) {
	if t.AuthAthenzSecret == nil && len(t.AuthAthenzParams) == 0 {
		return nil, nil
	}
	out := map[string]string{}
	for name, value := range t.AuthAthenzParams {
		if !slices.Contains(athenzFields, name) {
			return nil, fault.Poisonf(
				"pulsar.authAthenzParams.%s is none of %s", name, strings.Join(athenzFields, ", "),
			)
		}
		out[name] = value
	}
	key, err := x.world.Values.Value(ctx, c.Sensor.Namespace, t.AuthAthenzSecret)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"providerDomain", "tenantDomain", "tenantService", "ztsUrl"} {
		if out[name] == "" || key == "" {
			return nil, fault.Poisonf(
				"pulsar: authAthenzParams needs providerDomain, tenantDomain, tenantService and ztsUrl, and authAthenzSecret the private key",
			)
		}
	}
	out["privateKey"] = "data:application/x-pem-file;base64," + base64.StdEncoding.EncodeToString([]byte(key))
	return out, nil
}
