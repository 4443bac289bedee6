package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/wait"
	"github.com/argosy-mesh/argosy/libs/kube/object"
	core "github.com/argosy-mesh/argosy/services/sync-agent/internal/core/remote"
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
)

const (
	// mailboxBytes bounds what is between the control cluster and one agent: one that writes without end fills its own.
	mailboxBytes = 64 << 20
	// survey is how often the agents that there are, and what they were given, are compared with what is wanted.
	survey = 5 * time.Second
	glance = 500 * time.Millisecond
	// compaction is how often what was removed is forgotten.
	compaction = 10 * time.Minute
)

var (
	// ErrUnheard is returned for an agent whose mailbox has not been read yet.
	ErrUnheard = errors.New("what was handed over is not known yet")
	// ErrUnread is returned for one whose mailbox cannot be read for a while.
	ErrUnread = errors.New("the bus does not say what the agent reports")
)

// HubConfig is what the side of the control cluster works with.
type HubConfig struct {
	Bus     *bus.Bus
	Client  client.Client // reads are cached
	Agents  func(context.Context) ([]string, error)
	AgentOf func(ctx context.Context, server, name string) (agent string, err error)
	Owns    func(key string) bool
	Control string        // the namespace whose Applications have no namespace on the bus
	Silence time.Duration // after which an agent counts as away
	Log     *slog.Logger
}

// Hub is the side of the control cluster. Safe for concurrent use.
type Hub struct {
	HubConfig
	changed chan event.GenericEvent
	metrics *hubMetrics

	mu     sync.Mutex
	agents map[string]*link
	blind  time.Time // until when the bus was away from here
}

// link is what is known of one agent.
type link struct {
	stop    context.CancelFunc
	down    map[string][]byte   // by key
	seen    map[string]uint64   // revisions of keys
	hello   *bus.Change         // by which the agent asked last for all
	up      map[core.Key][]byte // reports, as they were sent
	current bool
	since   time.Time // that it is not current
	heard   time.Time
	away    bool
}

// NewHub returns the side of the control cluster; Run has it work.
func NewHub(cfg HubConfig, r prometheus.Registerer) *Hub {
	h := &Hub{
		HubConfig: cfg, changed: make(chan event.GenericEvent), agents: map[string]*link{}, blind: time.Now(),
	}
	h.metrics = newHubMetrics(h, r)
	return h
}

// Changed receives the Applications of which agents said something.
func (h *Hub) Changed() <-chan event.GenericEvent { return h.changed }

// Run listens to all agents until ctx ends.
func (h *Hub) Run(ctx context.Context) error {
	var links sync.WaitGroup
	defer links.Wait()
	next := time.Now()
	for compacted := time.Now(); ; {
		now := time.Now()
		if now.Sub(compacted) > compaction {
			h.compact(ctx)
			compacted = now
		}
		if now.After(next) || now.Equal(next) {
			h.listenToAll(ctx, &links)
			h.tidy(ctx)
			next = now.Add(survey)
		}
		h.judge(ctx, now)
		if wait.For(ctx, glance) != nil {
			return nil
		}
	}
}

// listenToAll begins to listen to agents that are new, and ends with those that nobody names any more.
func (h *Hub) listenToAll(ctx context.Context, links *sync.WaitGroup) {
	names, err := h.Agents(ctx)
	if err != nil {
		h.Log.WarnContext(ctx, "agents cannot be listed", "error", err)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, l := range h.agents {
		if !slices.Contains(names, name) {
			l.stop()
			delete(h.agents, name)
		}
	}
	for _, name := range names {
		if h.agents[name] != nil {
			continue
		}
		own, stop := context.WithCancel(ctx)
		l := &link{stop: stop}
		l.clear()
		h.agents[name] = l
		links.Go(func() { h.listen(own, name, l) })
	}
}

// listen reads what is between us and an agent, again whenever the bus was away.
func (h *Hub) listen(ctx context.Context, agent string, l *link) {
	for ctx.Err() == nil {
		err := h.Bus.DeclareMailbox(ctx, agent, mailboxBytes, bus.DefaultLimits().Replicas)
		if err == nil {
			h.mu.Lock()
			l.clear()
			h.mu.Unlock()
			err = h.Bus.KV(bus.MailboxBucket(agent)).Watch(ctx, "", func(c bus.Change) error {
				h.hear(ctx, agent, l, c)
				return nil
			})
		}
		if err != nil && ctx.Err() == nil {
			h.Log.WarnContext(ctx, "agent cannot be listened to", "agent", agent, "error", err)
		}
		if wait.For(ctx, glance) != nil {
			return
		}
	}
}

// listened notes that an agent said something: now, or when what was there already was stored.
func (l *link) listened(c bus.Change) {
	at := time.Now()
	if !l.current {
		at = c.At
	}
	if strings.HasPrefix(c.Key, core.Up) && !c.Removed && at.After(l.heard) {
		l.heard = at
	}
}

// clear forgets what was said: it is read anew. The caller holds mu of the hub, or alone has the link.
func (l *link) clear() {
	l.down, l.up, l.seen = map[string][]byte{}, map[core.Key][]byte{}, map[string]uint64{}
	if l.current || l.since.IsZero() {
		l.since = time.Now()
	}
	l.hello, l.current = nil, false
}

func (h *Hub) hear(ctx context.Context, agent string, l *link, c bus.Change) {
	var tell []core.Key
	var repeat []bus.Change
	h.mu.Lock()
	l.seen[c.Key] = c.Revision
	l.listened(c)
	switch key, reported := core.ParseApp(c.Key, core.Up); {
	case c.Current:
		l.current = true
		tell = l.assigned()
		repeat = h.answer(agent, l)
	case c.Key == core.Hello && !c.Removed:
		l.hello = &c
		repeat = h.answer(agent, l)
	case reported && c.Removed:
		delete(l.up, key)
		delete(l.seen, c.Key)
		tell = append(tell, key)
	case reported:
		l.up[key] = c.Value
		if l.down[key.Down()] != nil { // what an agent says of others wakes nobody
			tell = append(tell, key)
		}
	case c.Removed:
		delete(l.down, c.Key)
		delete(l.seen, c.Key)
		if _, is := core.ParseProject(c.Key); is {
			tell = l.assigned() // somebody may have begun to use it
		}
	default:
		l.down[c.Key] = c.Value
	}
	current := l.current
	h.mu.Unlock()
	for _, said := range repeat {
		if err := h.Bus.Repeat(agent, said); err != nil {
			h.Log.WarnContext(ctx, "an agent is told later", "agent", agent, "error", err)
			break // it asks again
		}
	}
	if current {
		h.wake(ctx, tell)
	}
}

// answer is all that was said to an agent, which asks for it, and by it. One replica answers. The caller holds mu.
func (h *Hub) answer(agent string, l *link) []bus.Change {
	if l.hello == nil || !l.current || !h.Owns("agent/"+agent) {
		return nil
	}
	var out []bus.Change
	for key, revision := range l.seen {
		c := bus.Change{Key: key, Revision: revision, Value: l.down[key]}
		if k, is := core.ParseApp(key, core.Up); is {
			c.Value = l.up[k]
		}
		if c.Value != nil {
			out = append(out, c)
		}
	}
	return append(out, bus.Change{Current: true, Value: l.hello.Value})
}

// assigned are the Applications that an agent has. The caller holds mu of the hub.
func (l *link) assigned() []core.Key {
	var out []core.Key
	for key := range l.down {
		if k, is := core.ParseApp(key, core.Down); is {
			out = append(out, k)
		}
	}
	return out
}

// strays are Applications, at most so many, that an agent reports of although it does not have them. The caller holds
// mu of the hub.
func (l *link) strays(limit int) []core.Key {
	var out []core.Key
	for k := range l.up {
		if len(out) == limit {
			break
		}
		if l.down[k.Down()] == nil {
			out = append(out, k)
		}
	}
	return out
}

func (h *Hub) wake(ctx context.Context, keys []core.Key) {
	for _, k := range keys {
		name := k.In(h.Control)
		select {
		case h.changed <- event.GenericEvent{Object: object.Named("Application", name.Namespace, name.Name)}:
		case <-ctx.Done():
			return
		}
	}
}

// judge says which agents are away. While the bus is away from here, nobody is: it is we who hear nothing.
func (h *Hub) judge(ctx context.Context, now time.Time) {
	var tell []core.Key
	h.mu.Lock()
	if h.Bus.Ready() != nil {
		h.blind = now
	}
	for name, l := range h.agents {
		since := l.heard
		if h.blind.After(since) {
			since = h.blind
		}
		away := l.current && now.Sub(since) > h.Silence
		if away == l.away || !l.current {
			continue
		}
		l.away = away
		h.Log.InfoContext(ctx, "agent", "agent", name, "away", away, "heard", l.heard)
		tell = append(tell, l.assigned()...)
	}
	h.mu.Unlock()
	h.wake(ctx, tell)
}

// State is what is known of an Application at an agent.
type State struct {
	Away   string       // why its report may be old; "" while the agent is heard
	Report *core.Report // nil when there is none
	Given  *core.Assignment
}

// Look returns what is known of an Application at an agent.
func (h *Hub) Look(agent string, k core.Key) (State, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.agents[agent]
	switch {
	case l != nil && !l.current && time.Since(l.since) > h.Silence:
		return State{}, fmt.Errorf("%w: agent %s since %s", ErrUnread, agent, l.since.UTC().Format(time.RFC3339))
	case l == nil || !l.current:
		return State{}, fmt.Errorf("agent %s: %w", agent, ErrUnheard)
	}
	s := State{}
	if text := l.up[k]; text != nil {
		s.Report = &core.Report{}
		if err := json.Unmarshal(text, s.Report); err != nil {
			s.Report = &core.Report{Problem: "what the agent reports cannot be read: " + err.Error()}
		}
	}
	if text := l.down[k.Down()]; text != nil {
		s.Given = &core.Assignment{}
		if err := json.Unmarshal(text, s.Given); err != nil {
			s.Given = nil // it is written anew
		}
	}
	if l.away {
		s.Away = core.Away(agent, l.heard)
	}
	return s, nil
}

// Put says something to an agent, unless it was said before.
func (h *Hub) Put(ctx context.Context, agent, key string, value []byte) error {
	h.mu.Lock()
	l := h.agents[agent]
	said := l != nil && bytes.Equal(l.down[key], value)
	h.mu.Unlock()
	if l == nil {
		return fmt.Errorf("agent %s: %w", agent, ErrUnheard)
	}
	if said {
		return nil
	}
	if err := h.Bus.KV(bus.MailboxBucket(agent)).Put(ctx, key, value); err != nil {
		return fmt.Errorf("hand over to agent %s: %w", agent, err)
	}
	h.metrics.handed.WithLabelValues(agent).Inc()
	h.mu.Lock()
	l.down[key] = value
	h.mu.Unlock()
	return nil
}

// Remove takes away what was said to an agent.
func (h *Hub) Remove(ctx context.Context, agent, key string) error {
	h.mu.Lock()
	l := h.agents[agent]
	said := l != nil && l.down[key] != nil
	h.mu.Unlock()
	if !said {
		return nil
	}
	if err := h.Bus.KV(bus.MailboxBucket(agent)).Delete(ctx, key); err != nil {
		return fmt.Errorf("take back from agent %s: %w", agent, err)
	}
	h.mu.Lock()
	delete(l.down, key)
	h.mu.Unlock()
	return nil
}

// Drop ends with an Application of which an agent has nothing any more.
func (h *Hub) Drop(ctx context.Context, agent string, k core.Key) error {
	kv := h.Bus.KV(bus.MailboxBucket(agent))
	if err := errors.Join(kv.Purge(ctx, k.Down()), kv.Purge(ctx, k.Up())); err != nil {
		return fmt.Errorf("agent %s: %w", agent, err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if l := h.agents[agent]; l != nil {
		delete(l.down, k.Down())
		delete(l.up, k)
	}
	return nil
}
