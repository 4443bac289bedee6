package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrNotFound is returned for a key or object that is not there.
var ErrNotFound = errors.New("not found")

// KV is one key-value bucket. Writes that lose a race return an error of class
// stale.
type KV struct {
	bus    *Bus
	bucket string
}

// KV opens a bucket by name; it need not exist yet.
func (b *Bus) KV(bucket string) KV { return KV{bus: b, bucket: bucket} }

// Get returns a value and its revision, or ErrNotFound.
func (k KV) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	kv, err := k.open(ctx)
	if err != nil {
		return nil, 0, err
	}
	entry, err := kv.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, 0, fmt.Errorf("%s/%s: %w", k.bucket, key, ErrNotFound)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("get %s/%s: %w", k.bucket, key, err)
	}
	return entry.Value(), entry.Revision(), nil
}

// Put writes whatever was there before.
func (k KV) Put(ctx context.Context, key string, value []byte) error {
	kv, err := k.open(ctx)
	if err != nil {
		return err
	}
	if _, err := kv.Put(ctx, key, value); err != nil {
		return fmt.Errorf("put %s/%s: %w", k.bucket, key, classed(err))
	}
	return nil
}

// CompareAndSwap writes value only if the key's revision is still the given one; zero means
// the key must not exist. It returns the new revision.
func (k KV) CompareAndSwap(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	kv, err := k.open(ctx)
	if err != nil {
		return 0, err
	}
	var next uint64
	if revision == 0 {
		next, err = kv.Create(ctx, key, value)
	} else {
		next, err = kv.Update(ctx, key, value, revision)
	}
	if errors.Is(err, jetstream.ErrKeyExists) {
		return 0, fault.Stalef("swap %s/%s at %d: %w", k.bucket, key, revision, err)
	}
	if err != nil {
		return 0, fmt.Errorf("swap %s/%s at %d: %w", k.bucket, key, revision, classed(err))
	}
	return next, nil
}

// Delete removes a key; a key that is not there is no error.
func (k KV) Delete(ctx context.Context, key string) error {
	kv, err := k.open(ctx)
	if err != nil {
		return err
	}
	if err := kv.Delete(ctx, key); err != nil && !errors.Is(err, jetstream.ErrKeyNotFound) {
		return fmt.Errorf("delete %s/%s: %w", k.bucket, key, err)
	}
	return nil
}

// Purge removes a key with what the bucket remembers of it; a key that is not there is no error.
func (k KV) Purge(ctx context.Context, key string) error {
	kv, err := k.open(ctx)
	if err != nil {
		return err
	}
	if err := kv.Purge(ctx, key); err != nil && !errors.Is(err, jetstream.ErrKeyNotFound) {
		return fmt.Errorf("purge %s/%s: %w", k.bucket, key, err)
	}
	return nil
}

func (k KV) open(ctx context.Context) (jetstream.KeyValue, error) {
	// Opening asks the server; the handle stays valid across reconnects.
	if kv, ok := k.bus.buckets.Load(k.bucket); ok {
		return kv.(jetstream.KeyValue), nil
	}
	kv, err := k.bus.js.KeyValue(ctx, k.bucket)
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", k.bucket, err)
	}
	k.bus.buckets.Store(k.bucket, kv)
	return kv, nil
}

// Objects is one bucket of large objects.
type Objects struct {
	bus    *Bus
	bucket string
}

// Objects opens an object bucket by name; it need not exist yet.
func (b *Bus) Objects(bucket string) Objects { return Objects{bus: b, bucket: bucket} }

// Has says whether a whole object of that name is there.
func (o Objects) Has(ctx context.Context, name string) (bool, error) {
	store, err := o.open(ctx)
	if err != nil {
		return false, err
	}
	_, err = store.GetInfo(ctx, name)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for object %s/%s: %w", o.bucket, name, err)
	}
	return true, nil
}

// Delete removes an object; one that is not there is no error.
func (o Objects) Delete(ctx context.Context, name string) error {
	store, err := o.open(ctx)
	if err != nil {
		return err
	}
	if err := store.Delete(ctx, name); err != nil && !errors.Is(err, jetstream.ErrObjectNotFound) {
		return fmt.Errorf("delete object %s/%s: %w", o.bucket, name, err)
	}
	return nil
}

func (o Objects) open(ctx context.Context) (jetstream.ObjectStore, error) {
	store, err := o.bus.js.ObjectStore(ctx, o.bucket)
	if err != nil {
		return nil, fmt.Errorf("open objects %s: %w", o.bucket, err)
	}
	return store, nil
}

// Keys lists the keys that begin with prefix, in no order.
func (k KV) Keys(ctx context.Context, prefix string) ([]string, error) {
	kv, err := k.open(ctx)
	if err != nil {
		return nil, err
	}
	lister, err := kv.ListKeysFiltered(ctx, prefix+">")
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", k.bucket, err)
	}
	var keys []string
	for key := range lister.Keys() {
		keys = append(keys, key)
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("list %s: %w", k.bucket, context.Cause(ctx))
	}
	return keys, nil
}

// Entries returns the values whose keys begin with prefix, which is "" or ends in a dot.
func (k KV) Entries(ctx context.Context, prefix string) (map[string][]byte, error) {
	kv, err := k.open(ctx)
	if err != nil {
		return nil, err
	}
	watch, err := kv.Watch(ctx, prefix+">", jetstream.IgnoreDeletes())
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", k.bucket, err)
	}
	defer func() { _ = watch.Stop() }()
	out := map[string][]byte{}
	for {
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("read %s: %w", k.bucket, context.Cause(ctx))
		case entry, open := <-watch.Updates():
			switch {
			case !open:
				return nil, fmt.Errorf("read %s: the server broke off", k.bucket)
			case entry == nil: // that was all that is there
				return out, nil
			}
			out[entry.Key()] = entry.Value()
		}
	}
}

// Names lists the objects whose names begin with prefix, in order. More than limit of them are an error.
func (o Objects) Names(ctx context.Context, prefix string, limit int) ([]string, error) {
	store, err := o.open(ctx)
	if err != nil {
		return nil, err
	}
	infos, err := store.List(ctx)
	if errors.Is(err, jetstream.ErrNoObjectsFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list objects %s: %w", o.bucket, err)
	}
	var names []string
	for _, info := range infos {
		if !strings.HasPrefix(info.Name, prefix) {
			continue
		}
		if len(names) == limit {
			return nil, fmt.Errorf("list objects %s/%s: there are more than %d", o.bucket, prefix, limit)
		}
		names = append(names, info.Name)
	}
	slices.Sort(names)
	return names, nil
}
