package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// load bounds a drive: so many at once, for so long, and no more than limit.
type load struct {
	connections int
	time        time.Duration
	limit       int
}

// attempt does the n-th piece of work; false means that it was refused.
type attempt func(ctx context.Context, n int64) (accepted bool, err error)

// outcome is what came of a load.
type outcome struct {
	took    []float64 // milliseconds of each that was accepted
	refused int
	elapsed time.Duration
}

func (o outcome) rate() float64        { return float64(len(o.took)) / o.elapsed.Seconds() }
func (o outcome) ms(p float64) float64 { return Percentile(o.took, p) }

// drive repeats try from all connections until time or limit is up.
func drive(ctx context.Context, l load, try attempt) (outcome, error) {
	began := time.Now()
	var next atomic.Int64
	parts := make([]outcome, l.connections)
	errs := make([]error, l.connections)
	var wg sync.WaitGroup
	for i := range l.connections {
		wg.Go(func() {
			for errs[i] == nil && time.Since(began) < l.time && ctx.Err() == nil {
				n := next.Add(1)
				if n > int64(l.limit) {
					return
				}
				errs[i] = parts[i].once(ctx, n, try)
			}
		})
	}
	wg.Wait()
	total := outcome{elapsed: time.Since(began)}
	for _, p := range parts {
		total.took = append(total.took, p.took...)
		total.refused += p.refused
	}
	switch first := slices.IndexFunc(errs, func(err error) bool { return err != nil }); {
	case ctx.Err() != nil:
		return total, ctx.Err()
	case first >= 0:
		// the others say the same
		return total, fmt.Errorf("after %s: %w", total.elapsed.Round(time.Millisecond), errs[first])
	case len(total.took) == 0:
		return total, errors.New("nothing was accepted")
	}
	return total, nil
}

func (o *outcome) once(ctx context.Context, n int64, try attempt) error {
	began := time.Now()
	accepted, err := try(ctx, n)
	switch {
	case err != nil:
		return err
	case accepted:
		o.took = append(o.took, float64(time.Since(began))/float64(time.Millisecond))
	default:
		o.refused++
	}
	return nil
}
