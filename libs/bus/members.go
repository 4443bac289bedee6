package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/own"
	"github.com/nats-io/nats.go/jetstream"
)

// Heartbeats: a member that was silent for memberExpiry is taken for dead. A
// stop says goodbye, so that only a crash has to wait.
const (
	memberBeat   = time.Second
	memberExpiry = 4 * time.Second
)

// Members knows the live replicas of one service and who owns what. Safe for
// concurrent use. Until the first word from the bus, and while it is away, the
// last known members stay; with none known this replica owns everything, since
// two owners do no harm and none would.
type Members struct {
	bus     *Bus
	service string
	self    string
	log     *slog.Logger

	mu   sync.RWMutex
	last map[string]time.Time // member -> last heartbeat seen here

	changed chan struct{}
}

// Members joins no one yet: Run does.
func (b *Bus) Members(service, instance string) *Members {
	return &Members{
		bus: b, service: service, self: instance, log: b.log, last: map[string]time.Time{},
		changed: make(chan struct{}, 1),
	}
}

// Owns reports whether this replica should work on key.
func (m *Members) Owns(key string) bool {
	live := m.Live()
	return len(live) == 0 || own.Owner(key, live) == m.self
}

// Live lists the members, sorted.
func (m *Members) Live() []string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	names := make([]string, 0, len(m.last))
	for name := range m.last {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Changed receives after the set of members changed; whoever listens must look at
// all its objects again. Changes coalesce.
func (m *Members) Changed() <-chan struct{} { return m.changed }

// Run beats and listens until ctx ends, then says goodbye.
func (m *Members) Run(ctx context.Context) error {
	var listener sync.WaitGroup
	listener.Go(func() { m.listen(ctx) })
	m.beat(ctx)
	for pause(ctx, memberBeat) {
		m.beat(ctx)
		m.expire(time.Now())
	}
	listener.Wait()
	bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := m.bus.KV(MembersBucket).Delete(bye, m.key()); err != nil && !errors.Is(err, ErrNotFound) {
		m.log.InfoContext(bye, "left without goodbye", "error", err)
	}
	return nil
}

func (m *Members) key() string { return Token(m.service) + "." + kvToken(m.self) }

// kvToken keeps to the characters that a key may hold; Token's percent is not one.
func kvToken(s string) string { return strings.ReplaceAll(Token(s), "%", "=") }

func (m *Members) beat(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, memberBeat)
	defer cancel()
	if err := m.bus.KV(MembersBucket).Put(ctx, m.key(), []byte(m.self)); err != nil {
		m.log.DebugContext(ctx, "heartbeat was not heard", "error", err)
	}
}

func (m *Members) listen(ctx context.Context) {
	for ctx.Err() == nil {
		if err := m.watch(ctx); err != nil && ctx.Err() == nil {
			m.log.DebugContext(ctx, "members cannot be watched", "error", err)
			pause(ctx, reconnectWait)
		}
	}
}

func (m *Members) watch(ctx context.Context) error {
	kv, err := m.bus.KV(MembersBucket).open(ctx)
	if err != nil {
		return err
	}
	w, err := kv.Watch(ctx, Token(m.service)+".*")
	if err != nil {
		return fmt.Errorf("watch members of %s: %w", m.service, err)
	}
	defer func() { _ = w.Stop() }()
	for {
		select {
		case <-ctx.Done():
			return nil
		case entry, open := <-w.Updates():
			if !open {
				return errors.New("the watch ended")
			}
			if entry != nil {
				m.hear(entry)
			}
		}
	}
}

func (m *Members) hear(entry jetstream.KeyValueEntry) {
	if entry.Operation() != jetstream.KeyValuePut {
		m.forget(func(name string, _ time.Time) bool { return Token(m.service)+"."+kvToken(name) == entry.Key() })
		return
	}
	// Watching starts with old values: those of the dead must not revive them.
	if time.Since(entry.Created()) > memberExpiry {
		return
	}
	m.mu.Lock()
	_, known := m.last[string(entry.Value())]
	m.last[string(entry.Value())] = time.Now()
	m.mu.Unlock()
	if !known {
		m.notify()
	}
}

// expire forgets the silent, unless everybody fell silent at once: then it is the
// bus that is away, not the others.
func (m *Members) expire(now time.Time) {
	if m.bus.Ready() != nil {
		m.touch(now)
		return
	}
	m.forget(func(name string, at time.Time) bool { return name != m.self && now.Sub(at) > memberExpiry })
}

// touch gives all members a fresh start while nobody can be heard.
func (m *Members) touch(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name := range m.last {
		m.last[name] = now
	}
}

func (m *Members) forget(gone func(name string, at time.Time) bool) {
	m.mu.Lock()
	before := len(m.last)
	for name, at := range m.last {
		if gone(name, at) {
			delete(m.last, name)
		}
	}
	after := len(m.last)
	m.mu.Unlock()
	if before != after {
		m.notify()
	}
}

func (m *Members) notify() {
	select {
	case m.changed <- struct{}{}:
	default:
	}
}
