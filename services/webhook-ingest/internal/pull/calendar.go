package pull

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/robfig/cron/v3"
	"github.com/teambition/rrule-go"
)

// missedMost bounds how far back a clock catches up when the manifest does not say.
const missedMost = 24 * time.Hour

// calendar fires at times. The id of an event is its time, so every replica fires
// and one event results.
func calendar(c v1alpha1.CalendarEventSource) Reader {
	return Reader{Filter: c.Filter, Everywhere: true, Run: func(ctx context.Context, env Env, emit Emit) error {
		s, err := newSchedule(c)
		if err != nil {
			return err
		}
		return s.run(ctx, env, emit)
	}}
}

// schedule says when a clock fires.
type schedule struct {
	config  v1alpha1.CalendarEventSource
	next    func(time.Time) time.Time // the first time after one; zero means never
	zone    *time.Location
	exclude func(time.Time) bool
	catchUp time.Duration // 0 means that what was missed stays missed
}

func newSchedule(c v1alpha1.CalendarEventSource) (*schedule, error) {
	zone, err := time.LoadLocation(c.Timezone)
	if err != nil {
		return nil, fmt.Errorf("timezone: %w", err)
	}
	s := &schedule{config: c, zone: zone}
	if s.next, err = timetable(c); err != nil {
		return nil, err
	}
	if s.exclude, err = excluded(c.ExclusionDates, zone); err != nil {
		return nil, err
	}
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

// timetable reads schedule, or interval. An interval counts from 1970, so that all
// replicas and restarts agree on its times.
func timetable(c v1alpha1.CalendarEventSource) (func(time.Time) time.Time, error) {
	switch {
	case c.Schedule != "" && c.Interval != "":
		return nil, fmt.Errorf("schedule and interval are both set; one of them is needed")
	case c.Schedule != "":
		table, err := cron.ParseStandard(c.Schedule)
		if err != nil {
			return nil, fmt.Errorf("schedule: %w", err)
		}
		return table.Next, nil
	case c.Interval != "":
		every, err := time.ParseDuration(c.Interval)
		if err != nil || every < time.Second {
			return nil, fmt.Errorf("interval: %q is not a duration of at least 1s", c.Interval)
		}
		return func(t time.Time) time.Time {
			n := t.UnixNano()/int64(every) + 1
			return time.Unix(0, n*int64(every)).In(t.Location())
		}, nil
	default:
		return nil, fmt.Errorf("neither schedule nor interval is set")
	}
}

// excluded reads lines of iCalendar: EXDATE with dates, RRULE with recurring ones.
func excluded(lines []string, zone *time.Location) (func(time.Time) bool, error) {
	var rules []*rrule.RRule
	dates := map[int64]bool{}
	for _, line := range lines {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if base, _, _ := strings.Cut(name, ";"); strings.EqualFold(base, "EXDATE") || strings.EqualFold(base, "RDATE") {
			days, err := rrule.StrToDatesInLoc(value, zone)
			if err != nil {
				return nil, fmt.Errorf("exclusionDates: %q: %w", line, err)
			}
			for _, d := range days {
				dates[d.Unix()] = true
			}
			continue
		}
		rule, err := rrule.StrToRRule(line)
		if err != nil {
			return nil, fmt.Errorf("exclusionDates: %q: %w", line, err)
		}
		rules = append(rules, rule)
	}
	return func(t time.Time) bool {
		if dates[t.Unix()] {
			return true
		}
		for _, r := range rules {
			if len(r.Between(t, t, true)) > 0 {
				return true
			}
		}
		return false
	}, nil
}

// run fires until ctx ends. What was missed while nobody ran fires at once, as far
// back as the manifest allows.
func (s *schedule) run(ctx context.Context, env Env, emit Emit) error {
	last := time.Now().In(s.zone)
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
		at := s.next(last)
		if at.IsZero() {
			return fmt.Errorf("schedule %q never fires", s.config.Schedule)
		}
		if !pause(ctx, time.Until(at)) {
			return nil
		}
		last = at
		if s.exclude(at) {
			continue
		}
		if err := emit(ctx, Key("calendar", at.UnixNano()), calendarData{EventTime: at.String(), Metadata: s.config.Metadata}); err != nil {
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
	return at.In(s.zone), nil
}

func (s *schedule) save(ctx context.Context, env Env, at time.Time) error {
	if s.config.Persistence == nil {
		return nil
	}
	return env.Positions.Save(ctx, env.Name(), []byte(at.Format(time.RFC3339Nano)))
}
