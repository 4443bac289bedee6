package pull

import (
	"context"
	"fmt"
	"time"

	"github.com/argosy-mesh/argosy/libs/identity/amazon"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// What is asked of a queue. Sources: Argo Events hides messages for 120 s and waits
// 3 s; SQS gives at most ten messages and waits at most 20 s.
const (
	sqsHidden  = 120
	sqsWait    = 3
	sqsMaxWait = 20
	sqsBatch   = 10
)

// sqsQueue reads a queue; replicas share it. A message is deleted after its event is
// durable, and has the same id when it comes again.
func sqsQueue(c v1alpha1.SQSEventSource) Reader {
	return Reader{Filter: c.Filter, AllReplicas: true, Run: func(ctx context.Context, env Env, emit Emit) error {
		client, err := sqsClient(ctx, env, c)
		if err != nil {
			return err
		}
		ask := &sqs.GetQueueUrlInput{QueueName: &c.Queue}
		if c.QueueAccountID != "" {
			ask.QueueOwnerAWSAccountId = &c.QueueAccountID
		}
		queue, err := client.GetQueueUrl(ctx, ask)
		if err != nil {
			return fmt.Errorf("find queue %s: %w", c.Queue, err)
		}
		env.Up()
		r := sqsReader{client: client, url: aws.ToString(queue.QueueUrl), config: c, emit: emit}
		for !over(ctx) {
			if err := r.batch(ctx); err != nil && !over(ctx) {
				return err
			}
		}
		return nil
	}}
}

// sqsClient has the keys of the manifest, or the identity of the process where the namespace may use it; a role is
// assumed with them.
func sqsClient(ctx context.Context, env Env, c v1alpha1.SQSEventSource) (*sqs.Client, error) {
	access, err := env.secretOf(ctx, c.AccessKey)
	if err != nil {
		return nil, err
	}
	secret, err := env.secretOf(ctx, c.SecretKey)
	if err != nil {
		return nil, err
	}
	session, err := env.secretOf(ctx, c.SessionToken)
	if err != nil {
		return nil, err
	}
	if access == "" {
		if err := env.Own.Allow(env.Namespace, "sqs without accessKey", "accessKey and secretKey"); err != nil {
			return nil, err
		}
	}
	cfg, err := amazon.Config(
		ctx, amazon.Access{Region: c.Region, ID: access, Secret: secret, Token: session, RoleARN: c.RoleARN},
	)
	if err != nil {
		return nil, fmt.Errorf("set up sqs: %w", err)
	}
	return sqs.NewFromConfig(cfg, func(o *sqs.Options) {
		if c.Endpoint != "" { // token services are asked by a client of their own
			o.BaseEndpoint, o.HTTPClient = &c.Endpoint, restClient()
		}
	}), nil
}

// sqsReader is a queue while it is read.
type sqsReader struct {
	client *sqs.Client
	url    string
	config v1alpha1.SQSEventSource
	emit   Emit
}

func (r sqsReader) batch(ctx context.Context) error {
	wait := r.config.WaitTimeSeconds
	if wait <= 0 {
		wait = sqsWait
	}
	began := time.Now()
	out, err := r.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl:              &r.url,
		MaxNumberOfMessages:   sqsBatch,
		VisibilityTimeout:     sqsHidden,
		WaitTimeSeconds:       int32(min(wait, sqsMaxWait)),
		MessageAttributeNames: []string{"All"},
	})
	if err != nil {
		return fmt.Errorf("read queue %s: %w", r.config.Queue, err)
	}
	for i := range out.Messages {
		if time.Since(began) > sqsHidden*time.Second/2 {
			return nil // what is left may be somebody else's by now; it comes again
		}
		if err := r.take(ctx, &out.Messages[i]); err != nil {
			return err
		}
	}
	return nil
}

func (r sqsReader) take(ctx context.Context, m *types.Message) error {
	data := sqsData{
		ID:       aws.ToString(m.MessageId),
		Content:  content(r.config.JSONBody, []byte(aws.ToString(m.Body))),
		Metadata: r.config.Metadata,
	}
	if len(m.MessageAttributes) > 0 {
		data.Attributes = map[string]sqsAttribute{}
	}
	for name, a := range m.MessageAttributes {
		data.Attributes[name] = sqsAttribute{aws.ToString(a.DataType), a.StringValue, a.BinaryValue}
	}
	if err := r.emit(ctx, Key("sqs", r.url, data.ID), data); err != nil {
		return err
	}
	ctx, cancel := settling(ctx)
	defer cancel()
	_, err := r.client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &r.url, ReceiptHandle: m.ReceiptHandle})
	if err != nil {
		return fmt.Errorf("delete message %s of queue %s: %w", data.ID, r.config.Queue, err)
	}
	return nil
}

// sqsData is the view. Source: Argo Events, SQSEventData.
type sqsData struct {
	ID         string                  `json:"messageId"`
	Attributes map[string]sqsAttribute `json:"messageAttributes"`
	Content
	Metadata Metadata `json:"metadata,omitempty"`
}

// sqsAttribute is one attribute, with the names that the AWS SDK gives its parts.
type sqsAttribute struct {
	Type   string  `json:"DataType"`
	Text   *string `json:"StringValue"`
	Binary []byte  `json:"BinaryValue"`
}
