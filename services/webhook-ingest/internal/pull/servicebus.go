package pull

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// serviceBusCredit is how many messages are locked for us at once: the lock of one
// that waits for those before it may run out (30 s by default), and the service
// counts that as a failed delivery.
const serviceBusCredit = 16

// serviceBus reads a queue, or the subscription of a topic; replicas share it. A
// message is completed after its event is durable, also where the manifest leaves
// deferDelete off: what upstream loses with a crash is delivered again here, with the
// same id.
func serviceBus(c v1alpha1.AzureServiceBusEventSource) Reader {
	return Reader{Filter: c.Filter, AllReplicas: true, Run: func(ctx context.Context, env Env, emit Emit) error {
		entity, err := serviceBusEntity(c)
		if err != nil {
			return err
		}
		client, address, err := serviceBusClient(ctx, env, c)
		if err != nil {
			return err
		}
		defer func() {
			ending, cancel := settling(ctx)
			defer cancel()
			_ = client.Close(ending) // what is not settled goes to others
		}()
		receiver, err := serviceBusReceiver(client, c)
		if err != nil {
			return fmt.Errorf("read %s: %w", entity, err)
		}
		// The first question shows that the entity is there and may be read: receiving says so only when a message
		// comes.
		asking, cancel := context.WithTimeout(ctx, azurePatience)
		_, err = guarded(
			func() ([]*azservicebus.ReceivedMessage, error) { return receiver.PeekMessages(asking, 1, nil) },
		)
		cancel()
		if err != nil {
			if over(ctx) {
				return nil
			}
			return fmt.Errorf("look into %s: %w", entity, err)
		}
		env.Up()
		r := serviceBusReader{config: c, address: address, entity: entity, receiver: receiver, emit: emit}
		for !over(ctx) {
			if err := r.batch(ctx); err != nil && !over(ctx) {
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

func serviceBusReceiver(
	client *azservicebus.Client, c v1alpha1.AzureServiceBusEventSource,
) (*azservicebus.Receiver, error) {
	if c.QueueName != "" {
		return client.NewReceiverForQueue(c.QueueName, nil)
	}
	return client.NewReceiverForSubscription(c.TopicName, c.SubscriptionName, nil)
}

// serviceBusClient has the connection string of the manifest, or the identity of this process where the namespace may
// use it. The address is part of the ids of events.
func serviceBusClient(
	ctx context.Context, env Env, c v1alpha1.AzureServiceBusEventSource,
) (client *azservicebus.Client, address string, err error) {
	given, err := env.TLS(ctx, c.TLS)
	if err != nil {
		return nil, "", err
	}
	// What fails is tried again by whoever runs readers.
	options := &azservicebus.ClientOptions{
		TLSConfig: env.azureSecure(given), CustomEndpoint: env.azure.endpoint,
		RetryOptions: azservicebus.RetryOptions{MaxRetries: -1},
	}
	if c.ConnectionString == nil {
		own, err := env.azureIdentity(
			"azureServiceBus.fullyQualifiedNamespace", "connectionString", c.FullyQualifiedNamespace,
		)
		if err != nil {
			return nil, "", err
		}
		client, err = azservicebus.NewClient(c.FullyQualifiedNamespace, own, options)
		return client, "amqps://" + c.FullyQualifiedNamespace, err
	}
	text, err := env.secretOf(ctx, c.ConnectionString)
	if err == nil {
		address, err = azureAddress(text)
	}
	if err != nil {
		return nil, "", err
	}
	if client, err = azservicebus.NewClientFromConnectionString(text, options); err != nil {
		// the error may quote it
		err = errors.New(
			"the connection string needs SharedAccessKeyName and SharedAccessKey, or SharedAccessSignature",
		)
	}
	return client, address, err
}

// serviceBusReader is a queue or subscription while it is read.
type serviceBusReader struct {
	config   v1alpha1.AzureServiceBusEventSource
	address  string
	entity   string
	receiver *azservicebus.Receiver
	emit     Emit
}

// batch takes what is there.
func (r serviceBusReader) batch(ctx context.Context) error {
	messages, err := guarded(func() ([]*azservicebus.ReceivedMessage, error) {
		return r.receiver.ReceiveMessages(ctx, serviceBusCredit, nil)
	})
	if err != nil {
		return fmt.Errorf("read %s: %w", r.entity, err)
	}
	for i, m := range messages {
		if err := r.take(ctx, m); err != nil {
			r.giveBack(ctx, messages[i:])
			return err
		}
	}
	return nil
}

func (r serviceBusReader) take(ctx context.Context, m *azservicebus.ReceivedMessage) error {
	data := serviceBusView(r.config, m)
	position := amqpWord(m.RawAMQPMessage.MessageAnnotations["x-opt-sequence-number"])
	if position == "" {
		position = "id " + Key(data.MessageID, slices.Concat(m.RawAMQPMessage.Body.Data...))
	}
	// Sequence numbers begin anew with an entity that is made again; the time tells them apart.
	if err := r.emit(ctx, Key("azureServiceBus", r.address, r.entity, position, data.EnqueuedTime), data); err != nil {
		return err
	}
	ctx, cancel := settling(ctx)
	defer cancel()
	if err := r.receiver.CompleteMessage(ctx, m, nil); err != nil {
		return fmt.Errorf("complete message %s of %s: %w", position, r.entity, err)
	}
	return nil
}

// giveBack unlocks messages for the other replicas.
func (r serviceBusReader) giveBack(ctx context.Context, messages []*azservicebus.ReceivedMessage) {
	ctx, cancel := settling(ctx)
	defer cancel()
	for _, m := range messages {
		_ = r.receiver.AbandonMessage(ctx, m, nil) // else its lock runs out
	}
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

func serviceBusView(c v1alpha1.AzureServiceBusEventSource, m *azservicebus.ReceivedMessage) serviceBusData {
	raw := m.RawAMQPMessage
	data := serviceBusData{
		Properties:     plainProperties(raw.ApplicationProperties),
		Content:        content(c.JSONBody, amqpBytes(raw.Body.Data, raw.Body.Value)),
		Metadata:       c.Metadata,
		EnqueuedTime:   m.EnqueuedTime,
		SequenceNumber: m.SequenceNumber,
	}
	if p := raw.Properties; p != nil {
		data.ContentType, data.ReplyTo, data.Subject = p.ContentType, p.ReplyTo, p.Subject
		data.MessageID = amqpWord(p.MessageID)
		if p.CorrelationID != nil {
			word := amqpWord(p.CorrelationID)
			data.CorrelationID = &word
		}
	}
	return data
}
