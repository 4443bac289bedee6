package ingest

import (
	"context"
	"errors"

	"github.com/argosy-mesh/argosy/libs/bus"
)

// positions keeps how far sources of one kind were read, on the bus. An event that becomes one of another kind begins
// anew: a position of the other kind means nothing to it.
type positions struct {
	kv   bus.KV
	kind string
}

func (p positions) key(name string) string { return bus.Key(name, p.kind) }

// unkinded is where versions before this one kept positions, of whatever kind.
func unkinded(name string) string { return bus.Key(name) }

// Load returns nil for a source that was never read.
func (p positions) Load(ctx context.Context, name string) ([]byte, error) {
	value, _, err := p.kv.Get(ctx, p.key(name))
	if errors.Is(err, bus.ErrNotFound) {
		value, _, err = p.kv.Get(ctx, unkinded(name))
	}
	if errors.Is(err, bus.ErrNotFound) {
		return nil, nil
	}
	return value, err
}

// Save replaces what was saved. What an earlier version left goes after that: a crash between the two leaves both, and
// the newer one is read.
func (p positions) Save(ctx context.Context, name string, position []byte) error {
	if err := p.kv.Put(ctx, p.key(name), position); err != nil {
		return err
	}
	_, _, err := p.kv.Get(ctx, unkinded(name))
	if errors.Is(err, bus.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return p.kv.Delete(ctx, unkinded(name))
}
