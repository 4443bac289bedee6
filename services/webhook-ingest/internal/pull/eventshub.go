package pull

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	amqp1 "github.com/Azure/go-amqp"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"golang.org/x/sync/errgroup"
)

// hubSave is how many events are read before the position is saved, when there is no
// pause in between: a crash repeats as many, under the same ids.
const hubSave = 100

// hubToken is how long the signature of a question counts.
const hubToken = 5 * time.Minute

// eventsHub reads all partitions of a hub as its default consumer group. The owner
// reads from where it stopped; the first time it begins with what comes next, as
// upstream. The sequence number names the event.
func eventsHub(c v1alpha1.AzureEventsHubEventSource) Reader {
	return Reader{Filter: c.Filter, Run: func(ctx context.Context, env Env, emit Emit) error {
		h := &hub{config: c, env: env, emit: emit}
		home, err := h.home(ctx)
		if err != nil {
			return err
		}
		conn, session, err := home.dial(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		h.session = session
		if err := h.begin(ctx, home); err != nil {
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
	config  v1alpha1.AzureEventsHubEventSource
	env     Env
	emit    Emit
	session *amqp1.Session

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

// home is the namespace of the hub; fqdn may begin with amqp://, for an emulator.
func (h *hub) home(ctx context.Context) (namespace, error) {
	out := namespace{address: h.config.FQDN}
	if !strings.Contains(out.address, "://") {
		out.address = "amqps://" + out.address
	}
	var err error
	if out.rule, err = h.env.secretOf(ctx, h.config.SharedAccessKeyName); err != nil {
		return out, err
	}
	if out.key, err = h.env.secretOf(ctx, h.config.SharedAccessKey); err != nil {
		return out, err
	}
	if out.rule == "" || out.key == "" {
		return out, errors.New("sharedAccessKeyName and sharedAccessKey are needed")
	}
	return out, nil
}

// begin finds the partitions and where to go on. The end of a partition that was
// never read is remembered at once, so that a restart before its first event loses
// none.
func (h *hub) begin(ctx context.Context, home namespace) error {
	saved, err := h.env.Positions.Load(ctx, h.env.Name())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, azurePatience)
	defer cancel()
	desk, err := openDesk(ctx, h.session, hubSignature(home, h.config.HubName, time.Now().Add(hubToken)))
	if err != nil {
		return err
	}
	defer desk.close(ctx)
	about, err := desk.ask(ctx, map[string]any{"type": "com.microsoft:eventhub", "name": h.config.HubName})
	if err != nil {
		return err
	}
	ids, _ := about["partition_ids"].([]string)
	if len(ids) == 0 {
		return fmt.Errorf("hub %s names no partitions", h.config.HubName)
	}
	h.made = amqpWord(about["created_at"])
	known := h.known(saved)
	h.at = map[string]string{}
	for _, id := range ids {
		if h.at[id] = known[id]; known[id] != "" {
			continue
		}
		about, err := desk.ask(ctx, map[string]any{"type": "com.microsoft:partition", "name": h.config.HubName, "partition": id})
		if err != nil {
			return err
		}
		if h.at[id] = amqpWord(about["last_enqueued_offset"]); h.at[id] == "" {
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
	receiver, err := h.session.NewReceiver(ctx, h.config.HubName+"/ConsumerGroups/$Default/Partitions/"+id, &amqp1.ReceiverOptions{
		Credit: prefetch, Filters: []amqp1.LinkFilter{amqp1.NewSelectorFilter("amqp.annotation.x-opt-offset > '" + after + "'")},
	})
	for unsaved := 0; err == nil; unsaved++ {
		m := receiver.Prefetched()
		if unsaved > 0 && (m == nil || unsaved >= hubSave) {
			if err = h.save(ctx); err != nil {
				break
			}
			unsaved = 0
		}
		if m == nil {
			m, err = receiver.Receive(ctx, nil)
		}
		if err == nil {
			err = h.take(ctx, id, receiver, m)
		}
	}
	if over(ctx) {
		return nil
	}
	return fmt.Errorf("read partition %s of hub %s: %w", id, h.config.HubName, err)
}

func (h *hub) take(ctx context.Context, id string, receiver *amqp1.Receiver, m *amqp1.Message) error {
	data := hubData{PartitionKey: amqpWord(m.Annotations["x-opt-partition-key"]), Body: amqpBytes(m), Metadata: h.config.Metadata}
	if m.Properties != nil {
		data.ID = amqpWord(m.Properties.MessageID)
	}
	position := Key("azureEventsHub", h.config.FQDN, h.config.HubName, id, amqpWord(m.Annotations["x-opt-sequence-number"]), amqpWord(m.Annotations["x-opt-enqueued-time"]))
	if err := h.emit(ctx, position, data); err != nil {
		return err
	}
	if offset := amqpWord(m.Annotations["x-opt-offset"]); offset != "" {
		h.mu.Lock()
		h.at[id] = offset
		h.mu.Unlock()
	}
	return receiver.AcceptMessage(ctx, m) // only returns the credit: a hub keeps its events
}

// hubData is the view. Source: Argo Events, AzureEventsHubEventData. There a message
// without an id ends the reader; here its id is empty.
type hubData struct {
	ID           string   `json:"id"`
	PartitionKey string   `json:"partitionKey"`
	Body         []byte   `json:"body"`
	Metadata     Metadata `json:"metadata,omitempty"`
}

// desk asks a namespace about its hubs. Source: the management node of Event Hubs,
// whose requests and answers go over a pair of links.
type desk struct {
	sender   *amqp1.Sender
	receiver *amqp1.Receiver
	reply    string
	token    string
	asked    int
}

func openDesk(ctx context.Context, session *amqp1.Session, token string) (*desk, error) {
	const node = "$management"
	d := &desk{reply: "argosy-" + Key(time.Now()), token: token}
	var err error
	if d.sender, err = session.NewSender(ctx, node, nil); err == nil {
		d.receiver, err = session.NewReceiver(ctx, node, &amqp1.ReceiverOptions{TargetAddress: d.reply})
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", node, err)
	}
	return d, nil
}

func (d *desk) close(ctx context.Context) {
	ctx, cancel := settling(ctx)
	defer cancel()
	_ = errors.Join(d.sender.Close(ctx), d.receiver.Close(ctx)) // they end with the connection at the latest
}

func (d *desk) ask(ctx context.Context, about map[string]any) (map[string]any, error) {
	d.asked++
	about["operation"], about["security_token"] = "READ", d.token
	question := &amqp1.Message{Properties: &amqp1.MessageProperties{MessageID: strconv.Itoa(d.asked), ReplyTo: &d.reply}, ApplicationProperties: about}
	if err := d.sender.Send(ctx, question, nil); err != nil {
		return nil, fmt.Errorf("ask about %v: %w", about["name"], err)
	}
	m, err := d.receiver.Receive(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("ask about %v: %w", about["name"], err)
	}
	if err := d.receiver.AcceptMessage(ctx, m); err != nil {
		return nil, fmt.Errorf("ask about %v: %w", about["name"], err)
	}
	if code := amqpWord(m.ApplicationProperties["status-code"]); code != "200" {
		return nil, fmt.Errorf("ask about %v: %s %v", about["name"], code, m.ApplicationProperties["status-description"])
	}
	answer, ok := m.Value.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("ask about %v: the answer is no map", about["name"])
	}
	return answer, nil
}

// hubSignature is a shared access signature of a hub. Source: Azure, "Shared Access
// Signature": an HMAC-SHA256 over the escaped resource and the time when it ends.
func hubSignature(home namespace, name string, ends time.Time) string {
	resource := strings.ToLower(url.QueryEscape(home.address + "/" + name))
	expiry := strconv.FormatInt(ends.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(home.key))
	mac.Write([]byte(resource + "\n" + expiry))
	sum := url.QueryEscape(base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return "SharedAccessSignature sr=" + resource + "&sig=" + sum + "&se=" + expiry + "&skn=" + url.QueryEscape(home.rule)
}
