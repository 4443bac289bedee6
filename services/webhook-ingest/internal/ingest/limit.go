package ingest

import (
	"context"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/core"
)

// bodyBudget bounds the bodies that are in memory at once. A body is held about
// three times while it is worked on: as it came, in its view, in the message.
const bodyBudget = 4 * core.MaxBody

// smallBody is what a body without a length is taken for.
const smallBody = core.MaxBody

// limitedRoutes bounds the rates that are remembered: far more routes than one replica has with a limit.
const limitedRoutes = 1 << 16

// limiter bounds what is worked on at once, and how fast each route may go.
type limiter struct {
	bytes *semaphore.Weighted

	mu     sync.Mutex
	limits *lru.Cache[string, *rate.Limiter] // by own path of the route; those of routes that are gone are the oldest
}

func newLimiter() *limiter {
	limits, _ := lru.New[string, *rate.Limiter](limitedRoutes) // fails for no size alone
	return &limiter{bytes: semaphore.NewWeighted(bodyBudget), limits: limits}
}

// enter asks for room for a body of a length, -1 when it is not known. The caller
// leaves when it is done; false means that there is no room now.
func (c *limiter) enter(length int64) (leave func(), ok bool) {
	if length < 0 || length > core.MaxBody {
		length = smallBody
	}
	if length == 0 {
		return func() {}, true
	}
	if !c.bytes.TryAcquire(length) {
		return nil, false
	}
	return func() { c.bytes.Release(length) }, true
}

// rate is the one of a route, nil when it has no limit.
func (c *limiter) rate(route core.Route) *rate.Limiter {
	if route.Rate <= 0 {
		return nil
	}
	key := ownPath(route)
	c.mu.Lock()
	defer c.mu.Unlock()
	burst := route.Burst
	if burst == 0 {
		burst = max(1, int(route.Rate))
	}
	l, ok := c.limits.Get(key)
	if !ok || float64(l.Limit()) != route.Rate || l.Burst() != burst {
		l = rate.NewLimiter(rate.Limit(route.Rate), burst)
		c.limits.Add(key, l)
	}
	return l
}

// allow asks whether a request may go on now.
func (c *limiter) allow(route core.Route) bool {
	l := c.rate(route)
	return l == nil || l.Allow()
}

// wait lets whoever pulls go on as soon as it may.
func (c *limiter) wait(ctx context.Context, route core.Route) error {
	l := c.rate(route)
	if l == nil {
		return nil
	}
	return l.Wait(ctx)
}
