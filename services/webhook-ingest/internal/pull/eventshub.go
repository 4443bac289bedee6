package pull

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"golang.org/x/sync/errgroup"
)

// hubSave is how many events are read before the position is saved, when there is no
// pause in between: a crash repeats as many, under the same ids.
const hubSave = 100

// hubPause is how long nothing comes for the position to be saved.
const hubPause = 200 * time.Millisecond

// eventsHub reads all partitions of a hub as its default consumer group. The owner
// reads from where it stopped; the first time it begins with what comes next, as
// upstream. The sequence number names the event.
func eventsHub(c v1alpha1.AzureEventsHubEventSource) Reader {
	return Reader{Filter: c.Filter, Run: func(ctx context.Context, env Env, emit Emit) error {
		h := &hub{config: c, env: env, emit: emit}
		var err error
		if h.client, err = h.home(ctx); err != nil {
			return err
		}
		defer func() {
			ending, cancel := settling(ctx)
			defer cancel()
			_ = h.client.Close(ending)
		}()
		if err := h.begin(ctx); err != nil {
			if over(ctx) {
				return nil
			}
			return err
		}
		env.Up()
		all, ctx := errgroup.WithContext(ctx)
		for _, id := range slices.Sorted(maps.Keys(h.at)) {
			all.Go(func() error { return h.read(ctx, id) })
		}
		return all.Wait()
	}}
}

// hub is one while it is read.
type hub struct {
	config v1alpha1.AzureEventsHubEventSource
	env    Env
	emit   Emit
	client *azeventhubs.ConsumerClient

	mu   sync.Mutex
	made string            // when the hub was made
	at   map[string]string // the offset up to which each partition is durable
}

// hubPlace is what is remembered of a hub. Offsets count only for the hub that they
// were read from.
type hubPlace struct {
	Made string            `json:"made"`
	At   map[string]string `json:"at"`
}

// known is what was saved of the hub that is there now.
func (h *hub) known(saved []byte) map[string]string {
	var place hubPlace
	if json.Unmarshal(saved, &place) == nil && place.At != nil {
		if place.Made != "" && h.made != "" && place.Made != h.made {
			h.env.notef("hub %s was deleted and made again: it is read from its beginning", h.config.HubName)
			for id := range place.At {
				place.At[id] = "-1"
			}
		}
		return place.At
	}
	before := map[string]string{} // as older versions wrote it
	if json.Unmarshal(saved, &before) != nil {
		return map[string]string{} // of another kind that had this name before
	}
	return before
}

// home is the namespace of the hub; fqdn may begin with amqp://, for an emulator. Without keys the identity of this
// process counts, where the namespace may use it.
func (h *hub) home(ctx context.Context) (*azeventhubs.ConsumerClient, error) {
	// What fails is tried again by whoever runs readers.
	options := &azeventhubs.ConsumerClientOptions{
		TLSConfig: h.env.azureSecure(nil), CustomEndpoint: h.env.azure.endpoint,
		RetryOptions: azeventhubs.RetryOptions{MaxRetries: -1},
	}
	host, emulated := strings.CutPrefix(h.config.FQDN, "amqp://")
	host = strings.TrimSuffix(strings.TrimPrefix(host, "amqps://"), "/")
	if h.config.SharedAccessKeyName == nil && h.config.SharedAccessKey == nil {
		own, err := h.env.azureIdentity(
			"azureEventsHub without sharedAccessKey", "sharedAccessKeyName and sharedAccessKey", host,
		)
		if err != nil {
			return nil, err
		}
		return azeventhubs.NewConsumerClient(host, h.config.HubName, azeventhubs.DefaultConsumerGroup, own, options)
	}
	rule, err := h.env.secretOf(ctx, h.config.SharedAccessKeyName)
	if err != nil {
		return nil, err
	}
	key, err := h.env.secretOf(ctx, h.config.SharedAccessKey)
	if err != nil {
		return nil, err
	}
	if rule == "" || key == "" || strings.ContainsAny(host+rule+key, ";") {
		return nil, errors.New("sharedAccessKeyName and sharedAccessKey are needed, without semicolons")
	}
	text := "Endpoint=sb://" + host + "/;SharedAccessKeyName=" + rule + ";SharedAccessKey=" + key
	if emulated {
		text += ";UseDevelopmentEmulator=true"
	}
	client, err := azeventhubs.NewConsumerClientFromConnectionString(
		text, h.config.HubName, azeventhubs.DefaultConsumerGroup, options,
	)
	if err != nil {
		// the error may quote it
		return nil, errors.New("fqdn, sharedAccessKeyName and sharedAccessKey make no connection string")
	}
	return client, nil
}

// begin finds the partitions and where to go on. The end of a partition that was
// never read is remembered at once, so that a restart before its first event loses
// none.
func (h *hub) begin(ctx context.Context) error {
	saved, err := h.env.Positions.Load(ctx, h.env.Name())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, azurePatience)
	defer cancel()
	about, err := h.client.GetEventHubProperties(ctx, nil)
	if err != nil {
		return fmt.Errorf("ask about hub %s: %w", h.config.HubName, err)
	}
	if len(about.PartitionIDs) == 0 {
		return fmt.Errorf("hub %s names no partitions", h.config.HubName)
	}
	h.made = fmt.Sprint(about.CreatedOn)
	known := h.known(saved)
	h.at = map[string]string{}
	for _, id := range about.PartitionIDs {
		if h.at[id] = known[id]; known[id] != "" {
			continue
		}
		about, err := h.client.GetPartitionProperties(ctx, id, nil)
		if err != nil {
			return fmt.Errorf("ask about partition %s of hub %s: %w", id, h.config.HubName, err)
		}
		if h.at[id] = about.LastEnqueuedOffset; h.at[id] == "" {
			h.at[id] = "-1" // before the first
		}
	}
	return h.save(ctx)
}

func (h *hub) save(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	text, err := json.Marshal(hubPlace{Made: h.made, At: h.at})
	if err != nil {
		return err
	}
	return h.env.Positions.Save(ctx, h.env.Name(), text)
}

// read reads one partition. The position is saved in each pause.
func (h *hub) read(ctx context.Context, id string) error {
	h.mu.Lock()
	after := strings.ReplaceAll(h.at[id], "'", "")
	h.mu.Unlock()
	partition, err := h.client.NewPartitionClient(
		id,
		&azeventhubs.PartitionClientOptions{
			StartPosition: azeventhubs.StartPosition{Offset: &after}, Prefetch: prefetch,
		},
	)
	if err != nil {
		return fmt.Errorf("read partition %s of hub %s: %w", id, h.config.HubName, err)
	}
	defer func() {
		ending, cancel := settling(ctx)
		defer cancel()
		_ = partition.Close(ending)
	}()
	for unsaved := 0; err == nil; {
		var e *azeventhubs.ReceivedEventData
		if e, err = h.next(ctx, partition, unsaved > 0); err == nil && e != nil {
			err = h.take(ctx, id, e)
			unsaved++
		}
		if err == nil && unsaved > 0 && (e == nil || unsaved >= hubSave) {
			err = h.save(ctx)
			unsaved = 0
		}
	}
	if over(ctx) {
		return nil
	}
	return fmt.Errorf("read partition %s of hub %s: %w", id, h.config.HubName, err)
}

// next waits for one event; with impatient it returns none in a pause.
func (h *hub) next(
	ctx context.Context, partition *azeventhubs.PartitionClient, impatient bool,
) (*azeventhubs.ReceivedEventData, error) {
	waiting := ctx
	if impatient {
		var cancel context.CancelFunc
		waiting, cancel = context.WithTimeout(ctx, hubPause)
		defer cancel()
	}
	events, err := guarded(
		func() ([]*azeventhubs.ReceivedEventData, error) { return partition.ReceiveEvents(waiting, 1, nil) },
	)
	if err != nil && waiting.Err() != nil && ctx.Err() == nil {
		return nil, nil
	}
	if err != nil || len(events) == 0 {
		return nil, err
	}
	return events[0], nil
}

func (h *hub) take(ctx context.Context, id string, e *azeventhubs.ReceivedEventData) error {
	raw := e.RawAMQPMessage
	data := hubData{
		PartitionKey: amqpWord(raw.MessageAnnotations["x-opt-partition-key"]),
		Body:         amqpBytes(raw.Body.Data, raw.Body.Value),
		Metadata:     h.config.Metadata,
	}
	if raw.Properties != nil {
		data.ID = amqpWord(raw.Properties.MessageID)
	}
	position := Key(
		"azureEventsHub", h.config.FQDN, h.config.HubName, id,
		amqpWord(raw.MessageAnnotations["x-opt-sequence-number"]),
		amqpWord(raw.MessageAnnotations["x-opt-enqueued-time"]),
	)
	if err := h.emit(ctx, position, data); err != nil {
		return err
	}
	if e.Offset != "" {
		h.mu.Lock()
		h.at[id] = e.Offset
		h.mu.Unlock()
	}
	return nil
}

// hubData is the view. Source: Argo Events, AzureEventsHubEventData. There a message
// without an id ends the reader; here its id is empty.
type hubData struct {
	ID           string   `json:"id"`
	PartitionKey string   `json:"partitionKey"`
	Body         []byte   `json:"body"`
	Metadata     Metadata `json:"metadata,omitempty"`
}
