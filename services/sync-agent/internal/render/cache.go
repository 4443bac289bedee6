package render

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/sync/singleflight"
)

const (
	// failureMemory is how long a failure is remembered: a broken commit is not
	// rendered again by each of its applications, yet a hiccup heals soon.
	failureMemory = 10 * time.Second
	// FetchedMemory is how long a result is remembered for which something was fetched whose name may come to mean
	// something else.
	FetchedMemory = time.Hour
	// maxVariants bounds the results of one folder with the same parameters: the same overlay in several repositories.
	maxVariants = 64
)

// cache remembers results by content, up to a budget of bytes; the least recently used goes first.
type cache struct {
	now    func() time.Time
	budget int
	flight singleflight.Group

	mu    sync.Mutex
	used  int
	slots *simplelru.LRU[string, []slot]
}

// slot is a result that is remembered while what it was made of is there.
type slot struct {
	result Manifests
	size   int
	err    error
	at     time.Time
}

func newCache(budget int) *cache {
	c := &cache{now: time.Now, budget: budget}
	// Of positive sizes it does not fail.
	c.slots, _ = simplelru.NewLRU(1<<20, func(_ string, variants []slot) {
		for _, s := range variants {
			c.used -= s.size
		}
	})
	return c
}

// once returns what is remembered under key and still holds, or makes it; callers that come meanwhile with the same
// flight share the work. It goes on while anybody may still want it: one who gives up does not take it from the others.
func (c *cache) once(
	ctx context.Context, key, flight string, holds func([]Stamp) (bool, error), work func(context.Context) slot,
) (Manifests, error) {
	if s, ok, err := c.get(key, holds); ok || err != nil {
		return s.result, errors.Join(err, s.err)
	}
	made := c.flight.DoChan(flight, func() (any, error) {
		s := work(context.WithoutCancel(ctx))
		c.put(key, s)
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

func (c *cache) get(key string, holds func([]Stamp) (bool, error)) (slot, bool, error) {
	c.mu.Lock()
	found, _ := c.slots.Get(key)
	variants := slices.Clone(found)
	c.mu.Unlock()
	for _, s := range slices.Backward(variants) {
		if c.old(s) {
			continue
		}
		if ok, err := holds(s.result.Reads); ok || err != nil {
			return s, ok, err
		}
	}
	return slot{}, false, nil
}

// old reports whether a result is too old to count.
func (c *cache) old(s slot) bool {
	age := c.now().Sub(s.at)
	return (s.err != nil && age >= failureMemory) || (s.result.Fetched() && age >= FetchedMemory)
}

// Fetched reports whether something was fetched for a result beside its sources.
func (m Manifests) Fetched() bool {
	return slices.ContainsFunc(m.Reads, func(s Stamp) bool { return s.Tree == fetchedTree })
}

// drop forgets a result.
func (c *cache) drop(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.slots.Remove(key)
}

// put remembers a result. A failure that is not about the content is not.
func (c *cache) put(key string, s slot) {
	if s.err != nil && !errors.Is(s.err, ErrSource) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.at = c.now()
	found, _ := c.slots.Peek(key)
	var variants []slot
	for _, v := range found {
		if !c.old(v) && !slices.Equal(v.result.Reads, s.result.Reads) {
			variants = append(variants, v)
		}
	}
	if variants = append(variants, s); len(variants) > maxVariants {
		variants = variants[1:]
	}
	c.slots.Remove(key) // or its size would stay
	c.slots.Add(key, variants)
	for _, v := range variants {
		c.used += v.size
	}
	for c.used > c.budget && c.slots.Len() > 1 {
		c.slots.RemoveOldest()
	}
}
