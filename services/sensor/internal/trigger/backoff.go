package trigger

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/core/span"
	"github.com/argosy-mesh/argosy/libs/core/wait"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// Retry is how often and how far apart something is tried.
type Retry struct {
	Duration time.Duration
	Factor   float64
	Jitter   float64
	Steps    int
}

// longestWait bounds one pause, whatever factor and steps come to.
const longestWait = 10 * time.Minute

// Backoff reads a strategy of a manifest. Without one there is one step; fields that
// are not given are 1 s, factor 1, jitter 1 and 5 steps. Source: Argo Events.
func Backoff(b *v1alpha1.EventBackoff) Retry {
	if b == nil {
		return Retry{Steps: 1}
	}
	r := Retry{Duration: time.Second, Factor: 1, Jitter: 1, Steps: 5}
	if b.Duration != nil {
		r.Duration = durationOf(*b.Duration)
	}
	if b.Factor != nil {
		if f, err := b.Factor.Float64(); err == nil && f > 0 {
			r.Factor = f
		}
	}
	if b.Jitter != nil {
		if j, err := b.Jitter.Float64(); err == nil && j >= 0 {
			r.Jitter = j
		}
	}
	if b.Steps > 0 {
		r.Steps = int(min(b.Steps, 1000))
	}
	return r
}

// durationOf reads "10s", or a number of nanoseconds as Go writes durations.
func durationOf(v v1alpha1.Int64OrString) time.Duration {
	if !v.IsText {
		return time.Duration(v.Number)
	}
	if d, err := time.ParseDuration(v.Text); err == nil {
		return d
	}
	if n, err := strconv.ParseInt(v.Text, 10, 64); err == nil {
		return time.Duration(n)
	}
	return time.Second
}

// Try calls f until it succeeds, the steps are used up, ctx ends, or the error can
// never get better. It returns the last error.
func (r Retry) Try(ctx context.Context, f func(context.Context) error) error {
	next := r.Duration
	for step := 1; ; step++ {
		err := f(ctx)
		if err == nil || fault.Of(err) == fault.Poison || step >= r.Steps {
			return err
		}
		if cut := wait.For(ctx, span.Times(min(next, longestWait), 1+r.Jitter*rand.Float64())); cut != nil {
			return errors.Join(err, cut)
		}
		next = min(span.Times(next, r.Factor), longestWait)
	}
}
