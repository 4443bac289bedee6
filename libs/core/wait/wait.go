// Package wait lets time pass until something else ends it.
package wait

import (
	"context"
	"time"
)

// For returns after d, or earlier with the cause for which ctx ended.
func For(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
