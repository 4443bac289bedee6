package analyzer

import (
	"context"
	"fmt"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/schemas/events"
)

// maxCounted bounds the events of one look: a version served by a hundred proxies that count each second, for ten.
const maxCounted = 10_000

// scanner is the part of the bus that reads what it holds.
type scanner interface {
	Scan(
		ctx context.Context, stream string, r bus.Range, see func(bus.Delivery) error, skip func(uint64, error),
	) error
}

// traffic sums the events [events.TrafficCounted] of a time. It keeps nothing: the times by which they were stored
// share them out among looks, whichever replica looks. What cannot be read counts for nothing.
type traffic struct{ bus scanner }

// Counted implements metric.Traffic.
func (t traffic) Counted(
	ctx context.Context, namespace, hash string, since, until time.Time,
) (requests, failed float64, err error) {
	seen := 0
	where := bus.Range{
		Subjects: []string{events.TrafficSubject(namespace, hash)}, From: since, To: until, Limit: maxCounted + 1,
	}
	err = t.bus.Scan(ctx, bus.Events, where, func(d bus.Delivery) error {
		var c events.TrafficCounted
		if !readable(d, &c) {
			return nil
		}
		seen++
		requests, failed = requests+float64(c.Requests), failed+float64(min(c.Errors, c.Requests))
		return nil
	}, nil)
	if err == nil && seen > maxCounted {
		err = fmt.Errorf("more than %d events of %s/%s: count less often", maxCounted, namespace, hash)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("read counts of %s/%s: %w", namespace, hash, err)
	}
	return requests, failed, nil
}

// readable reads counts that make sense.
func readable(d bus.Delivery, into *events.TrafficCounted) bool {
	return d.Type() == events.TypeTrafficCounted && d.DataAs(into) == nil && into.Requests >= 0 && into.Errors >= 0
}
