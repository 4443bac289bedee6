package trigger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/sensing/param"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// records is the kafka trigger.
type records struct {
	world   World
	clients *pool[*kgo.Client]
}

func newKafka(w World) Adapter {
	return &records{world: w, clients: newPool(func(c *kgo.Client) error { c.Close(); return nil })}
}

// Close closes the connections; every record was waited for before.
func (x *records) Close() error { return x.clients.Close() }

// Fire produces one record and waits until the brokers have it.
func (x *records) Fire(ctx context.Context, c Call) (Result, error) {
	t, err := param.Fill(c.Fill, c.Template.Kafka, c.Template.Kafka.Parameters)
	if err != nil {
		return Result{}, fault.Poisonf("kafka.%w", err)
	}
	record, err := x.record(ctx, c, t)
	if err != nil {
		return Result{}, err
	}
	client, err := x.client(ctx, c, t)
	if err != nil {
		return Result{}, err
	}
	done, err := client.ProduceSync(ctx, record).First()
	if err != nil {
		if errors.Is(err, kerr.MessageTooLarge) || errors.Is(err, kerr.InvalidTopicException) {
			err = fault.AsPoison(err)
		}
		return Result{}, fmt.Errorf("produce to %s: %w", t.Topic, err)
	}
	return Result{Summary: fmt.Sprintf("%s/%d at %d", done.Topic, done.Partition, done.Offset)}, nil
}

func (x *records) record(ctx context.Context, c Call, t *v1alpha1.KafkaTrigger) (*kgo.Record, error) {
	if t.SchemaRegistry != nil {
		return nil, fault.Poisonf(
			"kafka.schemaRegistry: payloads are sent as JSON; encoding them by a schema is not offered",
		)
	}
	body, err := c.Fill.Payload(t.Payload)
	if err != nil {
		return nil, fault.Poisonf("kafka.%w", err)
	}
	record := &kgo.Record{
		Topic:     t.Topic,
		Value:     body,
		Partition: int32(t.Partition),
		Headers:   []kgo.RecordHeader{{Key: idHeader, Value: []byte(c.Key)}},
	}
	if t.PartitioningKey != "" {
		record.Key = []byte(t.PartitioningKey)
	}
	for _, name := range slices.Sorted(maps.Keys(t.Headers)) {
		record.Headers = append(record.Headers, kgo.RecordHeader{Key: name, Value: []byte(t.Headers[name])})
	}
	for _, s := range t.SecureHeaders {
		v, err := x.world.Values.From(ctx, c.Sensor.Namespace, s.ValueFrom)
		if err != nil {
			return nil, fmt.Errorf("kafka.secureHeaders %s: %w", s.Name, err)
		}
		record.Headers = append(record.Headers, kgo.RecordHeader{Key: s.Name, Value: []byte(v)})
	}
	return record, nil
}

func (x *records) client(ctx context.Context, c Call, t *v1alpha1.KafkaTrigger) (*kgo.Client, error) {
	options := []kgo.Opt{
		kgo.SeedBrokers(strings.Split(t.URL, ",")...), kgo.ClientID("argosy-sensor"),
		kgo.RecordPartitioner(partitioner(t)),
	}
	secure, err := x.world.Values.TLS(ctx, c.Sensor.Namespace, t.TLS)
	if err != nil {
		return nil, err
	}
	if secure != nil {
		options = append(options, kgo.DialTLSConfig(secure))
	}
	var user, password string
	if t.SASL != nil {
		if user, err = x.world.Values.Value(ctx, c.Sensor.Namespace, t.SASL.UserSecret); err != nil {
			return nil, err
		}
		if password, err = x.world.Values.Value(ctx, c.Sensor.Namespace, t.SASL.PasswordSecret); err != nil {
			return nil, err
		}
		mechanism, err := mechanismOf(t.SASL.Mechanism, user, password)
		if err != nil {
			return nil, err
		}
		options = append(options, kgo.SASL(mechanism))
	}
	if t.Compress {
		options = append(options, kgo.ProducerBatchCompression(kgo.SnappyCompression()))
	}
	options = append(options, acks(t.RequiredAcks)...)
	settings := []any{
		t.URL, t.TLS, t.SASL, user, password, t.Compress, t.RequiredAcks, t.PartitioningKey != "", t.Partition,
	}
	return x.clients.get(settings, func() (*kgo.Client, error) {
		client, err := kgo.NewClient(options...)
		return client, fault.AsPoison(err)
	})
}

// partitioner keeps records of one key together; without a key a partition that is
// given counts, and the lightest one else.
func partitioner(t *v1alpha1.KafkaTrigger) kgo.Partitioner {
	if t.PartitioningKey == "" && t.Partition > 0 {
		return kgo.ManualPartitioner()
	}
	return kgo.StickyKeyPartitioner(nil)
}

// acks waits for all replicas unless fewer are asked for.
func acks(required *int64) []kgo.Opt {
	if required == nil || *required != 1 {
		return nil
	}
	return []kgo.Opt{kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite()}
}

func mechanismOf(name, user, password string) (sasl.Mechanism, error) {
	switch strings.ToUpper(name) {
	case "", "PLAIN":
		return plain.Auth{User: user, Pass: password}.AsMechanism(), nil
	case "SCRAM-SHA-256":
		return scram.Auth{User: user, Pass: password}.AsSha256Mechanism(), nil
	case "SCRAM-SHA-512":
		return scram.Auth{User: user, Pass: password}.AsSha512Mechanism(), nil
	}
	return nil, fault.Poisonf("kafka.sasl.mechanism %q is none of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512", name)
}
