package sensing

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"strings"
	"time"
)

// Verdict is what an event comes to for one Sensor.
type Verdict struct {
	Matched  []string // dependencies that took the event
	Firings  []Firing
	Windows  map[int]Window // by trigger: what to remember; nil means nothing any more
	Rejected []Rejection
}

// Rejection says why a dependency did not take an event of its source.
type Rejection struct {
	Dependency string
	// Filter is what rejected it: exprs, data, context, time, script, cloudEvents,
	// transform or dependency.
	Filter string
	Reason string
}

// World is everything that Evaluate may look at.
type World struct {
	EventSource, EventName string // where the event came from
	Event                  Event
	Windows                map[int]Window // by trigger
	// Now is when the event counts as evaluated: with the time that the stream stored
	// it, an evaluation can be repeated later with the same result.
	Now time.Time
	// Alarm, when set, ends scripts that take too long.
	Alarm func() bool
}

// Evaluate says what an event means. One dependency may be satisfied by it, or
// several; each trigger sees all of them.
func (p *Program) Evaluate(w World) Verdict {
	v := Verdict{Windows: map[int]Window{}}
	satisfied := Window{}
	for i := range p.dependencies {
		d := &p.dependencies[i]
		if !glob(d.source, w.EventSource) || !glob(d.event, w.EventName) {
			continue
		}
		e, err := d.take(w)
		if err != nil {
			v.Rejected = append(v.Rejected, rejection(d.name, err))
			continue
		}
		satisfied[d.name] = e
		v.Matched = append(v.Matched, d.name)
	}
	if len(satisfied) == 0 {
		return v
	}
	for i := range p.triggers {
		p.triggers[i].see(&v, i, w, satisfied)
	}
	return v
}

// take transforms an event and applies the filters, in this order. Source: Argo
// Events; filters see what the transform made.
func (d *dependency) take(w World) (Event, error) {
	if d.broken != nil {
		return w.Event, rejected("dependency", d.broken)
	}
	e, err := d.transform.apply(w.Event, limitsOf(w))
	if err != nil {
		return e, rejected("transform", err)
	}
	if d.accept == nil {
		return e, nil
	}
	return e, d.accept(e, w)
}

// see adds what is satisfied to the trigger's window and fires it when its
// condition holds.
func (t *trigger) see(v *Verdict, index int, w World, satisfied Window) {
	if t.broken != nil {
		return
	}
	window := Window{}
	maps.Copy(window, w.Windows[index])
	// A condition that was edited may no longer wait for what is there.
	maps.DeleteFunc(window, func(name string, _ Event) bool { return !t.condition.mentions(name) })
	t.reset(window, w.Now)
	touched := false
	for name, e := range satisfied {
		if t.condition.mentions(name) {
			window[name], touched = e, true // the latest event of a dependency wins
		}
	}
	if !touched {
		return
	}
	if !t.condition.hold(window) {
		v.Windows[index] = window
		return
	}
	v.Firings = append(v.Firings, Firing{Trigger: index, Events: window})
	v.Windows[index] = nil
}

// reset forgets events that came before the last tick of a reset.
func (t *trigger) reset(window Window, now time.Time) {
	for _, schedule := range t.resets {
		for name, e := range window {
			if next := schedule.Next(e.Arrived); !next.IsZero() && !next.After(now) {
				delete(window, name)
			}
		}
	}
}

// Transformed is the event as a dependency's parameters see it.
func (p *Program) Transformed(dependency string, e Event, alarm func() bool) (Event, error) {
	for i := range p.dependencies {
		if d := &p.dependencies[i]; d.name == dependency && d.broken == nil {
			return d.transform.apply(e, limitsOf(World{Alarm: alarm}))
		}
	}
	return e, fmt.Errorf("the sensor has no dependency %q that works", dependency)
}

// refusal is an error that says which filter it comes from.
type refusal struct {
	filter string
	err    error
	// wrong marks a filter that could not be evaluated, as against one that said no.
	wrong bool
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// rejected is an evaluation that failed.
func rejected(filter string, err error) error {
	return &refusal{filter: filter, err: err, wrong: true}
}

// no is an evaluation that worked, and said no.
func no(filter, format string, args ...any) error {
	return &refusal{filter: filter, err: fmt.Errorf(format, args...)}
}

// wrongf is rejected over fmt.Errorf.
func wrongf(filter, format string, args ...any) error {
	return rejected(filter, fmt.Errorf(format, args...))
}

func isWrong(err error) bool {
	r, ok := errors.AsType[*refusal](err)
	return ok && r.wrong
}

func rejection(dependency string, err error) Rejection {
	r := Rejection{Dependency: dependency, Reason: err.Error()}
	if of, ok := errors.AsType[*refusal](err); ok {
		r.Filter = of.filter
	}
	return r
}

// glob compares a name of a dependency, which may hold wildcards.
func glob(pattern, name string) bool {
	if pattern == name {
		return true
	}
	if !strings.ContainsAny(pattern, `*?[\`) {
		return false
	}
	ok, err := path.Match(pattern, name)
	return err == nil && ok
}

func abbreviate(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}
