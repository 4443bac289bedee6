package core

import (
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// Event is what a Sensor may know of an event.
type Event struct {
	ID, Type, Source, Subject, ContentType string
	Time                                   time.Time
	Data                                   []byte // JSON
	Sequence                               uint64 // position in the stream, to find it again
}

// Window is what a trigger with several dependencies waits with: the latest event
// of each, by dependency name.
type Window map[string]Event

// Firing is a trigger that fires.
type Firing struct {
	Trigger int // index in spec.triggers
	Events  Window
}

// Verdict is what an event comes to for one Sensor.
type Verdict struct {
	Firings  []Firing
	Windows  map[int]Window // by trigger: what to remember; nil means forget
	Rejected []Rejection
}

// Rejection says why a dependency did not take an event of its source.
type Rejection struct {
	Dependency string
	Reason     string
}

// World is everything that Evaluate may look at.
type World struct {
	Spec                   v1alpha1.SensorSpec
	EventSource, EventName string // where the event came from
	Event                  Event
	Windows                map[int]Window // by trigger
	Now                    time.Time
}

// Evaluate says what an event means. One dependency may be satisfied by it, or
// several; each trigger sees all of them.
func Evaluate(w World) Verdict {
	v := Verdict{Windows: map[int]Window{}}
	satisfied := map[string]Event{}
	for i := range w.Spec.Dependencies {
		d := &w.Spec.Dependencies[i]
		if !glob(d.EventSourceName, w.EventSource) || !glob(d.EventName, w.EventName) {
			continue
		}
		if err := passes(d, w.Event, w.Now); err != nil {
			v.Rejected = append(v.Rejected, Rejection{Dependency: d.Name, Reason: err.Error()})
			continue
		}
		satisfied[d.Name] = w.Event
	}
	if len(satisfied) == 0 {
		return v
	}
	for i := range w.Spec.Triggers {
		v.trigger(w, i, satisfied)
	}
	return v
}

func (v *Verdict) trigger(w World, index int, satisfied map[string]Event) {
	template := w.Spec.Triggers[index].Template
	if template == nil {
		return
	}
	c, err := conditionsOf(template.Conditions, w.Spec.Dependencies)
	if err != nil {
		v.Rejected = append(v.Rejected, Rejection{Dependency: "trigger " + template.Name, Reason: err.Error()})
		return
	}
	window := Window{}
	maps.Copy(window, w.Windows[index])
	touched := false
	for name, e := range satisfied {
		if c.mentions(name) {
			window[name], touched = e, true // the latest event of a dependency wins
		}
	}
	if !touched {
		return
	}
	if !c.hold(window) {
		v.Windows[index] = window
		return
	}
	v.Firings = append(v.Firings, Firing{Trigger: index, Events: window})
	if len(w.Windows[index]) > 0 {
		v.Windows[index] = nil
	}
}

// Causes are the ids of the contributing events by dependency name, in order.
func (f Firing) Causes() []string {
	var causes []string
	for _, name := range sortedNames(f.Events) {
		causes = append(causes, name, f.Events[name].ID, f.Events[name].Source)
	}
	return causes
}

// errFilter is the class of everything that makes a filter reject an event.
var errFilter = errors.New("filtered out")

func rejectf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errFilter, fmt.Sprintf(format, args...))
}
