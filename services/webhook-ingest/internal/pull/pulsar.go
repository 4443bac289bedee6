package pull

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/apache/pulsar-client-go/pulsar"
	"github.com/apache/pulsar-client-go/pulsar/log"
	"github.com/argosy-mesh/argosy/libs/eventsource"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// pulsarPatience bounds connecting, and each question.
const pulsarPatience = 10 * time.Second

// pulsarTopics reads topics with a subscription named after the event, as upstream,
// so that a manifest that moves here goes on where it stopped. A shared subscription
// is read by all replicas, an exclusive one by the owner. The place of a message in
// its topic names the event.
func pulsarTopics(c v1alpha1.PulsarEventSource) Reader {
	shared := strings.EqualFold(c.Type, "shared")
	return Reader{Filter: c.Filter, AllReplicas: shared, Run: func(ctx context.Context, env Env, emit Emit) error {
		if c.Type != "" && !shared && !strings.EqualFold(c.Type, "exclusive") {
			return fmt.Errorf("type %q is not supported; use exclusive or shared", c.Type)
		}
		options, err := pulsarCluster(ctx, env, c)
		if err != nil {
			return err
		}
		topics, err := fullTopics(c.Topics)
		if err != nil {
			return err
		}
		before, err := env.Positions.Load(ctx, env.Name())
		if err != nil {
			return err
		}
		client, err := pulsar.NewClient(options)
		if err != nil {
			return fmt.Errorf("connect to %s: %w", c.URL, err)
		}
		defer client.Close()
		known := string(before) == pulsarRead
		consumer, err := client.Subscribe(pulsarSubscription(env.Event, topics, shared, known))
		if err == nil {
			defer consumer.Close() // what is not acknowledged goes to others
			if !known {
				_ = env.Positions.Save(ctx, env.Name(), []byte(pulsarRead)) // else it is saved with the next start
			}
			env.Up()
			err = pulsarFollow(ctx, c, consumer, emit)
		}
		if over(ctx) {
			return nil
		}
		return fmt.Errorf("read %s: %w", strings.Join(topics, ", "), err)
	}}
}

// pulsarFollow takes message after message.
func pulsarFollow(ctx context.Context, c v1alpha1.PulsarEventSource, consumer pulsar.Consumer, emit Emit) error {
	for {
		m, err := consumer.Receive(ctx)
		if err == nil {
			err = pulsarTake(ctx, c, consumer, m, emit)
		}
		if err != nil {
			return err
		}
	}
}

// pulsarRead is remembered of an event whose topics were subscribed to.
const pulsarRead = "subscribed"

// pulsarSubscription says how topics are read. One that was subscribed to before and whose subscription is gone begins
// with what the topic still has, not with what comes next.
func pulsarSubscription(name string, topics []string, shared, known bool) pulsar.ConsumerOptions {
	out := pulsar.ConsumerOptions{
		SubscriptionName: name, Type: pulsar.Exclusive, SubscriptionInitialPosition: pulsar.SubscriptionPositionLatest,
		// each is written at once
		ReceiverQueueSize: prefetch, AckGroupingOptions: &pulsar.AckGroupingOptions{MaxSize: 1},
	}
	if shared {
		out.Type = pulsar.Shared
	}
	if known {
		out.SubscriptionInitialPosition = pulsar.SubscriptionPositionEarliest
	}
	if len(topics) == 1 {
		out.Topic = topics[0]
	} else {
		out.Topics = topics
	}
	return out
}

// pulsarTake tells of a message, then acknowledges it.
func pulsarTake(
	ctx context.Context, c v1alpha1.PulsarEventSource, consumer pulsar.Consumer, m pulsar.Message, emit Emit,
) error {
	at, published := m.ID(), m.PublishTime().UTC()
	data := pulsarData{
		Key: m.Key(), PublishTime: published.String(), Content: content(c.JSONBody, m.Payload()), Metadata: c.Metadata,
	}
	// The numbers as they are on the wire, where they have no sign.
	id := Key(
		"pulsar", c.URL, m.Topic(), uint64(at.LedgerID()), uint64(at.EntryID()), at.BatchIdx(), published.UnixNano(),
	)
	if err := emit(ctx, id, data); err != nil {
		return err
	}
	return consumer.Ack(m)
}

// pulsarCluster is how the manifest wants to be let in: by a token, by Athenz, or by the
// certificate of TLS.
func pulsarCluster(ctx context.Context, env Env, c v1alpha1.PulsarEventSource) (pulsar.ClientOptions, error) {
	out := pulsar.ClientOptions{
		OperationTimeout: pulsarPatience, ConnectionTimeout: pulsarPatience, Logger: log.DefaultNopLogger(),
	}
	hosts, ssl, err := pulsarHosts(c.URL)
	if err != nil {
		return out, err
	}
	scheme := "pulsar://"
	if ssl {
		scheme = "pulsar+ssl://"
	}
	out.URL = scheme + strings.Join(hosts, ",")
	if out.TLSConfig, err = pulsarTLS(ctx, env, c); err != nil {
		return out, err
	}
	token, err := env.secretOf(ctx, c.AuthTokenSecret)
	if err != nil {
		return out, err
	}
	switch {
	case token != "":
		out.Authentication = pulsar.NewAuthenticationToken(token)
	case c.AuthAthenzSecret != nil || len(c.AuthAthenzParams) > 0:
		out.Authentication, err = pulsarAthenz(ctx, env, c)
	case ssl && len(out.TLSConfig.Certificates) > 0:
		own := out.TLSConfig.Certificates[0]
		out.Authentication = pulsar.NewAuthenticationFromTLSCertSupplier(
			func() (*tls.Certificate, error) { return &own, nil },
		)
	}
	return out, err
}

// pulsarAthenz is Athenz with the private key of the manifest's Secret.
func pulsarAthenz(ctx context.Context, env Env, c v1alpha1.PulsarEventSource) (pulsar.Authentication, error) {
	params := map[string]string{}
	for name, value := range c.AuthAthenzParams {
		if !slices.Contains(eventsource.AthenzFields, name) {
			return nil, fmt.Errorf(
				"authAthenzParams.%s is none of %s", name, strings.Join(eventsource.AthenzFields, ", "),
			)
		}
		params[name] = value
	}
	key, err := env.secretOf(ctx, c.AuthAthenzSecret)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"providerDomain", "tenantDomain", "tenantService", "ztsUrl"} {
		if params[name] == "" || key == "" {
			return nil, errors.New(
				"authAthenzParams needs providerDomain, tenantDomain, tenantService and ztsUrl, and authAthenzSecret the private key",
			)
		}
	}
	params["privateKey"] = "data:application/x-pem-file;base64," + base64.StdEncoding.EncodeToString([]byte(key))
	return pulsar.NewAuthenticationAthenz(params), nil
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

// fullTopics spells topics out.
func fullTopics(names []string) ([]string, error) {
	var out []string
	for _, name := range names {
		topic, err := fullTopic(name)
		if err != nil {
			return nil, err
		}
		out = append(out, topic)
	}
	if len(out) == 0 {
		return nil, errors.New("topics is empty")
	}
	return out, nil
}

// pulsarHosts reads the URL of a cluster; ssl reports whether it wants TLS.
func pulsarHosts(text string) (hosts []string, ssl bool, err error) {
	scheme, rest, _ := strings.Cut(text, "://")
	port := "6650"
	switch scheme {
	case "pulsar":
	case "pulsar+ssl":
		ssl, port = true, "6651"
	default:
		return nil, false, fmt.Errorf("url %q begins neither with pulsar:// nor with pulsar+ssl://", text)
	}
	for host := range strings.SplitSeq(strings.TrimSuffix(rest, "/"), ",") {
		if host == "" {
			return nil, false, fmt.Errorf("url %q names no host", text)
		}
		if _, _, err := net.SplitHostPort(host); err != nil {
			host = net.JoinHostPort(strings.Trim(host, "[]"), port)
		}
		hosts = append(hosts, host)
	}
	return hosts, ssl, nil
}

// pulsarData is the view. Source: Argo Events, PulsarEventData.
type pulsarData struct {
	Key         string `json:"key"`
	PublishTime string `json:"publishTime"`
	Content
	Metadata Metadata `json:"metadata,omitempty"`
}
