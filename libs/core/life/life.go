// Package life runs the parts of a process: started in order, stopped in
// reverse, within one deadline.
//
// A part is a function that works until its context ends and then drains and
// returns. The process stops when the caller's context ends or when any part
// returns on its own; a part that returns early without error counts as a
// failure, because nobody asked it to.
package life

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Part is one running piece of a process.
type Part struct {
	Name string
	Run  func(ctx context.Context) error
}

// Of names a function as a Part.
func Of(name string, run func(ctx context.Context) error) Part {
	return Part{Name: name, Run: run}
}

// ErrStuck is wrapped by Run's error for each part that did not return within
// the drain time.
var ErrStuck = errors.New("did not stop in time")

type running struct {
	name   string
	cancel context.CancelFunc
	done   chan error
}

// Run starts parts in order and blocks until ctx ends or a part returns. It then
// stops them in reverse order and gives them drain in total to finish. The
// result joins what went wrong; a clean stop returns nil.
func Run(ctx context.Context, drain time.Duration, parts ...Part) error {
	ended := make(chan string, len(parts))
	started := make([]running, 0, len(parts))
	for _, p := range parts {
		started = append(started, start(ctx, p, ended))
	}
	var early error
	select {
	case <-ctx.Done():
	case name := <-ended:
		early = fmt.Errorf("%s ended before it was asked to", name)
	}
	return errors.Join(early, stop(started, drain))
}

func start(ctx context.Context, p Part, ended chan<- string) running {
	// A part outlives ctx until its turn to stop comes, so its own context must
	// not end with the caller's.
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r := running{name: p.Name, cancel: cancel, done: make(chan error, 1)}
	go func() {
		r.done <- p.Run(own)
		ended <- p.Name
	}()
	return r
}

func stop(started []running, drain time.Duration) error {
	deadline := time.After(drain)
	var errs []error
	for _, r := range slices.Backward(started) {
		r.cancel()
		select {
		case err := <-r.done:
			if err != nil && !errors.Is(err, context.Canceled) {
				errs = append(errs, fmt.Errorf("%s: %w", r.name, err))
			}
		case <-deadline:
			errs = append(errs, fmt.Errorf("%s: %w (%s)", r.name, ErrStuck, drain))
			deadline = time.After(0)
		}
	}
	return errors.Join(errs...)
}
