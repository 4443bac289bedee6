package pull

import (
	"context"
	"fmt"
	"strconv"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/nsqio/go-nsq"
)

// nsqInFlight is how many messages may be on the way to durability at once.
const nsqInFlight = 16

// nsqTopic reads a channel of a topic; replicas share it. A message is finished
// after its event is durable. Its id is the same when it comes again.
func nsqTopic(c v1alpha1.NSQEventSource) Reader {
	return Reader{Filter: c.Filter, AllReplicas: true, Run: func(ctx context.Context, env Env, emit Emit) error {
		secure, err := env.TLS(ctx, c.TLS)
		if err != nil {
			return err
		}
		config := nsq.NewConfig()
		config.MaxInFlight = nsqInFlight
		config.MaxAttempts = 0 // no message is given up
		if secure != nil {
			config.TlsV1, config.TlsConfig = true, secure
		}
		consumer, err := nsq.NewConsumer(c.Topic, c.Channel, config)
		if err != nil {
			return fmt.Errorf("nsq: %w", err)
		}
		consumer.SetLoggerLevel(nsq.LogLevelMax)
		consumer.AddConcurrentHandlers(nsq.HandlerFunc(func(m *nsq.Message) error {
			data := nsqData{
				Content: content(c.JSONBody, m.Body), Timestamp: strconv.FormatInt(m.Timestamp, 10),
				Address: m.NSQDAddress, Metadata: c.Metadata,
			}
			err := emit(ctx, Key("nsq", c.HostAddress, c.Topic, string(m.ID[:]), m.Timestamp), data)
			if err != nil {
				m.RequeueWithoutBackoff(0) // for the next reader; by default it would wait for 90 s
			}
			return err
		}), nsqInFlight)
		// The library connects again by itself once it was connected.
		if err := consumer.ConnectToNSQD(c.HostAddress); err != nil {
			consumer.Stop()
			<-consumer.StopChan
			return fmt.Errorf("connect to nsqd at %s: %w", c.HostAddress, err)
		}
		env.Up()
		<-ctx.Done()
		consumer.Stop()
		<-consumer.StopChan
		return nil
	}}
}

// nsqData is the view. Source: Argo Events, NSQEventData.
type nsqData struct {
	Content
	Timestamp string   `json:"timestamp"`
	Address   string   `json:"nsqdAddress"`
	Metadata  Metadata `json:"metadata,omitempty"`
}
