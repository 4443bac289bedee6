package eventsource

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // images and machines may lack zones

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/robfig/cron/v3"
)

// Clock is when a calendar fires.
type Clock struct {
	// Zone is where its days begin.
	Zone *time.Location
	next func(time.Time) time.Time
	not  exclusions
}

// never and maxTicks bound the search for a time that is not excluded.
const (
	never    = 5 * 366 * 24 * time.Hour
	maxTicks = 100_000
)

// NewClock reads the schedule or the interval of a calendar, its zone, and the dates on
// which it rests.
func NewClock(c v1alpha1.CalendarEventSource) (*Clock, error) {
	zone, err := time.LoadLocation(c.Timezone)
	if err != nil {
		return nil, &FieldError{"timezone", fmt.Errorf("%q is no time zone such as Europe/Berlin", c.Timezone)}
	}
	k := &Clock{Zone: zone}
	if k.next, err = timetable(c, zone); err != nil {
		return nil, err
	}
	if k.not, err = readExclusions(c.ExclusionDates, zone); err != nil {
		return nil, err
	}
	return k, nil
}

// Next is the first time after another at which the calendar fires; the zero time when
// there is none within five years.
func (k *Clock) Next(after time.Time) time.Time {
	at := after.In(k.Zone)
	last := at.Add(never)
	for range maxTicks {
		if at = k.next(at); at.IsZero() || at.After(last) {
			break
		}
		at = at.In(k.Zone)
		until, excluded := k.not.hold(at)
		if !excluded {
			return at
		}
		if before := until.Add(-time.Nanosecond); before.After(at) {
			at = before
		}
	}
	return time.Time{}
}

// somewhen is where it is tried whether a calendar fires at all.
var somewhen = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// Fires says why a calendar never fires; nil when it does.
func (k *Clock) Fires() error {
	if k.Next(somewhen).IsZero() {
		return &FieldError{"schedule", fmt.Errorf("it names no day that there is, or all of them are excluded")}
	}
	return nil
}

// timetable reads schedule, or interval. An interval counts from 1970, so that all
// replicas and restarts agree on its times.
func timetable(c v1alpha1.CalendarEventSource, zone *time.Location) (func(time.Time) time.Time, error) {
	switch {
	case c.Schedule != "": // it counts where both are set, as upstream has it
		return cronTable(c.Schedule, zone)
	case c.Interval != "":
		every, err := time.ParseDuration(c.Interval)
		if err != nil || every < time.Second {
			return nil, &FieldError{
				"interval", fmt.Errorf("%q is not a duration of at least 1s, such as 10s", c.Interval),
			}
		}
		return steps(every), nil
	default:
		return nil, &FieldError{"", fmt.Errorf("neither schedule nor interval is set; one of them is needed")}
	}
}

func steps(every time.Duration) func(time.Time) time.Time {
	return func(t time.Time) time.Time {
		n := t.UnixNano()/int64(every) + 1
		return time.Unix(0, n*int64(every)).In(t.Location())
	}
}

// cronTable reads five fields. Where clocks change it does what cron(8) does: a job at
// fixed hours and minutes runs once a day, also on the day that lacks its time or has it
// twice; one whose minutes or hours begin with a star follows the clock as it goes.
func cronTable(text string, zone *time.Location) (func(time.Time) time.Time, error) {
	schedule, err := cron.ParseStandard(text)
	if err != nil {
		return nil, &FieldError{
			"schedule",
			fmt.Errorf("%q: %w; minute, hour, day, month, weekday are wanted, such as 30 9 * * 1-5", text, err),
		}
	}
	if every, ok := schedule.(cron.ConstantDelaySchedule); ok {
		return steps(every.Delay), nil
	}
	table, ok := schedule.(*cron.SpecSchedule)
	if !ok || !fixed(text) {
		return func(t time.Time) time.Time { return schedule.Next(t) }, nil
	}
	if table.Location != time.Local { //nolint:gosmopolitan // the library's way of saying none; else there is CRON_TZ= in front of the fields
		zone = table.Location
	}
	wall := *table
	wall.Location = time.UTC
	return func(after time.Time) time.Time {
		// The wall clock is followed as if it were UTC, which has every time once.
		local := after.In(zone)
		day := time.Date(
			local.Year(), local.Month(), local.Day(), local.Hour(), local.Minute(), local.Second(), 0, time.UTC,
		).Add(-wallSlack)
		for {
			if day = wall.Next(day); day.IsZero() {
				return day
			}
			if at := instant(day, zone); at.After(after) {
				return at
			}
		}
	}, nil
}

// wallSlack is more than clocks are ever put forward or back at once, other than over
// the date line.
const wallSlack = 25 * time.Hour

// fixed reports whether neither minutes nor hours begin with a star. Source: cron(8) of
// Debian, "Daylight Saving Time and other time changes", and its flags MIN_STAR, HR_STAR.
func fixed(text string) bool {
	fields := strings.Fields(text)
	if len(fields) > 0 && (strings.HasPrefix(fields[0], "TZ=") || strings.HasPrefix(fields[0], "CRON_TZ=")) {
		fields = fields[1:]
	}
	if len(fields) == 1 {
		return fields[0] != "@hourly"
	}
	return len(fields) > 1 && !strings.HasPrefix(fields[0], "*") && !strings.HasPrefix(fields[1], "*")
}

// instant is when a wall clock shows a time for the first time; where it skips it, the
// moment at which it does.
func instant(wall time.Time, zone *time.Location) time.Time {
	var first time.Time
	for _, around := range []time.Duration{-wallSlack, wallSlack} {
		_, offset := wall.Add(around).In(zone).Zone()
		at := wall.Add(-time.Duration(offset) * time.Second)
		_, really := at.In(zone).Zone()
		if really == offset && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	if !first.IsZero() {
		return first.In(zone)
	}
	_, before := wall.Add(-wallSlack).In(zone).Zone()
	skipped, _ := wall.Add(-time.Duration(before) * time.Second).In(zone).ZoneBounds()
	return skipped
}
