package pull

import (
	"context"
	"fmt"
	"time"

	"github.com/argosy-mesh/argosy/libs/eventsource"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// missedMost bounds how far back a clock catches up when the manifest does not say.
const missedMost = 24 * time.Hour

// calendar fires at times. The id of an event is its time, so every replica fires
// and one event results.
func calendar(c v1alpha1.CalendarEventSource) Reader {
	return Reader{Filter: c.Filter, AllReplicas: true, Run: func(ctx context.Context, env Env, emit Emit) error {
		s, err := newSchedule(c)
		if err != nil {
			return err
		}
		return s.run(ctx, env, emit)
	}}
}

// schedule is a clock while it runs.
type schedule struct {
	config  v1alpha1.CalendarEventSource
	clock   *eventsource.Clock
	catchUp time.Duration // 0 means that what was missed stays missed
}

func newSchedule(c v1alpha1.CalendarEventSource) (*schedule, error) {
	clock, err := eventsource.NewClock(c)
	if err != nil {
		return nil, err
	}
	s := &schedule{config: c, clock: clock}
	if p := c.Persistence; p != nil && p.Catchup != nil && p.Catchup.Enabled {
		s.catchUp = missedMost
		if p.Catchup.MaxDuration != "" {
			if s.catchUp, err = time.ParseDuration(p.Catchup.MaxDuration); err != nil {
				return nil, fmt.Errorf("persistence.catchup.maxDuration: %w", err)
			}
		}
	}
	return s, nil
}

// run fires until ctx ends. What was missed while nobody ran fires at once, as far
// back as the manifest allows.
func (s *schedule) run(ctx context.Context, env Env, emit Emit) error {
	last := time.Now().In(s.clock.Zone)
	if s.catchUp > 0 {
		saved, err := s.load(ctx, env)
		if err != nil {
			return err
		}
		if floor := last.Add(-s.catchUp); !saved.IsZero() && saved.Before(floor) {
			saved = floor
		}
		if !saved.IsZero() {
			last = saved
		}
	}
	env.Up()
	for {
		at := s.clock.Next(last)
		if at.IsZero() {
			return fmt.Errorf("schedule %q with its exclusionDates never fires", s.config.Schedule)
		}
		if !pause(ctx, time.Until(at)) {
			return nil
		}
		last = at
		if err := emit(
			ctx, Key("calendar", at.UnixNano()), calendarData{EventTime: at.String(), Metadata: s.config.Metadata},
		); err != nil {
			return err
		}
		// A kill right before repeats the event under the same id.
		if err := s.save(ctx, env, at); err != nil {
			return err
		}
	}
}

// calendarData is the view. Source: Argo Events, CalendarEventData.
type calendarData struct {
	EventTime string   `json:"eventTime"`
	Metadata  Metadata `json:"metadata,omitempty"`
}

func (s *schedule) load(ctx context.Context, env Env) (time.Time, error) {
	text, err := env.Positions.Load(ctx, env.Name())
	if err != nil || text == nil {
		return time.Time{}, err
	}
	at, err := time.Parse(time.RFC3339Nano, string(text))
	if err != nil {
		return time.Time{}, nil //nolint:nilerr // of another kind that had this name before
	}
	return at.In(s.clock.Zone), nil
}

func (s *schedule) save(ctx context.Context, env Env, at time.Time) error {
	if s.config.Persistence == nil {
		return nil
	}
	return env.Positions.Save(ctx, env.Name(), []byte(at.Format(time.RFC3339Nano)))
}
