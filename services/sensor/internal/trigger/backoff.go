package trigger

import (
	"strconv"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/retry"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// longestWait bounds one pause, whatever factor and steps come to.
const longestWait = 10 * time.Minute

// Backoff reads a strategy of a manifest. Without one there is one step; fields that
// are not given are 1 s, factor 1, jitter 1 and 5 steps. Source: Argo Events.
func Backoff(b *v1alpha1.EventBackoff) retry.Policy {
	if b == nil {
		return retry.Policy{Steps: 1}
	}
	r := retry.Policy{First: time.Second, Factor: 1, Jitter: 1, Steps: 5, Longest: longestWait}
	if b.Duration != nil {
		r.First = durationOf(*b.Duration)
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
