package pull

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/redis/go-redis/v9"
	corev1 "k8s.io/api/core/v1"
)

// redisServer is how a Redis is reached.
type redisServer struct {
	address, user string
	db            int64
	password      *corev1.SecretKeySelector
	tls           *v1alpha1.EventTLSConfig
}

func (r redisServer) connect(ctx context.Context, env Env) (*redis.Client, error) {
	password, err := env.secretOf(ctx, r.password)
	if err != nil {
		return nil, err
	}
	secure, err := env.TLS(ctx, r.tls)
	if err != nil {
		return nil, err
	}
	client := redis.NewClient(&redis.Options{
		Addr: r.address, Username: r.user, Password: password, DB: int(r.db), TLSConfig: secure, PoolSize: 2, ContextTimeoutEnabled: true,
	})
	if err := client.Ping(ctx).Err(); err != nil {
		_ = client.Close()
		return nil, fmt.Errorf("connect to redis at %s: %w", r.address, err)
	}
	return client, nil
}

// redisChannels listens to publish/subscribe, which keeps nothing: what is
// published while nobody listens is gone, and a message has no id.
func redisChannels(c v1alpha1.RedisEventSource) Reader {
	return Reader{Filter: c.Filter, Run: func(ctx context.Context, env Env, emit Emit) error {
		server := redisServer{address: c.HostAddress, user: c.Username, db: c.DB, password: c.Password, tls: c.TLS}
		client, err := server.connect(ctx, env)
		if err != nil {
			return err
		}
		defer func() { _ = client.Close() }()
		sub := client.PSubscribe(ctx, c.Channels...)
		defer func() { _ = sub.Close() }()
		// A blocked read does not notice the end of its context.
		stop := context.AfterFunc(ctx, func() { _ = sub.Close() })
		defer stop()
		if _, err := sub.Receive(ctx); err != nil {
			return fmt.Errorf("subscribe at redis: %w", err)
		}
		env.Up()
		for {
			m, err := sub.ReceiveMessage(ctx)
			if over(ctx) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("read from redis: %w", err)
			}
			data := redisData{Channel: m.Channel, Pattern: m.Pattern, Body: Body(c.JSONBody, []byte(m.Payload)), Metadata: c.Metadata}
			if err := emit(ctx, "", data); err != nil {
				return err
			}
		}
	}}
}

// redisData is the view. Source: Argo Events, RedisEventData; a JSON body aside it
// is a string there, not base64.
type redisData struct {
	Channel  string   `json:"channel"`
	Pattern  string   `json:"pattern"`
	Body     any      `json:"body"`
	Metadata Metadata `json:"metadata,omitempty"`
}

// defaultGroup is the consumer group of streams. Source: Argo Events.
const defaultGroup = "argo-events-cg"

// stuckFor is how long another replica may hold a message before it is taken over.
const stuckFor = 30 * time.Second

// redisStreams reads streams as one consumer of a group: replicas share the
// messages. What was read and not acknowledged by one that died is taken over.
func redisStreams(c v1alpha1.RedisStreamEventSource) Reader {
	return Reader{Filter: c.Filter, Everywhere: true, Run: func(ctx context.Context, env Env, emit Emit) error {
		server := redisServer{address: c.HostAddress, user: c.Username, db: c.DB, password: c.Password, tls: c.TLS}
		client, err := server.connect(ctx, env)
		if err != nil {
			return err
		}
		defer func() { _ = client.Close() }()
		// A blocked read does not notice the end of its context.
		stop := context.AfterFunc(ctx, func() { _ = client.Close() })
		defer stop()
		g := group{client: client, config: c, name: c.ConsumerGroup, consumer: consumerName(), emit: emit}
		if g.name == "" {
			g.name = defaultGroup
		}
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
	name, consumer string
	emit           Emit
}

// make makes the group where it is not there; a new one begins with what comes
// next, as upstream has it.
func (g group) make(ctx context.Context) error {
	for _, stream := range g.config.Streams {
		err := g.client.XGroupCreateMkStream(ctx, stream, g.name, "$").Err()
		if err != nil && !strings.HasPrefix(err.Error(), "BUSYGROUP") {
			return fmt.Errorf("make group %s of stream %s: %w", g.name, stream, err)
		}
	}
	return nil
}

func (g group) read(ctx context.Context) error {
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
			return err
		}
		found, err := g.client.XReadGroup(ctx, &redis.XReadGroupArgs{Group: g.name, Consumer: g.consumer, Streams: streams, Count: count, Block: 5 * time.Second}).Result()
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

func (g group) takeOver(ctx context.Context, count int64) error {
	for _, stream := range g.config.Streams {
		left, _, err := g.client.XAutoClaim(ctx, &redis.XAutoClaimArgs{Stream: stream, Group: g.name, Consumer: g.consumer, MinIdle: stuckFor, Start: "0", Count: count}).Result()
		if err != nil {
			return fmt.Errorf("take over messages of stream %s: %w", stream, err)
		}
		if err := g.tell(ctx, stream, left); err != nil {
			return err
		}
	}
	return nil
}

func (g group) tell(ctx context.Context, stream string, messages []redis.XMessage) error {
	for _, m := range messages {
		data := redisStreamData{Stream: stream, ID: m.ID, Values: m.Values, Metadata: g.config.Metadata}
		if err := g.emit(ctx, Key("redisStream", g.config.HostAddress, g.config.DB, stream, m.ID), data); err != nil {
			return err
		}
		if err := g.client.XAck(ctx, stream, g.name, m.ID).Err(); err != nil {
			return fmt.Errorf("acknowledge %s of stream %s: %w", m.ID, stream, err)
		}
	}
	return nil
}

// redisStreamData is the view. Source: Argo Events, RedisStreamEventData.
type redisStreamData struct {
	Stream   string         `json:"stream"`
	ID       string         `json:"message_id"`
	Values   map[string]any `json:"values"`
	Metadata Metadata       `json:"metadata,omitempty"`
}
