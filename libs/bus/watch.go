package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// ErrAway is returned by a watch whose connection was lost: what is watched must be read anew.
var ErrAway = errors.New("the bus is away")

// Change is one word of a watch.
type Change struct {
	Key      string
	Value    []byte // nil where the key was removed
	Revision uint64
	At       time.Time
	Removed  bool
	// Current is said once, of no key: all that was there when the watch began has been told.
	Current bool
}

// watchGlance is how often a watch looks whether there is still a connection.
const watchGlance = 500 * time.Millisecond

// Watch tells all values whose keys begin with prefix, which is "" or ends in a dot, removals that are still remembered
// among them, then Current, then what changes. It returns when ctx ends, when see fails, and with ErrAway when the
// connection was lost: whoever watches again is told everything again.
func (k KV) Watch(ctx context.Context, prefix string, see func(Change) error) error {
	kv, err := k.open(ctx)
	if err != nil {
		return err
	}
	w, err := kv.Watch(ctx, prefix+">")
	if err != nil {
		return fmt.Errorf("watch %s: %w", k.bucket, err)
	}
	defer func() { _ = w.Stop() }()
	glance := time.NewTicker(watchGlance)
	defer glance.Stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("watch %s: %w", k.bucket, context.Cause(ctx))
		case <-glance.C:
			if k.bus.Ready() != nil {
				return fmt.Errorf("watch %s: %w", k.bucket, ErrAway)
			}
		case entry, open := <-w.Updates():
			if !open {
				return fmt.Errorf("watch %s: %w: the server broke off", k.bucket, ErrAway)
			}
			if err := see(changeOf(entry)); err != nil {
				return err
			}
		}
	}
}

// Compact forgets removals that are older than half an hour: they count among the keys of a bucket.
func (k KV) Compact(ctx context.Context) error {
	kv, err := k.open(ctx)
	if err != nil {
		return err
	}
	if err := kv.PurgeDeletes(ctx); err != nil {
		return fmt.Errorf("compact %s: %w", k.bucket, err)
	}
	return nil
}

func changeOf(entry jetstream.KeyValueEntry) Change {
	if entry == nil {
		return Change{Current: true}
	}
	c := Change{
		Key: entry.Key(), Revision: entry.Revision(), At: entry.Created(),
		Removed: entry.Operation() != jetstream.KeyValuePut,
	}
	if !c.Removed {
		c.Value = entry.Value()
	}
	return c
}
