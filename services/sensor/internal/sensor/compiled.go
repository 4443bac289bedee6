package sensor

import (
	"errors"
	"fmt"
	"time"

	"github.com/argosy-mesh/argosy/libs/sensing"
	"github.com/argosy-mesh/argosy/libs/sensing/check"
	"github.com/argosy-mesh/argosy/libs/sensing/param"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sensor/internal/trigger"
	"golang.org/x/time/rate"
)

// orderedAnnotation makes a Sensor take its events one at a time, each with its
// effects, in the order of the stream.
const orderedAnnotation = "argosy.dev/ordered"

// compiledSensor is a Sensor that is ready to listen.
type compiledSensor struct {
	sensor   *v1alpha1.Sensor
	program  *sensing.Program
	triggers []*compiledTrigger // by index in the spec; nil for one that cannot work
	problems []sensing.Problem
	warnings []sensing.Problem
}

// compiledTrigger is a trigger that is ready to fire.
type compiledTrigger struct {
	name    string
	spec    *v1alpha1.Trigger
	adapter trigger.Adapter
	cache   *param.Cache
	limit   *limit           // may be nil
	dead    *compiledTrigger // dlqTrigger, may be nil
}

// compileSensor prepares what works of a Sensor, and lists what does not.
func compileSensor(s *v1alpha1.Sensor, w trigger.World, share func() int) *compiledSensor {
	found := check.Sensor(s)
	u := &compiledSensor{sensor: s, program: found.Program, problems: found.Problems, warnings: found.Warnings}
	for i := range s.Spec.Triggers {
		a, err := compileTrigger(&s.Spec.Triggers[i], w, share)
		if err != nil && !found.Stops(i) {
			u.problems = append(
				u.problems, sensing.Problem{Path: fmt.Sprintf("spec.triggers[%d]", i), Trigger: i, Err: err},
			)
		}
		u.triggers = append(u.triggers, a)
	}
	return u
}

func compileTrigger(t *v1alpha1.Trigger, w trigger.World, share func() int) (*compiledTrigger, error) {
	if t.Template == nil {
		return nil, errors.New("template: is missing")
	}
	adapter, err := trigger.New(t.Template, w)
	if err != nil {
		return nil, fmt.Errorf("template: %w", err)
	}
	a := &compiledTrigger{name: t.Template.Name, spec: t, adapter: adapter, cache: &param.Cache{}}
	if a.limit, err = newLimit(t.RateLimit, share); err != nil {
		return nil, fmt.Errorf("rateLimit: %w", err)
	}
	if t.DLQTrigger != nil {
		inner := *t.DLQTrigger
		inner.DLQTrigger = nil // as upstream: dead letters of dead letters are not asked for
		if a.dead, err = compileTrigger(&inner, w, share); err != nil {
			return nil, fmt.Errorf("dlqTrigger: %w", err)
		}
	}
	return a, nil
}

// ordered says whether events are taken one at a time.
func (u *compiledSensor) ordered() bool {
	return u.program.AnyWaits() || u.inline()
}

// inline says whether effects belong to the order as well.
func (u *compiledSensor) inline() bool { return u.sensor.Annotations[orderedAnnotation] == "true" }

// find returns a trigger that works, by its name.
func (u *compiledSensor) find(name string) *compiledTrigger {
	for _, a := range u.triggers {
		if a != nil && a.name == name {
			return a
		}
	}
	return nil
}

// close ends what the adapters keep open; nothing may fire any more.
func (u *compiledSensor) close() error {
	var errs []error
	for _, a := range u.triggers {
		for ; a != nil; a = a.dead {
			errs = append(errs, a.adapter.Close())
		}
	}
	return errors.Join(errs...)
}

// limit is a rate that the live replicas share.
type limit struct {
	*rate.Limiter
	whole float64 // per second, over all
	share func() int
}

// units of rate limits. Source: Argo Events.
var units = map[string]time.Duration{"": time.Second, "Second": time.Second, "Minute": time.Minute, "Hour": time.Hour}

func newLimit(l *v1alpha1.TriggerRateLimit, share func() int) (*limit, error) {
	if l == nil {
		return nil, nil
	}
	unit, ok := units[l.Unit]
	if !ok || l.RequestsPerUnit <= 0 {
		return nil, fmt.Errorf("%d per %q is no rate; unit is Second, Minute or Hour", l.RequestsPerUnit, l.Unit)
	}
	whole := float64(l.RequestsPerUnit) / unit.Seconds()
	// A burst of one: no firing comes sooner after another than the rate says.
	return &limit{Limiter: rate.NewLimiter(rate.Limit(whole), 1), whole: whole, share: share}, nil
}

// adjust gives this replica its part.
func (l *limit) adjust() {
	if want := rate.Limit(l.whole / float64(max(l.share(), 1))); want != l.Limit() {
		l.SetLimit(want)
	}
}
