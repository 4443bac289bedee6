package pull

import (
	"context"
	"encoding/json"

	"github.com/argosy-mesh/argosy/libs/bus/foreign"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// natsServer is how a server is reached.
func natsServer(
	ctx context.Context, env Env, url string, auth *v1alpha1.NATSAuth, secure *v1alpha1.EventTLSConfig,
) (foreign.Server, error) {
	s := foreign.Server{URL: url, Name: "argosy " + env.Name()}
	var err error
	if s.TLS, err = env.TLS(ctx, secure); err != nil || auth == nil {
		return s, err
	}
	if s.User, s.Password, err = env.login(ctx, auth.Basic); err != nil {
		return s, err
	}
	if s.Token, err = env.secretOf(ctx, auth.Token); err != nil {
		return s, err
	}
	if s.Seed, err = env.secretOf(ctx, auth.Nkey); err != nil {
		return s, err
	}
	s.Credentials, err = env.Secrets.Bytes(ctx, env.Namespace, auth.Credential)
	return s, err
}

// natsSubject subscribes to a subject. Core NATS keeps nothing and gives no ids; with
// a queue the replicas share the messages, without one the owner reads.
func natsSubject(c v1alpha1.NATSEventsSource) Reader {
	return Reader{
		Filter:      c.Filter,
		AllReplicas: c.Queue != "",
		Run: func(ctx context.Context, env Env, emit Emit) error {
			server, err := natsServer(ctx, env, c.URL, c.Auth, c.TLS)
			if err != nil {
				return err
			}
			return server.Subscribe(ctx, c.Subject, c.Queue, env.Up, func(m foreign.Message) error {
				data := natsData{Subject: m.Subject, Content: content(c.JSONBody, m.Data), Metadata: c.Metadata}
				data.Header = data.Encodings.headers(m.Header)
				return emit(ctx, "", data)
			})
		},
	}
}

// natsData is the view. Source: Argo Events, NATSEventData.
type natsData struct {
	Subject string `json:"subject"`
	Content
	Header    map[string][]string `json:"header,omitempty"`
	Encodings Marks               `json:"headerEncoding,omitempty"`
	Metadata  Metadata            `json:"metadata,omitempty"`
}

// jetStream reads a stream with a durable consumer. The sequence in the stream, and the
// message's own time, name the event, so replicas share the stream and what comes again
// is recognised; a stream that is made again under its name begins at 1 with other times.
func jetStream(c v1alpha1.JetStreamEventSource) Reader {
	return Reader{Filter: c.Filter, AllReplicas: true, Run: func(ctx context.Context, env Env, emit Emit) error {
		server, err := natsServer(ctx, env, c.URL, c.Auth, c.TLS)
		if err != nil {
			return err
		}
		place := foreign.Place{}
		saved, err := env.Positions.Load(ctx, env.Name())
		if err != nil {
			return err
		}
		if saved != nil && json.Unmarshal(saved, &place) != nil {
			place = foreign.Place{} // of another kind that had this name before
		}
		if place.Stream != c.Stream {
			place = foreign.Place{Stream: c.Stream}
		}
		consumer := foreign.Consumer{
			Stream:   c.Stream,
			Durable:  c.Durable,
			Subjects: c.Subjects,
			Oldest:   c.Oldest,
			Owner:    env.Name(),
			Last:     place,
			Save: func(ctx context.Context, p foreign.Place) error {
				text, err := json.Marshal(p)
				if err != nil {
					return err
				}
				return env.Positions.Save(ctx, env.Name(), text)
			},
			Note: func(text string) { env.notef("%s", text) },
		}
		if consumer.Durable == "" {
			consumer.Durable = "argosy-" + Key(env.Name())
		}
		return server.Consume(ctx, consumer, env.Up, func(m foreign.Message) error {
			data := jetStreamData{
				Stream: c.Stream, Subject: m.Subject, Sequence: m.Sequence, Content: content(c.JSONBody, m.Data),
				Metadata: c.Metadata,
			}
			data.Header = data.Encodings.headers(m.Header)
			return emit(ctx, Key("jetstream", c.URL, c.Stream, m.Sequence, m.Time.UnixNano()), data)
		})
	}}
}

// jetStreamData is the view, that of nats with the position.
type jetStreamData struct {
	Stream   string `json:"stream"`
	Subject  string `json:"subject"`
	Sequence uint64 `json:"sequence"`
	Content
	Header    map[string][]string `json:"header,omitempty"`
	Encodings Marks               `json:"headerEncoding,omitempty"`
	Metadata  Metadata            `json:"metadata,omitempty"`
}
