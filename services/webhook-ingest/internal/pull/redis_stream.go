package pull

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/redis/go-redis/v9"
)

// defaultGroup is the consumer group of streams. Source: Argo Events.
const defaultGroup = "argo-events-cg"

// stuckFor is how long another replica may hold a message before it is taken over.
const stuckFor = 30 * time.Second

// redisStreams reads streams as one consumer of a group: replicas share the
// messages. What was read and not acknowledged by one that died is taken over.
func redisStreams(c v1alpha1.RedisStreamEventSource) Reader {
	return Reader{Filter: c.Filter, AllReplicas: true, Run: func(ctx context.Context, env Env, emit Emit) error {
		server := redisServer{address: c.HostAddress, user: c.Username, db: c.DB, password: c.Password, tls: c.TLS}
		client, err := server.connect(ctx, env)
		if err != nil {
			return err
		}
		defer func() { _ = client.Close() }()
		g := &group{client: client, config: c, env: env, name: c.ConsumerGroup, consumer: consumerName(), emit: emit}
		if g.name == "" {
			g.name = defaultGroup
		}
		stop := g.line.cutWith(ctx, client.Close)
		defer stop()
		if err := g.load(ctx); err != nil {
			return err
		}
		defer g.flush(ctx)
		if err := g.make(ctx); err != nil {
			return err
		}
		env.Up()
		return g.read(ctx)
	}}
}

// group is a consumer group while it is read.
type group struct {
	client         *redis.Client
	config         v1alpha1.RedisStreamEventSource
	env            Env
	name, consumer string
	emit           Emit
	line           line // a blocked read does not notice the end of its context

	at    places
	saved time.Time
	dirty bool
}

// places are how far streams were read, by stream.
type places struct {
	// Last is the last message that is durable, or where the group began.
	Last map[string]string `json:"last"`
	// First is the oldest message that the stream had. Trimming only makes it newer: with an older one it was made
	// again.
	First map[string]string `json:"first"`
}

// placeSave is how often the place in a stream is saved while messages come.
const placeSave = time.Second

func (g *group) load(ctx context.Context) error {
	text, err := g.env.Positions.Load(ctx, g.env.Name())
	if err != nil {
		return err
	}
	if text != nil && json.Unmarshal(text, &g.at) != nil || g.at.Last == nil || g.at.First == nil {
		// of another kind that had this name before
		g.at = places{Last: map[string]string{}, First: map[string]string{}}
	}
	return nil
}

func (g *group) save(ctx context.Context) error {
	text, err := json.Marshal(g.at)
	if err != nil {
		return err
	}
	g.dirty, g.saved = false, time.Now()
	return g.env.Positions.Save(ctx, g.env.Name(), text)
}

// flush saves what is left at the end.
func (g *group) flush(ctx context.Context) {
	if !g.dirty {
		return
	}
	ctx, cancel := settling(ctx)
	defer cancel()
	_ = g.save(ctx) // else a few messages are read again, under their ids
}

// make makes the group where it is not there. A new one begins with what comes next,
// as upstream has it; one that was there before and is gone goes on where it was.
func (g *group) make(ctx context.Context) error {
	for _, stream := range g.config.Streams {
		first, last, err := g.endsOf(ctx, stream)
		if err != nil {
			return err
		}
		from, known := g.begin(stream, first, last)
		err = g.client.XGroupCreateMkStream(ctx, stream, g.name, from).Err()
		exists := err != nil && strings.HasPrefix(err.Error(), "BUSYGROUP")
		switch {
		case err != nil && !exists:
			return fmt.Errorf("make group %s of stream %s: %w", g.name, stream, err)
		case !exists && known:
			g.env.notef("group %s of stream %s was gone: it was made again and goes on after %s", g.name, stream, from)
		}
		if !known || !exists {
			if exists {
				if from, err = g.deliveredOf(ctx, stream); err != nil {
					return err
				}
			}
			g.at.Last[stream], g.at.First[stream], g.dirty = from, first, true
		}
	}
	if !g.dirty {
		return nil
	}
	return g.save(ctx)
}

// begin is after which message a group begins that is not there, and whether it was there before.
func (g *group) begin(stream, first, last string) (from string, known bool) {
	before, known := g.at.Last[stream]
	switch {
	case !known:
		return last, false
	case newerID(before, last) || first != "" && newerID(g.at.First[stream], first): // the stream itself was made again
		return "0-0", true
	}
	return before, true
}

// endsOf are the id of the oldest message of a stream, "" for none, and the newest id that it ever gave; "0-0" when
// there is no stream.
func (g *group) endsOf(ctx context.Context, stream string) (first, last string, err error) {
	info, err := g.client.XInfoStream(ctx, stream).Result()
	if err != nil && (errors.Is(err, redis.Nil) || strings.Contains(err.Error(), "no such key")) {
		return "", "0-0", nil
	}
	if err != nil {
		return "", "", fmt.Errorf("ask for stream %s: %w", stream, err)
	}
	return info.FirstEntry.ID, info.LastGeneratedID, nil
}

// deliveredOf is how far a group that is there was read.
func (g *group) deliveredOf(ctx context.Context, stream string) (string, error) {
	groups, err := g.client.XInfoGroups(ctx, stream).Result()
	if err != nil {
		return "", fmt.Errorf("ask for the groups of stream %s: %w", stream, err)
	}
	for _, one := range groups {
		if one.Name == g.name {
			return one.LastDeliveredID, nil
		}
	}
	return "0-0", nil
}

// streamID takes an id apart.
func streamID(id string) (ms, seq uint64) {
	first, second, _ := strings.Cut(id, "-")
	ms, _ = strconv.ParseUint(first, 10, 64) // 0 for what is no id
	seq, _ = strconv.ParseUint(second, 10, 64)
	return ms, seq
}

// newerID reports whether an id comes after another.
func newerID(a, b string) bool {
	aMS, aSeq := streamID(a)
	bMS, bSeq := streamID(b)
	return aMS > bMS || aMS == bMS && aSeq > bSeq
}

func (g *group) read(ctx context.Context) error {
	streams := append([]string(nil), g.config.Streams...)
	for range g.config.Streams {
		streams = append(streams, ">")
	}
	count := g.config.MaxMsgCountPerRead
	if count <= 0 {
		count = 10
	}
	for {
		if err := g.takeOver(ctx, count); err != nil {
			if over(ctx) {
				return nil
			}
			return err
		}
		found, err := g.client.XReadGroup(
			ctx,
			&redis.XReadGroupArgs{
				Group: g.name, Consumer: g.consumer, Streams: streams, Count: count, Block: 5 * time.Second,
			},
		).Result()
		if over(ctx) {
			return nil
		}
		if err != nil && err != redis.Nil { //nolint:errorlint // the library's own way of saying "none"
			return fmt.Errorf("read group %s: %w", g.name, err)
		}
		for _, s := range found {
			if err := g.tell(ctx, s.Stream, s.Messages); err != nil {
				return err
			}
		}
	}
}

// pendingBatch is how many messages that others hold are looked at with one call.
const pendingBatch = 100

// takeOver takes what another consumer holds for too long. It asks in the way of Redis
// 5: XAUTOCLAIM came with 6.2.
func (g *group) takeOver(ctx context.Context, count int64) error {
	for _, stream := range g.config.Streams {
		ids, err := g.stuck(ctx, stream, count)
		if err != nil {
			return fmt.Errorf("look for messages of stream %s that are held: %w", stream, err)
		}
		for _, id := range ids {
			left, err := g.client.XClaim(
				ctx,
				&redis.XClaimArgs{
					Stream: stream, Group: g.name, Consumer: g.consumer, MinIdle: stuckFor, Messages: []string{id},
				},
			).Result()
			if errors.Is(err, redis.Nil) {
				// It was deleted from the stream: nothing is left to tell. Since 7.0 the server does this by itself.
				err = g.acknowledge(ctx, stream, id)
			}
			if err != nil {
				return fmt.Errorf("take over message %s of stream %s: %w", id, stream, err)
			}
			if err := g.tell(ctx, stream, left); err != nil {
				return err
			}
		}
	}
	return nil
}

// stuck lists messages that were delivered and not acknowledged for too long.
func (g *group) stuck(ctx context.Context, stream string, count int64) ([]string, error) {
	var out []string
	for start := "-"; int64(len(out)) < count; {
		page, err := g.client.XPendingExt(
			ctx, &redis.XPendingExtArgs{Stream: stream, Group: g.name, Start: start, End: "+", Count: pendingBatch},
		).Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			return nil, err
		}
		for _, p := range page {
			if p.Idle >= stuckFor {
				out = append(out, p.ID)
			}
		}
		if len(page) < pendingBatch {
			break
		}
		ms, seq := streamID(page[len(page)-1].ID)
		start = fmt.Sprintf("%d-%d", ms, seq+1)
	}
	return out, nil
}

func (g *group) tell(ctx context.Context, stream string, messages []redis.XMessage) error {
	for _, m := range messages {
		data := redisStreamData{Stream: stream, ID: m.ID, Metadata: g.config.Metadata}
		data.fill(m.Values)
		// Ids may be the sender's own, and begin anew with the stream: the values tell such messages apart.
		id := Key("redisStream", g.config.HostAddress, g.config.DB, stream, m.ID, m.Values)
		if err := g.tellOne(ctx, stream, m.ID, id, data); err != nil {
			return err
		}
	}
	if !g.dirty || time.Since(g.saved) < placeSave {
		return nil
	}
	return g.save(ctx)
}

// tellOne tells of a message and acknowledges it.
func (g *group) tellOne(ctx context.Context, stream, at, id string, data redisStreamData) error {
	return g.line.whole(func() error {
		if err := g.emit(ctx, id, data); err != nil {
			return err
		}
		// It is durable now, whatever becomes of the acknowledgement: a reader that is stopped here knows how far it
		// was.
		if newerID(at, g.at.Last[stream]) {
			g.at.Last[stream], g.dirty = at, true
		}
		if g.at.First[stream] == "" {
			g.at.First[stream], g.dirty = at, true
		}
		if err := g.acknowledge(ctx, stream, at); err != nil {
			return fmt.Errorf("acknowledge %s of stream %s: %w", at, stream, err)
		}
		return nil
	})
}

func (g *group) acknowledge(ctx context.Context, stream, id string) error {
	ctx, cancel := settling(ctx)
	defer cancel()
	return g.client.XAck(ctx, stream, g.name, id).Err()
}

// redisStreamData is the view. Source: Argo Events, RedisStreamEventData.
type redisStreamData struct {
	Stream    string         `json:"stream"`
	ID        string         `json:"message_id"`
	Values    map[string]any `json:"values"`
	Encodings Marks          `json:"valuesEncoding,omitempty"`
	Metadata  Metadata       `json:"metadata,omitempty"`
}

func (d *redisStreamData) fill(values map[string]any) {
	d.Values = make(map[string]any, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		text, ok := values[name].(string)
		if !ok {
			d.Values[name] = values[name]
			continue
		}
		plainName, plain := d.Encodings.plain(name, text)
		d.Values[plainName] = plain
	}
}
