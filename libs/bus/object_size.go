package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Size is how many bytes the named object has, or [ErrNotFound].
func (o Objects) Size(ctx context.Context, name string) (int64, error) {
	store, err := o.open(ctx)
	if err != nil {
		return 0, err
	}
	info, err := store.GetInfo(ctx, name)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return 0, fmt.Errorf("object %s/%s: %w", o.bucket, name, errors.Join(ErrNotFound, err))
	}
	if err != nil {
		return 0, fmt.Errorf("look at object %s/%s: %w", o.bucket, name, err)
	}
	return int64(info.Size), nil
}
