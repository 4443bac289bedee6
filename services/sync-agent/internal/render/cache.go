package render

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/sync/singleflight"
)

// failureMemory is how long a failure is remembered: a broken commit is not
// rendered again by each of its applications, yet a hiccup heals soon.
const failureMemory = 10 * time.Second

// knownTrees bounds the trees of which it is known whether they reach above their folder.
const knownTrees = 100_000

// cache remembers results by content, up to a budget of bytes; the least recently used goes first.
type cache struct {
	now    func() time.Time
	budget int
	flight singleflight.Group

	mu    sync.Mutex
	used  int
	slots *simplelru.LRU[string, slot]
	reach *simplelru.LRU[string, bool] // tree with its parameters -> it refers above its folder
}

// slot is a result that is remembered.
type slot struct {
	result Manifests
	size   int
	err    error
	at     time.Time
}

func newCache(budget int) *cache {
	c := &cache{now: time.Now, budget: budget}
	// Of positive sizes neither fails.
	c.slots, _ = simplelru.NewLRU(1<<20, func(_ string, s slot) { c.used -= s.size })
	c.reach, _ = simplelru.NewLRU[string, bool](knownTrees, nil)
	return c
}

func (c *cache) wide(tree string) (wide, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reach.Get(tree)
}

func (c *cache) setWide(tree string, wide bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reach.Add(tree, wide)
}

// once returns what is remembered under key or makes it; callers that come meanwhile share the work. It goes on while
// anybody may still want it: one who gives up does not take it from the others. The work says under which key its
// result is remembered.
func (c *cache) once(ctx context.Context, key string, work func(context.Context) (string, slot)) (Manifests, error) {
	if s, ok := c.get(key); ok {
		return s.result, s.err
	}
	made := c.flight.DoChan(key, func() (any, error) {
		under, s := work(context.WithoutCancel(ctx))
		c.put(under, s)
		return s.result, s.err
	})
	select {
	case r := <-made:
		result, _ := r.Val.(Manifests)
		return result, r.Err
	case <-ctx.Done():
		return Manifests{}, ctx.Err()
	}
}

func (c *cache) get(key string) (slot, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, ok := c.slots.Get(key)
	if ok && s.err != nil && c.now().Sub(s.at) >= failureMemory {
		c.slots.Remove(key)
		return slot{}, false
	}
	return s, ok
}

// put remembers a result. A failure that is not about the content is not.
func (c *cache) put(key string, s slot) {
	if s.err != nil && !errors.Is(s.err, ErrSource) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.at = c.now()
	c.slots.Remove(key) // or its size would stay
	c.slots.Add(key, s)
	for c.used += s.size; c.used > c.budget && c.slots.Len() > 1; {
		c.slots.RemoveOldest()
	}
}
