package sensor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/argosy-mesh/argosy/libs/facts"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/libs/sensing"
	"github.com/argosy-mesh/argosy/libs/sensing/param"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/sensor/internal/trigger"
)

// scriptTime is how long the scripts of one event may take, beside their steps.
const scriptTime = 2 * time.Second

// alarm ends scripts of an event that take too long.
func alarm() func() bool {
	ends := time.Now().Add(scriptTime)
	return func() bool { return time.Now().After(ends) }
}

// performer brings effects about.
type performer struct {
	bus     *bus.Bus
	log     *slog.Logger
	metrics *metrics
}

// firing is a trigger of a Sensor that fires.
type firing struct {
	compiled *compiledSensor
	trigger  *compiledTrigger
	events   sensing.Firing
	key      string
	cause    lineage.Lineage
}

// keyOf is the identity of a firing's effect.
func keyOf(s *v1alpha1.Sensor, trigger string, f sensing.Firing) string {
	return bus.Key(append([]string{string(s.UID), trigger}, f.Causes()...)...)
}

// attempt performs a firing without retries.
func (p *performer) attempt(ctx context.Context, f firing) error {
	return p.attemptOf(ctx, f, f.trigger, f.key)
}

// withRetries performs a firing with the retries of its manifest and, when they have
// failed, its dlqTrigger. Nil means that one of the two succeeded.
func (p *performer) withRetries(ctx context.Context, f firing) error {
	err := p.retry(ctx, f, f.trigger, f.key)
	if err == nil || ctx.Err() != nil { // one that was interrupted is not given up
		return err
	}
	s := f.compiled.sensor
	p.metrics.gaveUp.WithLabelValues(s.Namespace, s.Name, f.trigger.name).Inc()
	dead := f.trigger.dead
	if dead == nil {
		return err
	}
	if again := p.retry(ctx, f, dead, bus.Key(f.key, "dlq")); again != nil {
		return worst([]error{err, fmt.Errorf("dlqTrigger: %w", again)})
	}
	p.log.WarnContext(
		ctx, "dlqTrigger fired instead", "sensor", s.Namespace+"/"+s.Name, "trigger", f.trigger.name, "key", f.key,
		"error", err,
	)
	return nil
}

func (p *performer) retry(ctx context.Context, f firing, a *compiledTrigger, key string) error {
	return trigger.Backoff(a.spec.RetryStrategy).Do(
		ctx,
		func(ctx context.Context) error { return p.attemptOf(ctx, f, a, key) },
	)
}

// attemptOf performs the effect, then says so. The commands and the fact have ids made
// of the key: publishing them again after a crash changes nothing.
func (p *performer) attemptOf(ctx context.Context, f firing, a *compiledTrigger, key string) error {
	s := f.compiled.sensor
	if a.limit != nil {
		a.limit.adjust()
		if err := a.limit.Wait(ctx); err != nil {
			return fmt.Errorf("wait for the rate limit of trigger %s: %w", a.name, err)
		}
	}
	began := time.Now()
	result, err := fire(ctx, f, a, key)
	if err == nil {
		err = p.publish(ctx, f, a.name, key, result)
	}
	p.metrics.performed(s, a.name, err, time.Since(began))
	if err != nil {
		return fmt.Errorf("sensor %s/%s, trigger %s, key %s: %w", s.Namespace, s.Name, a.name, key, err)
	}
	return nil
}

func fire(ctx context.Context, f firing, a *compiledTrigger, key string) (trigger.Result, error) {
	fill := param.Filler{Events: f.events.Events, Cache: a.cache, Alarm: alarm()}
	template, err := fill.Template(a.spec.Template, a.spec.Parameters)
	if err != nil {
		return trigger.Result{}, fault.AsPoison(err)
	}
	return a.adapter.Fire(
		ctx,
		trigger.Call{
			Sensor:   f.compiled.sensor,
			Template: template,
			Policy:   a.spec.Policy,
			Firing:   f.events,
			Fill:     fill,
			Key:      key,
			Lineage:  f.cause,
		},
	)
}

func (p *performer) publish(ctx context.Context, f firing, name, key string, result trigger.Result) error {
	for _, out := range result.Commands {
		// The command is caused by the firing, which the fact records.
		l := f.cause
		l.Causation = key
		out.Event.SetTime(time.Now())
		if err := p.bus.Publish(ctx, out.Subject, bus.WithLineage(out.Event, l)); err != nil {
			return err
		}
	}
	s := f.compiled.sensor
	return facts.Publish(ctx, p.bus, events.ServiceSensor, facts.Fact{
		ID:      key,
		About:   facts.About("Sensor", s),
		Body:    events.TriggerFired{Trigger: name, Key: key, Summary: result.Summary},
		Lineage: f.cause,
	})
}

// worst keeps a retry visible that a poison beside it would hide: what can still
// succeed must get its chance.
func worst(errs []error) error {
	joined := errors.Join(errs...)
	for _, err := range errs {
		if fault.Of(err) == fault.Retry {
			return fmt.Errorf("%s: %w", joined.Error(), err)
		}
	}
	return joined
}
