package pull

import (
	"context"
	"errors"
	"fmt"

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
		Addr:                  r.address,
		Username:              r.user,
		Password:              password,
		DB:                    int(r.db),
		TLSConfig:             secure,
		PoolSize:              2,
		ContextTimeoutEnabled: true,
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
		if len(c.Channels)+len(c.Patterns) == 0 {
			return errors.New("one of channels and patterns is needed")
		}
		server := redisServer{address: c.HostAddress, user: c.Username, db: c.DB, password: c.Password, tls: c.TLS}
		client, err := server.connect(ctx, env)
		if err != nil {
			return err
		}
		defer func() { _ = client.Close() }()
		sub := client.Subscribe(ctx, c.Channels...)
		if len(c.Patterns) > 0 {
			if err := sub.PSubscribe(ctx, c.Patterns...); err != nil {
				return fmt.Errorf("subscribe at redis: %w", err)
			}
		}
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
			data := redisData{
				Channel: m.Channel, Pattern: m.Pattern, Content: textContent(c.JSONBody, []byte(m.Payload)),
				Metadata: c.Metadata,
			}
			if err := emit(ctx, "", data); err != nil {
				return err
			}
		}
	}}
}

// redisData is the view. Source: Argo Events, RedisEventData; a JSON body aside it
// is a string there, not base64.
type redisData struct {
	Channel string `json:"channel"`
	Pattern string `json:"pattern"`
	Content
	Metadata Metadata `json:"metadata,omitempty"`
}
