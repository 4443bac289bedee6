package trigger

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/sensing/param"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// slackURL is the Web API; SLACK's own host, unless a test says otherwise.
const slackURL = "https://slack.com/api"

// messages is the slack trigger.
type messages struct {
	world  World
	url    string
	client *http.Client

	mu      sync.Mutex
	threads map[string]string // aggregation key -> timestamp of its first message
}

func newSlack(w World) Adapter {
	return &messages{world: w, url: slackURL, client: newClient(nil), threads: map[string]string{}}
}

// Close closes the connections.
func (m *messages) Close() error {
	m.client.CloseIdleConnections()
	return nil
}

// post is a call of chat.postMessage.
type post struct {
	Channel     string          `json:"channel"`
	Text        string          `json:"text,omitempty"`
	Attachments json.RawMessage `json:"attachments,omitempty"`
	Blocks      json.RawMessage `json:"blocks,omitempty"`
	Username    string          `json:"username,omitempty"`
	IconURL     string          `json:"icon_url,omitempty"`
	IconEmoji   string          `json:"icon_emoji,omitempty"`
	ThreadTS    string          `json:"thread_ts,omitempty"`
	Broadcast   bool            `json:"reply_broadcast,omitempty"`
	// ClientMsgID lets Slack drop the second of two equal posts.
	ClientMsgID string `json:"client_msg_id"`
}

// Fire posts the message.
func (m *messages) Fire(ctx context.Context, c Call) (Result, error) {
	t, err := param.Fill(c.Fill, c.Template.Slack, c.Template.Slack.Parameters)
	if err != nil {
		return Result{}, fault.Poisonf("slack.%w", err)
	}
	p, err := m.post(t)
	if err != nil {
		return Result{}, err
	}
	// A UUID made of the key; the API takes no other form.
	p.ClientMsgID = uuid(c.Key)
	token, err := m.world.Values.Value(ctx, c.Sensor.Namespace, t.SlackToken)
	if err != nil {
		return Result{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	stamp, err := m.send(ctx, token, p)
	if err != nil {
		return Result{}, err
	}
	m.remember(t, stamp)
	return Result{Summary: "posted at " + stamp}, nil
}

func (m *messages) post(t *v1alpha1.SlackTrigger) (post, error) {
	if t.Channel == "" {
		return post{}, fault.Poisonf("slack.channel: is empty")
	}
	p := post{Channel: t.Channel, Text: t.Message}
	for _, part := range []struct {
		name, text string
		into       *json.RawMessage
	}{{"attachments", t.Attachments, &p.Attachments}, {"blocks", t.Blocks, &p.Blocks}} {
		if part.text == "" {
			continue
		}
		if !json.Valid([]byte(part.text)) {
			return post{}, fault.Poisonf("slack.%s: is no JSON", part.name)
		}
		*part.into = json.RawMessage(part.text)
	}
	if p.Text == "" && p.Attachments == nil && p.Blocks == nil {
		return post{}, fault.Poisonf("slack: none of message, attachments, blocks is given")
	}
	if s := t.Sender; s != nil {
		p.Username = s.Username
		if len(s.Icon) > 1 && s.Icon[0] == ':' {
			p.IconEmoji = s.Icon
		} else {
			p.IconURL = s.Icon
		}
	}
	if t.Thread != nil && t.Thread.MessageAggregationKey != "" {
		m.mu.Lock()
		p.ThreadTS = m.threads[t.Channel+"\x00"+t.Thread.MessageAggregationKey]
		m.mu.Unlock()
		p.Broadcast = p.ThreadTS != "" && t.Thread.BroadcastMessageToChannel
	}
	return p, nil
}

// maxThreads bounds what is remembered; older threads start anew.
const maxThreads = 10_000

func (m *messages) remember(t *v1alpha1.SlackTrigger, stamp string) {
	if t.Thread == nil || t.Thread.MessageAggregationKey == "" {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.threads) >= maxThreads {
		m.threads = map[string]string{}
	}
	if key := t.Channel + "\x00" + t.Thread.MessageAggregationKey; m.threads[key] == "" {
		m.threads[key] = stamp
	}
}

// passing are errors of Slack that may become better.
var passing = []string{
	"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout",
}

func (m *messages) send(ctx context.Context, token string, p post) (string, error) {
	body, err := json.Marshal(p)
	if err != nil {
		return "", fault.AsPoison(err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, m.url+"/chat.postMessage", bytes.NewReader(body))
	if err != nil {
		return "", fault.AsPoison(err)
	}
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := m.client.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return "", fmt.Errorf("slack answered %s", answer.Status)
	}
	var said struct {
		OK    bool   `json:"ok"`
		Error string `json:"error"`
		TS    string `json:"ts"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(nil, answer.Body, maxAnswer)).Decode(&said); err != nil {
		return "", fmt.Errorf("read the answer of slack: %w", err)
	}
	if said.OK {
		return said.TS, nil
	}
	err = fmt.Errorf("slack refused: %s", brief(said.Error))
	if !slices.Contains(passing, said.Error) {
		err = fault.AsPoison(err)
	}
	return "", err
}

// uuid writes a key of hex digits as a UUID of version 8.
func uuid(key string) string {
	k := (key + "00000000000000000000000000000000")[:32]
	return k[:8] + "-" + k[8:12] + "-8" + k[13:16] + "-8" + k[17:20] + "-" + k[20:]
}
