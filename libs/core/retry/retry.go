// Package retry tries again what may get better.
package retry

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/core/span"
	"github.com/argosy-mesh/argosy/libs/core/wait"
)

// Policy is how often and how far apart something is tried. The zero value tries once.
type Policy struct {
	First   time.Duration // the first pause
	Factor  float64       // by which each pause is longer than the one before; 0 means as long
	Jitter  float64       // a pause is longer by up to this share of itself, at random
	Steps   int           // how often it is tried in all; 0 means once
	Longest time.Duration // bounds a pause before jitter; 0 means not
}

// Do calls f until it succeeds, the steps are used up, ctx ends, or the error can never get better, which one of class
// poison cannot. It returns the last error; when ctx ended, with its cause beside it.
func (p Policy) Do(ctx context.Context, f func(context.Context) error) error {
	return p.While(ctx, func(err error) bool { return fault.Of(err) != fault.Poison }, f)
}

// While is [Policy.Do] with another rule of which errors may get better.
func (p Policy) While(ctx context.Context, passes func(error) bool, f func(context.Context) error) error {
	next := p.bounded(p.First)
	for step := 1; ; step++ {
		err := f(ctx)
		if err == nil || step >= p.Steps || !passes(err) {
			return err
		}
		if cut := wait.For(ctx, span.Times(next, 1+p.Jitter*rand.Float64())); cut != nil {
			return errors.Join(err, cut)
		}
		if p.Factor > 0 {
			next = p.bounded(span.Times(next, p.Factor))
		}
	}
}

func (p Policy) bounded(d time.Duration) time.Duration {
	if p.Longest > 0 {
		return min(d, p.Longest)
	}
	return d
}
