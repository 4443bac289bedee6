package pull

import (
	"context"
	"fmt"
	"math/big"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	amqp "github.com/rabbitmq/amqp091-go"
	"sigs.k8s.io/yaml"
)

// amqpQueue consumes a queue of RabbitMQ. Messages are acknowledged when they are
// durable, also where the manifest leaves autoAck at its default: what upstream
// loses with a crash is delivered again here.
func amqpQueue(c v1alpha1.AMQPEventSource) Reader {
	return Reader{Filter: c.Filter, Run: func(ctx context.Context, env Env, emit Emit) error {
		conn, err := dialAMQP(ctx, env, c)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		var held line
		stop := held.cutWith(ctx, conn.Close)
		defer stop()
		channel, err := conn.Channel()
		if err != nil {
			return fmt.Errorf("open a channel: %w", err)
		}
		// One at a time keeps the order, and leaves the rest for others.
		if err := channel.Qos(prefetch, 0, false); err != nil {
			return fmt.Errorf("limit deliveries: %w", err)
		}
		deliveries, err := consumeAMQP(channel, c)
		if err != nil {
			return err
		}
		env.Up()
		for d := range deliveries {
			err := held.whole(func() error {
				if err := emit(ctx, amqpID(c, d), amqpView(c, d)); err != nil {
					return err
				}
				if err := d.Ack(false); err != nil {
					return fmt.Errorf("acknowledge: %w", err)
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		if over(ctx) {
			return nil
		}
		return fmt.Errorf("the queue is not delivered any more")
	}}
}

// amqpID names a message by what its publisher says, which counts for that publisher
// only: another one may use the same id for another message.
func amqpID(c v1alpha1.AMQPEventSource, d amqp.Delivery) string {
	if d.MessageId == "" {
		return ""
	}
	return Key(
		"amqp", c.ExchangeName, d.Exchange, d.RoutingKey, d.AppId, d.UserId, d.Type, d.Timestamp.Unix(), d.MessageId,
		d.Body,
	)
}

// prefetch is how many messages the broker sends ahead.
const prefetch = 64

func dialAMQP(ctx context.Context, env Env, c v1alpha1.AMQPEventSource) (*amqp.Connection, error) {
	url := c.URL
	if c.URLSecret != nil {
		var err error
		if url, err = env.secretOf(ctx, c.URLSecret); err != nil {
			return nil, err
		}
	}
	cfg := amqp.Config{Heartbeat: 10 * time.Second, Locale: "en_US", Dial: amqp.DefaultDial(10 * time.Second)}
	user, password, err := env.login(ctx, c.Auth)
	if err != nil {
		return nil, err
	}
	if user != "" {
		cfg.SASL = []amqp.Authentication{&amqp.PlainAuth{Username: user, Password: password}}
	}
	if cfg.TLSClientConfig, err = env.TLS(ctx, c.TLS); err != nil {
		return nil, err
	}
	conn, err := amqp.DialConfig(url, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to the broker: %w", err)
	}
	return conn, nil
}

// consumeAMQP declares what the manifest declares. Source of the defaults: Argo
// Events declares a durable exchange and an exclusive queue when it is told nothing.
func consumeAMQP(channel *amqp.Channel, c v1alpha1.AMQPEventSource) (<-chan amqp.Delivery, error) {
	exchange := v1alpha1.AMQPExchangeDeclareConfig{Durable: true}
	if c.ExchangeDeclare != nil {
		exchange = *c.ExchangeDeclare
	}
	queue := v1alpha1.AMQPQueueDeclareConfig{Exclusive: true}
	if c.QueueDeclare != nil {
		queue = *c.QueueDeclare
	}
	var consume v1alpha1.AMQPConsumeConfig
	if c.Consume != nil {
		consume = *c.Consume
	}
	if c.ExchangeName != "" {
		if err := channel.ExchangeDeclare(
			c.ExchangeName, c.ExchangeType, exchange.Durable, exchange.AutoDelete, exchange.Internal, exchange.NoWait,
			nil,
		); err != nil {
			return nil, fmt.Errorf("declare exchange %s: %w", c.ExchangeName, err)
		}
	}
	arguments := amqp.Table{}
	if err := yaml.Unmarshal([]byte(queue.Arguments), &arguments); err != nil {
		return nil, fmt.Errorf("queueDeclare.arguments: %w", err)
	}
	q, err := channel.QueueDeclare(
		queue.Name, queue.Durable, queue.AutoDelete, queue.Exclusive, queue.NoWait, wholeNumbers(arguments),
	)
	if err != nil {
		return nil, fmt.Errorf("declare queue %s: %w", queue.Name, err)
	}
	if c.ExchangeName != "" {
		if err := channel.QueueBind(
			q.Name, c.RoutingKey, c.ExchangeName, c.QueueBind != nil && c.QueueBind.NoWait, nil,
		); err != nil {
			return nil, fmt.Errorf("bind queue %s: %w", q.Name, err)
		}
	}
	deliveries, err := channel.Consume(
		q.Name, consume.ConsumerTag, false, consume.Exclusive, consume.NoLocal, consume.NoWait, nil,
	)
	if err != nil {
		return nil, fmt.Errorf("consume queue %s: %w", q.Name, err)
	}
	return deliveries, nil
}

// wholeNumbers undoes what YAML does to the numbers of arguments.
func wholeNumbers(t amqp.Table) amqp.Table {
	for key, value := range t {
		if f, ok := value.(float64); ok && f == float64(int64(f)) {
			t[key] = int64(f)
		}
	}
	return t
}

// amqpData is the view. Source: Argo Events, AMQPEventData, with the headers, which
// upstream leaves out.
type amqpData struct {
	ContentType     string `json:"contentType"`
	ContentEncoding string `json:"contentEncoding"`
	DeliveryMode    int    `json:"deliveryMode"`
	Priority        int    `json:"priority"`
	CorrelationID   string `json:"correlationId"`
	ReplyTo         string `json:"replyTo"`
	Expiration      string `json:"expiration"`
	MessageID       string `json:"messageId"`
	Timestamp       string `json:"timestamp"`
	Type            string `json:"type"`
	AppID           string `json:"appId"`
	Exchange        string `json:"exchange"`
	RoutingKey      string `json:"routingKey"`
	Content
	Headers   map[string]any `json:"headers,omitempty"`
	Encodings Marks          `json:"headersEncoding,omitempty"`
	Metadata  Metadata       `json:"metadata,omitempty"`
}

func amqpView(c v1alpha1.AMQPEventSource, d amqp.Delivery) amqpData {
	data := amqpData{
		ContentType:     d.ContentType,
		ContentEncoding: d.ContentEncoding,
		DeliveryMode:    int(d.DeliveryMode),
		Priority:        int(d.Priority),
		CorrelationID:   d.CorrelationId,
		ReplyTo:         d.ReplyTo,
		Expiration:      d.Expiration,
		MessageID:       d.MessageId,
		Timestamp:       d.Timestamp.String(),
		Type:            d.Type,
		AppID:           d.AppId,
		Exchange:        d.Exchange,
		RoutingKey:      d.RoutingKey,
		Content:         content(c.JSONBody, d.Body),
		Metadata:        c.Metadata,
	}
	for name, value := range d.Headers {
		if data.Headers == nil {
			data.Headers = map[string]any{}
		}
		data.Headers[name] = amqpValue(&data.Encodings, name, value)
	}
	return data
}

// amqpValue gives a value of a header the form that it has in JSON; what has none, such
// as a number that is none, becomes text.
func amqpValue(marks *Marks, path string, value any) any {
	switch v := value.(type) {
	case string:
		_, text := marks.plain(path, v)
		return text
	case []byte:
		_, text := marks.plain(path, string(v))
		return text
	case amqp.Table:
		out := map[string]any{}
		for name, inner := range v {
			out[name] = amqpValue(marks, path+"."+name, inner)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, inner := range v {
			out[i] = amqpValue(marks, fmt.Sprintf("%s.%d", path, i), inner)
		}
		return out
	case amqp.Decimal:
		return new(big.Rat).SetFrac(
			big.NewInt(int64(v.Value)), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(v.Scale)), nil),
		).FloatString(int(v.Scale))
	default:
		return plainProperties(map[string]any{"": v})[""]
	}
}
