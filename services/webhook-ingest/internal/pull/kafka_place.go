package pull

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// kafkaPlace is what is remembered of a topic. An offset counts only for the topic that
// it was read from: one that is made again under its name begins at 0.
type kafkaPlace struct {
	// Topic is the id that the brokers gave the topic; empty where they give none.
	Topic string `json:"topic,omitempty"`
	// Next is where each partition goes on; of a group it is where the group began.
	Next map[string]int64 `json:"next"`
	// remade says that what the group committed may be of the topic before; begun are the partitions that began anew
	// since.
	remade bool
	begun  map[int32]bool
}

// errTopicRemade ends a reading whose offsets do not count any more.
var errTopicRemade = errors.New("the topic was deleted and made again; it is read from its beginning")

// loadKafka returns nil for a topic that was never read.
func loadKafka(ctx context.Context, env Env) (*kafkaPlace, error) {
	saved, err := env.Positions.Load(ctx, env.Name())
	if err != nil || saved == nil {
		return nil, err
	}
	var place kafkaPlace
	if json.Unmarshal(saved, &place) == nil && place.Next != nil {
		return &place, nil
	}
	before := map[string]int64{} // as older versions wrote it
	if json.Unmarshal(saved, &before) != nil {
		return nil, nil //nolint:nilerr // of another kind that had this name before
	}
	return &kafkaPlace{Next: before}, nil
}

func (p *kafkaPlace) save(ctx context.Context, env Env) error {
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return env.Positions.Save(ctx, env.Name(), text)
}

// prepare brings the place up to the topic that is there now. The first time it is the
// end of each partition, remembered at once so that a restart before the first event
// loses none.
func prepareKafka(ctx context.Context, env Env, c v1alpha1.KafkaEventSource, client *kgo.Client) (*kafkaPlace, error) {
	place, err := loadKafka(ctx, env)
	if err != nil {
		return nil, err
	}
	id, partitions, err := kafkaTopicID(ctx, client, c.Topic)
	if err != nil {
		return nil, err
	}
	switch {
	case place == nil:
		place = &kafkaPlace{}
		if place.Next, err = kafkaEnds(ctx, client, c.Topic, partitions); err != nil {
			return nil, err
		}
	case place.Topic == id:
		return place, nil
	case place.Topic != "" && id != "":
		env.notef("topic %s was deleted and made again: it is read from its beginning", c.Topic)
		place.Next, place.remade, place.begun = map[string]int64{}, true, map[int32]bool{}
	}
	place.Topic = id
	return place, place.save(ctx, env)
}

// kafkaTopicID asks for the topic as it is now; it is not made.
func kafkaTopicID(ctx context.Context, client *kgo.Client, topic string) (id string, partitions []int32, err error) {
	ask := kmsg.NewPtrMetadataRequest()
	one := kmsg.NewMetadataRequestTopic()
	one.Topic = &topic
	ask.Topics = append(ask.Topics, one)
	answer, err := ask.RequestWith(ctx, client)
	if err != nil {
		return "", nil, fmt.Errorf("ask for topic %s: %w", topic, err)
	}
	for _, t := range answer.Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			return "", nil, fmt.Errorf("ask for topic %s: %w", topic, err)
		}
		if t.TopicID != ([16]byte{}) {
			id = hex.EncodeToString(t.TopicID[:])
		}
		for _, p := range t.Partitions {
			partitions = append(partitions, p.Partition)
		}
	}
	return id, partitions, nil
}

// kafkaEnds is where each partition ends now.
func kafkaEnds(ctx context.Context, client *kgo.Client, topic string, partitions []int32) (map[string]int64, error) {
	ask := kmsg.NewPtrListOffsetsRequest()
	ask.IsolationLevel = 1 // read committed
	of := kmsg.NewListOffsetsRequestTopic()
	of.Topic = topic
	for _, p := range partitions {
		one := kmsg.NewListOffsetsRequestTopicPartition()
		one.Partition, one.Timestamp = p, -1
		of.Partitions = append(of.Partitions, one)
	}
	ask.Topics = append(ask.Topics, of)
	out := map[string]int64{}
	for _, shard := range client.RequestSharded(ctx, ask) {
		if shard.Err != nil {
			return nil, fmt.Errorf("ask for the end of topic %s: %w", topic, shard.Err)
		}
		answer, ok := shard.Resp.(*kmsg.ListOffsetsResponse)
		if !ok {
			return nil, fmt.Errorf("ask for the end of topic %s: the answer is %T", topic, shard.Resp)
		}
		for _, t := range answer.Topics {
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return nil, fmt.Errorf("ask for the end of partition %d of topic %s: %w", p.Partition, topic, err)
				}
				out[strconv.Itoa(int(p.Partition))] = p.Offset
			}
		}
	}
	return out, nil
}

// offset is where a partition goes on. One that nobody knew of is new from its
// beginning.
func (p *kafkaPlace) offset(partition string) kgo.Offset {
	if next, ok := p.Next[partition]; ok {
		return kgo.NewOffset().At(next)
	}
	return kgo.NewOffset().AtStart()
}

// adjust is asked where partitions begin of which the group committed nothing: where
// the group began to be read, not at the end as it is now.
func (p *kafkaPlace) adjust(
	_ context.Context, offsets map[string]map[int32]kgo.Offset,
) (map[string]map[int32]kgo.Offset, error) {
	for topic, partitions := range offsets {
		partitions = maps.Clone(partitions)
		for partition, o := range partitions {
			switch {
			case p.remade && !p.begun[partition]:
				p.begun[partition] = true
				partitions[partition] = kgo.NewOffset().AtStart()
			case o.EpochOffset().Offset < 0:
				partitions[partition] = p.offset(strconv.Itoa(int(partition)))
			}
		}
		offsets[topic] = partitions
	}
	return offsets, nil
}
