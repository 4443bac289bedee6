package pull

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue"
	"github.com/argosy-mesh/argosy/libs/core/span"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// What is asked of a queue. Source: Argo Events hides messages for 120 s, takes ten
// at once and waits 3 s when there are none.
const (
	storageHidden = 120
	storageBatch  = 10
	storageWait   = 3 * time.Second
)

// storageQueue reads a queue of Azure's storage; replicas share it. A message is
// deleted after its event is durable, and has the same id when it comes again.
func storageQueue(c v1alpha1.AzureQueueStorageEventSource) Reader {
	return Reader{Filter: c.Filter, AllReplicas: true, Run: func(ctx context.Context, env Env, emit Emit) error {
		client, err := storageClient(ctx, env, c)
		if err != nil {
			return err
		}
		r := storageReader{client: client, place: storagePlace(client.URL(), c.QueueName), config: c, emit: emit}
		wait := storageWait
		if c.WaitTimeInSeconds > 0 {
			wait = span.Seconds(c.WaitTimeInSeconds)
		}
		for {
			n, err := r.batch(ctx, env.Up)
			if over(ctx) {
				return nil
			}
			if err != nil {
				return err
			}
			if n == 0 && !pause(ctx, wait) {
				return nil
			}
		}
	}}
}

// storageClient has the connection string of the manifest, or the identity of this process where the namespace may use
// it.
func storageClient(
	ctx context.Context, env Env, c v1alpha1.AzureQueueStorageEventSource,
) (*azqueue.QueueClient, error) {
	if c.QueueName == "" || strings.ContainsAny(c.QueueName, "/?#%") {
		return nil, fmt.Errorf("queueName %q is no name of a queue", c.QueueName)
	}
	client := restClient()
	if env.azure.client != nil {
		client = env.azure.client
	}
	// What fails is tried again by whoever runs readers.
	options := &azqueue.ClientOptions{
		ClientOptions: policy.ClientOptions{Transport: client, Retry: policy.RetryOptions{MaxRetries: -1}},
	}
	if c.ConnectionString == nil {
		host := c.StorageAccountName + ".queue.core.windows.net"
		own, err := env.azureIdentity("azureQueueStorage.storageAccountName", "connectionString", host)
		if err != nil {
			return nil, err
		}
		return azqueue.NewQueueClient("https://"+host+"/"+c.QueueName, own, options)
	}
	text, err := env.secretOf(ctx, c.ConnectionString)
	if err != nil {
		return nil, err
	}
	text = strings.Replace(text, "SharedAccessSignature=?", "SharedAccessSignature=", 1) // as the portal shows it
	made, err := azqueue.NewQueueClientFromConnectionString(text, c.QueueName, options)
	if err == nil {
		if u, failed := url.Parse(made.URL()); failed == nil && u.Host != "" {
			return made, nil
		}
	}
	// The error may quote the connection string.
	return nil, errors.New(
		"the connection string needs AccountName with AccountKey in base64, or QueueEndpoint that is a URL with SharedAccessSignature",
	)
}

// storagePlace is where the queues of an account are, without what lets us in: it is part of the ids of events.
func storagePlace(at, queue string) string {
	before, _, _ := strings.Cut(at, "?")
	return strings.TrimSuffix(strings.TrimSuffix(before, "/"+queue), "/")
}

// storageReader is a queue while it is read.
type storageReader struct {
	client *azqueue.QueueClient
	place  string // a URL without a slash at its end
	config v1alpha1.AzureQueueStorageEventSource
	emit   Emit
}

// batch takes what is there and returns how much that was. up is called when the
// service answered.
func (r storageReader) batch(ctx context.Context, up func()) (int, error) {
	began := time.Now()
	count, hidden := int32(storageBatch), int32(storageHidden)
	list, err := r.client.DequeueMessages(
		ctx, &azqueue.DequeueMessagesOptions{NumberOfMessages: &count, VisibilityTimeout: &hidden},
	)
	if err != nil {
		return 0, fmt.Errorf("read queue %s: %w", r.config.QueueName, storageError(err))
	}
	up()
	for _, m := range list.Messages {
		if time.Since(began) > storageHidden*time.Second/2 {
			break // what is left may be somebody else's by now; it comes again
		}
		if err := r.take(ctx, m); err != nil {
			return 0, err
		}
	}
	return len(list.Messages), nil
}

// storageError says what the service said. The URL of a request may hold a signature.
func storageError(err error) error {
	if said, is := errors.AsType[*azcore.ResponseError](err); is {
		return fmt.Errorf("the answer is %d %s", said.StatusCode, said.ErrorCode)
	}
	if of, is := errors.AsType[*url.Error](err); is {
		err = of.Err
	}
	return err
}

func (r storageReader) take(ctx context.Context, m *azqueue.DequeuedMessage) error {
	if m.MessageID == nil || m.PopReceipt == nil {
		return fmt.Errorf("read queue %s: a message without id or receipt", r.config.QueueName)
	}
	text := ""
	if m.MessageText != nil {
		text = *m.MessageText
	}
	data := storageData{
		ID:       *m.MessageID,
		Content:  content(r.config.JSONBody, storageText(r.config.DecodeMessage, text)),
		Metadata: r.config.Metadata,
	}
	if m.InsertionTime != nil {
		data.Inserted = m.InsertionTime.UTC()
	}
	if err := r.emit(ctx, Key("azureQueueStorage", r.place, r.config.QueueName, data.ID), data); err != nil {
		return err
	}
	ctx, cancel := settling(ctx)
	defer cancel()
	_, err := r.client.DeleteMessage(ctx, data.ID, *m.PopReceipt, nil)
	if said, is := errors.AsType[*azcore.ResponseError](err); is && said.StatusCode == http.StatusNotFound {
		return nil // whoever saw it meanwhile deleted it
	}
	if err != nil {
		return fmt.Errorf("delete message %s of queue %s: %w", data.ID, r.config.QueueName, storageError(err))
	}
	return nil
}

// storageText is the text of a message, out of base64 where the manifest wants that.
// What is no base64 is taken as it is: upstream drops it.
func storageText(decode bool, text string) []byte {
	if decode {
		for _, form := range []*base64.Encoding{base64.URLEncoding, base64.StdEncoding} {
			if raw, err := form.DecodeString(text); err == nil {
				return raw
			}
		}
	}
	return []byte(text)
}

// storageData is the view. Source: Argo Events, AzureQueueStorageEventData.
type storageData struct {
	Content
	ID       string    `json:"messageID"`
	Inserted time.Time `json:"insertionTime"`
	Metadata Metadata  `json:"metadata,omitempty"`
}
