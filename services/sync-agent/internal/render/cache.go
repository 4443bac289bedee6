package render

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"
)

// failureMemory is how long a failure is remembered: a broken commit is not
// rendered again by each of its applications, yet a hiccup heals soon.
const failureMemory = 10 * time.Second

// cache remembers results by content, the least recently used goes first.
type cache struct {
	mu     sync.Mutex
	budget int
	used   int
	order  *list.List // of *slot, most recently used first
	slots  map[string]*list.Element
	reach  map[string]bool // tree -> its kustomizations refer above it
}

type slot struct {
	key    string
	ready  chan struct{}
	result Manifests
	size   int
	err    error
	at     time.Time
}

func newCache(budget int) *cache {
	return &cache{budget: budget, order: list.New(), slots: map[string]*list.Element{}, reach: map[string]bool{}}
}

func (c *cache) wide(tree string) (wide, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	wide, known = c.reach[tree]
	return wide, known
}

func (c *cache) setWide(tree string, wide bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.reach) > 100_000 {
		clear(c.reach) // it is a hint and comes back
	}
	c.reach[tree] = wide
}

// once returns what is remembered under key or makes it; callers that come
// meanwhile wait for the one that works.
func (c *cache) once(ctx context.Context, key string, work func() (Manifests, int, error)) (Manifests, error) {
	s, mine := c.claim(key)
	if mine {
		s.result, s.size, s.err = work()
		s.at = time.Now()
		c.settle(s)
		close(s.ready)
		return s.result, s.err
	}
	select {
	case <-s.ready:
		if errors.Is(s.err, context.Canceled) && ctx.Err() == nil {
			r, _, err := work() // the other caller gave up
			return r, err
		}
		return s.result, s.err
	case <-ctx.Done():
		return Manifests{}, ctx.Err()
	}
}

func (c *cache) claim(key string) (*slot, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.slots[key]; e != nil {
		s := e.Value.(*slot)
		if s.at.IsZero() || s.err == nil || time.Since(s.at) < failureMemory {
			c.order.MoveToFront(e)
			return s, false
		}
		c.order.Remove(e)
	}
	s := &slot{key: key, ready: make(chan struct{})}
	c.slots[key] = c.order.PushFront(s)
	return s, true
}

func (c *cache) settle(done *slot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.used += done.size
	if done.err != nil && !errors.Is(done.err, ErrSource) {
		// Not about the content: nothing to remember.
		c.drop(c.slots[done.key])
	}
	for c.used > c.budget && c.order.Len() > 1 {
		last := c.order.Back()
		if last.Value.(*slot).at.IsZero() {
			break
		}
		c.drop(last)
	}
}

func (c *cache) drop(e *list.Element) {
	if e == nil {
		return
	}
	s := e.Value.(*slot)
	c.order.Remove(e)
	if c.slots[s.key] == e {
		delete(c.slots, s.key)
	}
	c.used -= s.size
}
