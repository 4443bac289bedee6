package pull

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/identity/amazon"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/aws/aws-msk-iam-sasl-signer-go/signer"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// kafkaLook is how often the topic is asked whether it is still the same one.
const kafkaLook = 5 * time.Second

// kafkaTopic reads a topic. With a consumer group replicas share its partitions and
// go on where the group stopped; without one the owner reads a partition from where
// it stopped itself. The offset in the topic, and the record's own time, name the event.
func kafkaTopic(c v1alpha1.KafkaEventSource) Reader {
	return Reader{
		Filter:      c.Filter,
		AllReplicas: c.ConsumerGroup != nil,
		Limit:       float64(c.LimitEventsPerSecond),
		Run: func(ctx context.Context, env Env, emit Emit) error {
			base, err := kafkaServer(ctx, env, c)
			if err != nil {
				return err
			}
			place, err := kafkaStart(ctx, env, c, base)
			if err != nil {
				return err
			}
			options, err := kafkaOptions(c, place)
			if err != nil {
				return err
			}
			client, err := kgo.NewClient(append(base, options...)...)
			if err != nil {
				return fmt.Errorf("set up kafka: %w", err)
			}
			defer client.CloseAllowingRebalance()
			env.Up()
			r := kafkaReader{config: c, env: env, client: client, place: place, emit: emit}
			return r.read(ctx)
		},
	}
}

// kafkaStart looks where to go on, over a connection of its own: the other one joins
// the group when it is made.
func kafkaStart(ctx context.Context, env Env, c v1alpha1.KafkaEventSource, base []kgo.Opt) (*kafkaPlace, error) {
	client, err := kgo.NewClient(base...)
	if err != nil {
		return nil, fmt.Errorf("set up kafka: %w", err)
	}
	defer client.Close()
	if err := client.Ping(ctx); err != nil {
		return nil, fmt.Errorf("connect to kafka at %s: %w", c.URL, err)
	}
	return prepareKafka(ctx, env, c, client)
}

// kafkaServer is how the brokers are reached.
func kafkaServer(ctx context.Context, env Env, c v1alpha1.KafkaEventSource) ([]kgo.Opt, error) {
	options := []kgo.Opt{kgo.SeedBrokers(strings.Split(c.URL, ",")...), kgo.ClientID("argosy")}
	secure, err := env.TLS(ctx, c.TLS)
	if err != nil {
		return nil, err
	}
	if secure == nil && c.AWSMSKIAMAuth != nil {
		secure = &tls.Config{MinVersion: tls.VersionTLS12} // brokers of MSK take such tokens over TLS alone
	}
	if secure != nil {
		options = append(options, kgo.DialTLSConfig(secure))
	}
	switch {
	case c.AWSMSKIAMAuth != nil && c.SASL != nil:
		return nil, errors.New("of awsMskIamAuth and sasl one is given")
	case c.AWSMSKIAMAuth != nil:
		mechanism, err := kafkaIAM(ctx, env, c.AWSMSKIAMAuth.Region)
		if err != nil {
			return nil, err
		}
		options = append(options, kgo.SASL(mechanism))
	case c.SASL != nil:
		mechanism, err := kafkaSASL(ctx, env, c.SASL)
		if err != nil {
			return nil, err
		}
		options = append(options, kgo.SASL(mechanism))
	}
	return options, nil
}

func kafkaOptions(c v1alpha1.KafkaEventSource, place *kafkaPlace) ([]kgo.Opt, error) {
	options := []kgo.Opt{
		// What a producer took back, or has not decided on yet, is no event.
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		// Offsets that are gone, by retention or with their topic, go on with what is there.
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
	}
	g := c.ConsumerGroup
	if g == nil {
		partition, err := strconv.ParseInt(c.Partition, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("partition: %w", err)
		}
		at := map[int32]kgo.Offset{int32(partition): place.offset(c.Partition)}
		return append(options, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{c.Topic: at})), nil
	}
	options = append(options, kgo.ConsumerGroup(g.GroupName), kgo.ConsumeTopics(c.Topic),
		// A group that loses a partition in the middle of a batch would commit for the next owner.
		kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(), balance(g.RebalanceStrategy))
	if g.Oldest && !place.remade {
		return append(options, kgo.ConsumeStartOffset(kgo.NewOffset().AtStart())), nil
	}
	return append(options, kgo.ConsumeStartOffset(kgo.NewOffset().AtEnd()), kgo.AdjustFetchOffsetsFn(place.adjust)), nil
}

// balance takes the names of upstream.
func balance(name string) kgo.Opt {
	switch name {
	case "sticky":
		return kgo.Balancers(kgo.StickyBalancer())
	case "roundrobin":
		return kgo.Balancers(kgo.RoundRobinBalancer())
	default:
		return kgo.Balancers(kgo.RangeBalancer())
	}
}

func kafkaSASL(ctx context.Context, env Env, c *v1alpha1.SASLConfig) (sasl.Mechanism, error) {
	user, err := env.secretOf(ctx, c.UserSecret)
	if err != nil {
		return nil, err
	}
	password, err := env.secretOf(ctx, c.PasswordSecret)
	if err != nil {
		return nil, err
	}
	switch strings.ToUpper(c.Mechanism) {
	case "", "PLAIN":
		return plain.Auth{User: user, Pass: password}.AsMechanism(), nil
	case "SCRAM-SHA-256":
		return scram.Auth{User: user, Pass: password}.AsSha256Mechanism(), nil
	case "SCRAM-SHA-512":
		return scram.Auth{User: user, Pass: password}.AsSha512Mechanism(), nil
	default:
		return nil, fmt.Errorf(
			"sasl.mechanism %q is not supported; use PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", c.Mechanism,
		)
	}
}

// kafkaIAM lets in by the identity of this process, where the namespace may use it: each connection gets a token that
// is a signed request of AWS.
func kafkaIAM(ctx context.Context, env Env, region string) (sasl.Mechanism, error) {
	if err := env.Own.Allow(env.Namespace, "kafka.awsMskIamAuth", "sasl"); err != nil {
		return nil, err
	}
	if region == "" {
		return nil, errors.New("awsMskIamAuth.region is empty")
	}
	cfg, err := amazon.Config(context.WithoutCancel(ctx), amazon.Access{Region: region})
	if err != nil {
		return nil, err
	}
	return oauth.Oauth(func(ctx context.Context) (oauth.Auth, error) {
		token, _, err := signer.GenerateAuthTokenFromCredentialsProvider(ctx, region, cfg.Credentials)
		if err != nil {
			return oauth.Auth{}, fmt.Errorf("sign a token for MSK: %w", err)
		}
		return oauth.Auth{Token: token}, nil
	}), nil
}

// kafkaReader is a topic while it is read.
type kafkaReader struct {
	config v1alpha1.KafkaEventSource
	env    Env
	client *kgo.Client
	place  *kafkaPlace
	emit   Emit
}

func (r kafkaReader) read(ctx context.Context) error {
	looked := time.Now()
	for {
		records, err := r.poll(ctx)
		if over(ctx) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, one := range records {
			id := Key(
				"kafka", r.config.URL, one.Topic, r.place.Topic, one.Partition, one.Offset, one.Timestamp.UnixMilli(),
			)
			if err := r.emit(ctx, id, kafkaView(r.config, one)); err != nil {
				return err
			}
		}
		// A kill right before repeats a batch, under the same ids.
		if err := r.commit(ctx, records); err != nil {
			if over(ctx) {
				return nil
			}
			return err
		}
		r.client.AllowRebalance()
		if time.Since(looked) < kafkaLook {
			continue
		}
		if err := r.same(ctx); err != nil && !over(ctx) {
			return err
		}
		looked = time.Now()
	}
}

// poll takes what is there, or nothing after a while.
func (r kafkaReader) poll(ctx context.Context) ([]*kgo.Record, error) {
	limited, cancel := context.WithTimeout(ctx, kafkaLook)
	defer cancel()
	fetches := r.client.PollRecords(limited, prefetch)
	for _, e := range fetches.Errors() {
		if !errors.Is(e.Err, context.DeadlineExceeded) {
			return nil, fmt.Errorf("read topic %s: %w", r.config.Topic, e.Err)
		}
	}
	return fetches.Records(), nil
}

// same asks whether the topic is still the one that is being read.
func (r kafkaReader) same(ctx context.Context) error {
	id, _, err := kafkaTopicID(ctx, r.client, r.config.Topic)
	if err == nil && id != r.place.Topic {
		err = fmt.Errorf("read topic %s: %w", r.config.Topic, errTopicRemade)
	}
	return err
}

func (r kafkaReader) commit(ctx context.Context, records []*kgo.Record) error {
	if len(records) == 0 {
		return nil
	}
	if g := r.config.ConsumerGroup; g != nil {
		ctx, cancel := settling(ctx)
		defer cancel()
		if err := r.client.CommitRecords(ctx, records...); err != nil {
			return fmt.Errorf("commit to group %s: %w", g.GroupName, err)
		}
		return nil
	}
	r.place.Next = map[string]int64{r.config.Partition: records[len(records)-1].Offset + 1}
	return r.place.save(ctx, r.env)
}

// kafkaData is the view. Source: Argo Events, KafkaEventData; keys and headers that
// are no text are base64 here, and say so.
type kafkaData struct {
	Topic       string            `json:"topic"`
	Key         string            `json:"key"`
	KeyEncoding string            `json:"keyEncoding,omitempty"`
	Partition   int               `json:"partition"`
	Timestamp   string            `json:"timestamp"`
	Headers     map[string]string `json:"headers,omitempty"`
	Encodings   Marks             `json:"headersEncoding,omitempty"`
	Metadata    Metadata          `json:"metadata,omitempty"`
	Content
}

func kafkaView(c v1alpha1.KafkaEventSource, r *kgo.Record) kafkaData {
	data := kafkaData{
		Topic: r.Topic, Partition: int(r.Partition), Timestamp: r.Timestamp.String(),
		Content: content(c.JSONBody, r.Value), Metadata: c.Metadata,
	}
	data.Key, data.KeyEncoding = plainText(string(r.Key))
	for _, h := range r.Headers {
		if data.Headers == nil {
			data.Headers = map[string]string{}
		}
		name, text := data.Encodings.plain(h.Key, string(h.Value))
		data.Headers[name] = text
	}
	return data
}
