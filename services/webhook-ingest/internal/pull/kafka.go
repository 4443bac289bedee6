package pull

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// kafkaTopic reads a topic. With a consumer group replicas share its partitions and
// go on where the group stopped; without one the owner reads a partition from where
// it stopped itself. The offset names the event.
func kafkaTopic(c v1alpha1.KafkaEventSource) Reader {
	return Reader{Filter: c.Filter, Everywhere: c.ConsumerGroup != nil, Limit: float64(c.LimitEventsPerSecond), Run: func(ctx context.Context, env Env, emit Emit) error {
		if c.SchemaRegistry != nil || c.AWSMSKIAMAuth != nil || c.Config != "" {
			return errors.New("schemaRegistry, awsMskIamAuth and config are not supported by this version")
		}
		options, err := kafkaOptions(ctx, env, c)
		if err != nil {
			return err
		}
		client, err := kgo.NewClient(options...)
		if err != nil {
			return fmt.Errorf("set up kafka: %w", err)
		}
		defer client.CloseAllowingRebalance()
		if err := client.Ping(ctx); err != nil {
			return fmt.Errorf("connect to kafka at %s: %w", c.URL, err)
		}
		env.Up()
		return readKafka(ctx, env, c, client, emit)
	}}
}

func kafkaOptions(ctx context.Context, env Env, c v1alpha1.KafkaEventSource) ([]kgo.Opt, error) {
	options := []kgo.Opt{kgo.SeedBrokers(strings.Split(c.URL, ",")...), kgo.ClientID("argosy")}
	if g := c.ConsumerGroup; g != nil {
		start := kgo.NewOffset().AtEnd()
		if g.Oldest {
			start = kgo.NewOffset().AtStart()
		}
		options = append(options, kgo.ConsumerGroup(g.GroupName), kgo.ConsumeTopics(c.Topic), kgo.ConsumeResetOffset(start),
			// A group that loses a partition in the middle of a batch would commit for the next owner.
			kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(), balance(g.RebalanceStrategy))
	} else {
		offsets, err := kafkaOffsets(ctx, env, c)
		if err != nil {
			return nil, err
		}
		options = append(options, offsets)
	}
	secure, err := env.TLS(ctx, c.TLS)
	if err != nil {
		return nil, err
	}
	if secure != nil {
		options = append(options, kgo.DialTLSConfig(secure))
	}
	if c.SASL != nil {
		mechanism, err := kafkaSASL(ctx, env, c.SASL)
		if err != nil {
			return nil, err
		}
		options = append(options, kgo.SASL(mechanism))
	}
	return options, nil
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
		return nil, fmt.Errorf("sasl.mechanism %q is not supported; use PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", c.Mechanism)
	}
}

// kafkaOffsets is where a reader without a group goes on. The first time it begins
// with what comes next, as upstream.
func kafkaOffsets(ctx context.Context, env Env, c v1alpha1.KafkaEventSource) (kgo.Opt, error) {
	saved, err := env.Positions.Load(ctx, env.Name())
	if err != nil {
		return nil, err
	}
	known := map[string]int64{}
	if saved != nil && json.Unmarshal(saved, &known) != nil {
		known = map[string]int64{} // of another kind that had this name before
	}
	if c.Partition == "" {
		return nil, errors.New("one of partition and consumerGroup is needed")
	}
	partition, err := strconv.ParseInt(c.Partition, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("partition: %w", err)
	}
	start := kgo.NewOffset().AtEnd()
	if next, ok := known[c.Partition]; ok {
		start = kgo.NewOffset().At(next)
	}
	return kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{c.Topic: {int32(partition): start}}), nil
}

func readKafka(ctx context.Context, env Env, c v1alpha1.KafkaEventSource, client *kgo.Client, emit Emit) error {
	for {
		fetches := client.PollRecords(ctx, prefetch)
		if over(ctx) {
			return nil
		}
		if errs := fetches.Errors(); len(errs) > 0 {
			return fmt.Errorf("read topic %s: %w", errs[0].Topic, errs[0].Err)
		}
		for _, r := range fetches.Records() {
			id := Key("kafka", c.URL, r.Topic, r.Partition, r.Offset)
			if err := emit(ctx, id, kafkaView(c, r)); err != nil {
				return err
			}
		}
		// A kill right before repeats a batch, under the same ids.
		if err := commitKafka(ctx, env, c, client, fetches.Records()); err != nil {
			return err
		}
		client.AllowRebalance()
	}
}

func commitKafka(ctx context.Context, env Env, c v1alpha1.KafkaEventSource, client *kgo.Client, records []*kgo.Record) error {
	if len(records) == 0 {
		return nil
	}
	if c.ConsumerGroup != nil {
		if err := client.CommitRecords(ctx, records...); err != nil {
			return fmt.Errorf("commit to group %s: %w", c.ConsumerGroup.GroupName, err)
		}
		return nil
	}
	next, err := json.Marshal(map[string]int64{c.Partition: records[len(records)-1].Offset + 1})
	if err != nil {
		return err
	}
	return env.Positions.Save(ctx, env.Name(), next)
}

// kafkaData is the view. Source: Argo Events, KafkaEventData.
type kafkaData struct {
	Topic     string            `json:"topic"`
	Key       string            `json:"key"`
	Partition int               `json:"partition"`
	Body      any               `json:"body"`
	Timestamp string            `json:"timestamp"`
	Headers   map[string]string `json:"headers,omitempty"`
	Metadata  Metadata          `json:"metadata,omitempty"`
}

func kafkaView(c v1alpha1.KafkaEventSource, r *kgo.Record) kafkaData {
	data := kafkaData{Topic: r.Topic, Key: string(r.Key), Partition: int(r.Partition), Timestamp: r.Timestamp.String(), Body: Body(c.JSONBody, r.Value), Metadata: c.Metadata}
	for _, h := range r.Headers {
		if data.Headers == nil {
			data.Headers = map[string]string{}
		}
		data.Headers[h.Key] = string(h.Value)
	}
	return data
}
