package pull

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// backlog takes messages from the client's own goroutine. Until the subscription is
// answered it takes all there are, for that answer comes behind them; then it holds the
// broker up once enough wait.
type backlog struct {
	mu      sync.Mutex
	room    *sync.Cond
	waiting []mqtt.Message
	limited bool
	closed  bool
	ready   chan struct{} // holds a sign while something waits
}

func newBacklog() *backlog {
	b := &backlog{ready: make(chan struct{}, 1)}
	b.room = sync.NewCond(&b.mu)
	return b
}

func (b *backlog) push(m mqtt.Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.limited && !b.closed && len(b.waiting) >= prefetch {
		b.room.Wait()
	}
	if b.closed {
		return // not acknowledged, so it comes again
	}
	b.waiting = append(b.waiting, m)
	b.sign()
}

func (b *backlog) sign() {
	select {
	case b.ready <- struct{}{}:
	default:
	}
}

func (b *backlog) pop() (mqtt.Message, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting) == 0 {
		return nil, false
	}
	m := b.waiting[0]
	b.waiting[0] = nil
	b.waiting = b.waiting[1:]
	if len(b.waiting) > 0 {
		b.sign()
	}
	b.room.Signal()
	return m, true
}

func (b *backlog) bound() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.limited = true
}

func (b *backlog) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.room.Broadcast()
}

// The bounds of what is remembered of topics: how many, and how often it is saved.
const (
	retainedMost = 8192
	retainedSave = time.Second
)

// retained remembers the last message of each topic. A broker sends the message that it
// retains at every subscription: it is news only when it is another one than the last.
type retained struct {
	env     Env
	last    map[string]string // digest of the last message, by digest of the topic
	before  bool              // something was remembered: the topic was subscribed to
	changed bool
	saved   time.Time
}

func loadRetained(ctx context.Context, env Env) (*retained, error) {
	r := &retained{env: env, last: map[string]string{}}
	text, err := env.Positions.Load(ctx, env.Name())
	if err != nil {
		return nil, err
	}
	r.before = text != nil
	if text != nil && json.Unmarshal(text, &r.last) != nil || r.last == nil {
		r.last = map[string]string{} // of another kind that had this name before
	}
	return r, nil
}

func (r *retained) keys(m mqtt.Message) (topic, message string) {
	return Key(m.Topic())[:16], Key(m.Payload())[:16]
}

// judge says whether a message is news, and gives the id of one that is a state. Its
// predecessor is part of the id: a state that comes back is another event.
func (r *retained) judge(url string, m mqtt.Message) (id string, news bool) {
	if !m.Retained() {
		return "", true
	}
	topic, message := r.keys(m)
	return Key("mqtt", url, m.Topic(), message, r.last[topic]), r.last[topic] != message
}

func (r *retained) note(ctx context.Context, m mqtt.Message) error {
	topic, message := r.keys(m)
	if r.last[topic] == message {
		return nil
	}
	if _, known := r.last[topic]; !known && len(r.last) >= retainedMost {
		clear(r.last) // what is retained there is told once more
	}
	r.last[topic], r.changed = message, true
	if time.Since(r.saved) < retainedSave {
		return nil
	}
	return r.save(ctx)
}

func (r *retained) save(ctx context.Context) error {
	text, err := json.Marshal(r.last)
	if err != nil {
		return err
	}
	r.changed, r.saved, r.before = false, time.Now(), true
	return r.env.Positions.Save(ctx, r.env.Name(), text)
}

// flush saves what is left at the end.
func (r *retained) flush(ctx context.Context) {
	if !r.changed {
		return
	}
	ctx, cancel := settling(ctx)
	defer cancel()
	_ = r.save(ctx) // else the last states are told once more
}
