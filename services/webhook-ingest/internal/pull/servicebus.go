package pull

import (
	"context"
	"errors"
	"fmt"
	"time"

	amqp1 "github.com/Azure/go-amqp"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// serviceBusCredit is how many messages are locked for us at once: the lock of one
// that waits for those before it may run out (30 s by default), and the service
// counts that as a failed delivery.
const serviceBusCredit = 16

// serviceBusMost is the largest message taken; a larger one ends up in the service's
// own dead-letter queue.
const serviceBusMost = 25 << 20

// serviceBus reads a queue, or the subscription of a topic; replicas share it. A
// message is completed after its event is durable, also where the manifest leaves
// deferDelete off: what upstream loses with a crash is delivered again here, with the
// same id.
func serviceBus(c v1alpha1.AzureServiceBusEventSource) Reader {
	return Reader{Filter: c.Filter, Everywhere: true, Run: func(ctx context.Context, env Env, emit Emit) error {
		entity, err := serviceBusEntity(c)
		if err != nil {
			return err
		}
		home, err := serviceBusHome(ctx, env, c)
		if err != nil {
			return err
		}
		secure, err := env.TLS(ctx, c.TLS)
		if err != nil {
			return err
		}
		conn, session, err := home.dial(ctx, secure)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		// Credit is given by hand: only then can it be taken back at the end.
		receiver, err := session.NewReceiver(ctx, entity, &amqp1.ReceiverOptions{Credit: -1, MaxMessageSize: serviceBusMost})
		if err != nil {
			return fmt.Errorf("read %s: %w", entity, err)
		}
		r := &serviceBusReader{config: c, home: home, entity: entity, receiver: receiver, emit: emit}
		if err := receiver.IssueCredit(serviceBusCredit); err != nil {
			return fmt.Errorf("read %s: %w", entity, err)
		}
		env.Up()
		defer r.giveBack(ctx)
		for !over(ctx) {
			if err := r.next(ctx); err != nil && !over(ctx) {
				return err
			}
		}
		return nil
	}}
}

func serviceBusEntity(c v1alpha1.AzureServiceBusEventSource) (string, error) {
	switch {
	case c.QueueName != "":
		return c.QueueName, nil
	case c.TopicName != "" && c.SubscriptionName != "":
		return c.TopicName + "/Subscriptions/" + c.SubscriptionName, nil
	default:
		return "", errors.New("one of queueName, and topicName with subscriptionName, is needed")
	}
}

func serviceBusHome(ctx context.Context, env Env, c v1alpha1.AzureServiceBusEventSource) (namespace, error) {
	if c.ConnectionString == nil {
		return namespace{}, errors.New("connectionString is needed: Azure identities, which fullyQualifiedNamespace asks for, are not supported by this version")
	}
	text, err := env.secretOf(ctx, c.ConnectionString)
	if err != nil {
		return namespace{}, err
	}
	return namespaceOf(text)
}

// serviceBusReader is a queue or subscription while it is read.
type serviceBusReader struct {
	config   v1alpha1.AzureServiceBusEventSource
	home     namespace
	entity   string
	receiver *amqp1.Receiver
	emit     Emit
	used     uint32 // credit of messages that are done with, not given anew
}

func (r *serviceBusReader) next(ctx context.Context) error {
	m, err := r.receiver.Receive(ctx, nil)
	if err != nil {
		return fmt.Errorf("read %s: %w", r.entity, err)
	}
	data := serviceBusView(r.config, m)
	position := amqpWord(m.Annotations["x-opt-sequence-number"])
	if position == "" {
		position = "id " + Key(data.MessageID, m.GetData())
	}
	// Sequence numbers begin anew with an entity that is made again; the time tells them apart.
	if err := r.emit(ctx, Key("azureServiceBus", r.home.address, r.entity, position, data.EnqueuedTime), data); err != nil {
		r.release(ctx, m)
		return err
	}
	ctx, cancel := settling(ctx)
	defer cancel()
	if err := r.receiver.AcceptMessage(ctx, m); err != nil {
		return fmt.Errorf("complete message %s of %s: %w", position, r.entity, err)
	}
	return r.refill()
}

// refill gives new credit once half of it is used: one flow for each message would
// double what goes over the wire.
func (r *serviceBusReader) refill() error {
	if r.used++; r.used < serviceBusCredit/2 {
		return nil
	}
	if err := r.receiver.IssueCredit(r.used); err != nil {
		return fmt.Errorf("read %s: %w", r.entity, err)
	}
	r.used = 0
	return nil
}

// giveBack unlocks what was sent ahead, also what is on its way, for the other replicas.
func (r *serviceBusReader) giveBack(ctx context.Context) {
	limited, cancel := settling(ctx)
	defer cancel()
	_ = r.receiver.DrainCredit(limited, nil) // else the locks of what arrives later run out
	for m := r.receiver.Prefetched(); m != nil; m = r.receiver.Prefetched() {
		r.release(ctx, m)
	}
}

func (r *serviceBusReader) release(ctx context.Context, m *amqp1.Message) {
	ctx, cancel := settling(ctx)
	defer cancel()
	_ = r.receiver.ReleaseMessage(ctx, m) // else its lock runs out
}

// serviceBusData is the view. Source: Argo Events, AzureServiceBusEventData.
type serviceBusData struct {
	Properties map[string]any `json:"applicationProperties"`
	Content
	ContentType    *string    `json:"contentType"`
	CorrelationID  *string    `json:"correlationID"`
	EnqueuedTime   *time.Time `json:"enqueuedTime"`
	MessageID      string     `json:"messageID"`
	ReplyTo        *string    `json:"replyTo"`
	SequenceNumber *int64     `json:"sequenceNumber"`
	Subject        *string    `json:"subject"`
	Metadata       Metadata   `json:"metadata,omitempty"`
}

func serviceBusView(c v1alpha1.AzureServiceBusEventSource, m *amqp1.Message) serviceBusData {
	data := serviceBusData{Properties: plainProperties(m.ApplicationProperties), Content: content(c.JSONBody, amqpBytes(m)), Metadata: c.Metadata}
	if p := m.Properties; p != nil {
		data.ContentType, data.ReplyTo, data.Subject = p.ContentType, p.ReplyTo, p.Subject
		data.MessageID = amqpWord(p.MessageID)
		if p.CorrelationID != nil {
			word := amqpWord(p.CorrelationID)
			data.CorrelationID = &word
		}
	}
	if at, ok := m.Annotations["x-opt-enqueued-time"].(time.Time); ok {
		data.EnqueuedTime = &at
	}
	if n, ok := m.Annotations["x-opt-sequence-number"].(int64); ok {
		data.SequenceNumber = &n
	}
	return data
}
