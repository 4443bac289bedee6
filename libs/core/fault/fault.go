// Package fault classifies errors by what the caller should do about them.
//
// An error without a class is a retry: try again later with backoff. Poison can
// never succeed and goes to the dead letters at once. Stale means that somebody
// else already did the work, or that the world moved on: acknowledge and count.
package fault

import (
	"errors"
	"fmt"
)

// Class says what to do with work that failed.
type Class string

// The classes, used as metric labels too.
const (
	None   Class = "none"
	Retry  Class = "retry"
	Poison Class = "poison"
	Stale  Class = "stale"
)

type classed struct {
	class Class
	err   error
}

func (c *classed) Error() string { return c.err.Error() }
func (c *classed) Unwrap() error { return c.err }

// AsPoison marks err as never going to succeed. Nil stays nil.
func AsPoison(err error) error { return mark(Poison, err) }

// AsStale marks err as overtaken by somebody else's work. Nil stays nil.
func AsStale(err error) error { return mark(Stale, err) }

// Poisonf is AsPoison over fmt.Errorf.
func Poisonf(format string, args ...any) error {
	return mark(Poison, fmt.Errorf(format, args...))
}

// Stalef is AsStale over fmt.Errorf.
func Stalef(format string, args ...any) error {
	return mark(Stale, fmt.Errorf(format, args...))
}

func mark(class Class, err error) error {
	if err == nil {
		return nil
	}
	return &classed{class: class, err: err}
}

// Of returns the class of err: None for nil, Retry when nobody classed it.
// The outermost class wins.
func Of(err error) Class {
	if err == nil {
		return None
	}
	if c, ok := errors.AsType[*classed](err); ok {
		return c.class
	}
	return Retry
}
