package pull

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// mqttPatience bounds connecting and subscribing.
const mqttPatience = 15 * time.Second

// mqttTopic subscribes with QoS 1 in a session that the broker keeps under the
// client's id, so that messages wait while nobody is connected. Upstream uses QoS 0.
func mqttTopic(c v1alpha1.MQTTEventSource) Reader {
	return Reader{Filter: c.Filter, Run: func(ctx context.Context, env Env, emit Emit) error {
		user, password, err := env.login(ctx, c.Auth)
		if err != nil {
			return err
		}
		secure, err := env.TLS(ctx, c.TLS)
		if err != nil {
			return err
		}
		s := mqttSession{
			url:      c.URL,
			client:   c.ClientID,
			topic:    c.Topic,
			user:     user,
			password: password,
			tls:      secure,
			keep:     true,
		}
		return s.run(ctx, env, func(ctx context.Context, id string, m mqtt.Message) error {
			data := mqttData{
				Topic: m.Topic(), MessageID: int(m.MessageID()), Content: content(c.JSONBody, m.Payload()),
				Metadata: c.Metadata,
			}
			return emit(ctx, id, data)
		})
	}}
}

// mqttData is the view. Source: Argo Events, MQTTEventData.
type mqttData struct {
	Topic     string `json:"topic"`
	MessageID int    `json:"messageId"`
	Content
	Metadata Metadata `json:"metadata,omitempty"`
}

// emitterChannel subscribes to emitter.io, which speaks MQTT: its key stands in front
// of the channel.
func emitterChannel(c v1alpha1.EmitterEventSource) Reader {
	return Reader{Filter: c.Filter, Run: func(ctx context.Context, env Env, emit Emit) error {
		user, password, err := env.login(ctx, &v1alpha1.EventBasicAuth{Username: c.Username, Password: c.Password})
		if err != nil {
			return err
		}
		secure, err := env.TLS(ctx, c.TLS)
		if err != nil {
			return err
		}
		topic := strings.Trim(c.ChannelKey, "/") + "/" + strings.Trim(c.ChannelName, "/") + "/"
		s := mqttSession{
			url: c.Broker, client: Key(env.Name())[:20], topic: topic, user: user, password: password, tls: secure,
		}
		return s.run(ctx, env, func(ctx context.Context, id string, m mqtt.Message) error {
			return emit(
				ctx, id, emitterData{Topic: m.Topic(), Content: content(c.JSONBody, m.Payload()), Metadata: c.Metadata},
			)
		})
	}}
}

// emitterData is the view. Source: Argo Events, EmitterEventData.
type emitterData struct {
	Topic string `json:"topic"`
	Content
	Metadata Metadata `json:"metadata,omitempty"`
}

// mqttSession is one subscription.
type mqttSession struct {
	url, client, topic, user, password string
	tls                                *tls.Config
	keep                               bool // the broker keeps messages while we are away, with QoS 1
}

// mqttSee makes an event of a message under an id.
type mqttSee func(ctx context.Context, id string, m mqtt.Message) error

// run reads until ctx ends or the connection is lost. A message is acknowledged
// after see returned without error.
func (s mqttSession) run(ctx context.Context, env Env, see mqttSee) error {
	known, err := loadRetained(ctx, env)
	if err != nil {
		return err
	}
	defer known.flush(ctx)
	lost, messages := make(chan error, 1), newBacklog()
	defer messages.close()
	client, err := s.connect(env, known, lost, messages)
	if err != nil {
		return err
	}
	defer client.Disconnect(250)
	messages.bound()
	if err := known.save(ctx); err != nil {
		return err
	}
	env.Up()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-lost:
			return fmt.Errorf("the connection to %s was lost: %w", s.url, err)
		case <-messages.ready:
			m, ok := messages.pop()
			if !ok {
				continue
			}
			if err := s.take(ctx, known, m, see); err != nil {
				return err
			}
		}
	}
}

// connect opens the session and subscribes.
func (s mqttSession) connect(env Env, known *retained, lost chan<- error, messages *backlog) (mqtt.Client, error) {
	options := mqtt.NewClientOptions().AddBroker(s.url).SetClientID(s.client).SetUsername(s.user).SetPassword(
		s.password,
	).
		SetCleanSession(!s.keep).SetAutoAckDisabled(
		true,
	).SetAutoReconnect(false).SetConnectTimeout(mqttPatience).SetOrderMatters(true).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) { lost <- err }).
		// A kept session delivers all that waits before the subscription is renewed.
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { messages.push(m) })
	if s.tls != nil {
		options.SetTLSConfig(s.tls)
	}
	client := mqtt.NewClient(options)
	connecting := client.Connect()
	if err := settled(connecting); err != nil {
		return nil, fmt.Errorf("connect to %s: %w", s.url, err)
	}
	if there, ok := connecting.(*mqtt.ConnectToken); ok && s.keep && known.before && !there.SessionPresent() {
		env.notef(
			"the broker at %s kept no session for the client %s: what was published while nobody read is lost", s.url,
			s.client,
		)
	}
	qos := byte(0)
	if s.keep {
		qos = 1
	}
	if err := settled(client.Subscribe(s.topic, qos, nil)); err != nil {
		client.Disconnect(250)
		return nil, fmt.Errorf("subscribe to %s: %w", s.topic, err)
	}
	return client, nil
}

// take tells of a message, unless it is a state that was told before.
func (s mqttSession) take(ctx context.Context, known *retained, m mqtt.Message, see mqttSee) error {
	id, news := known.judge(s.url, m)
	if news {
		if err := see(ctx, id, m); err != nil {
			return err
		}
	}
	m.Ack()
	return known.note(ctx, m)
}

func settled(t mqtt.Token) error {
	if !t.WaitTimeout(mqttPatience) {
		return errors.New("no answer within " + strconv.Itoa(int(mqttPatience.Seconds())) + " s")
	}
	return t.Error()
}
