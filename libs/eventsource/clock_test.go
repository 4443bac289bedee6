package eventsource

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

func clock(t *testing.T, c v1alpha1.CalendarEventSource) *Clock {
	t.Helper()
	k, err := NewClock(c)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// during are the times at which a calendar fires from one day on, for some days, as its
// zone's clock shows them.
func during(t *testing.T, c v1alpha1.CalendarEventSource, from string, days int) string {
	t.Helper()
	k := clock(t, c)
	at, err := time.ParseInLocation("2006-01-02", from, k.Zone)
	if err != nil {
		t.Fatal(err)
	}
	end := at.AddDate(0, 0, days)
	at = at.Add(-time.Nanosecond)
	var out []string
	for len(out) < 200 {
		if at = k.Next(at); at.IsZero() || !at.Before(end) {
			break
		}
		out = append(out, at.Format("02T15:04"))
	}
	return strings.Join(out, " ")
}

// Case 14: a job at a fixed time runs once a day, as cron(8) has it.
func TestClocksThatAreChanged(t *testing.T) {
	const newYork, cairo, berlin, lordHowe = "America/New_York", "Africa/Cairo", "Europe/Berlin", "Australia/Lord_Howe"
	for name, c := range map[string]struct{ schedule, zone, from, want string }{
		"skipped":           {"30 2 * * *", newYork, "2026-03-07", "07T02:30 08T03:00 09T02:30"},
		"twice":             {"30 1 * * *", newYork, "2026-10-31", "31T01:30 01T01:30 02T01:30"},
		"midnight":          {"0 0 * * *", cairo, "2026-04-23", "23T00:00 24T01:00 25T00:00"},
		"daily":             {"@daily", cairo, "2026-04-23", "23T00:00 24T01:00 25T00:00"},
		"midnight back":     {"30 23 * * *", cairo, "2026-10-28", "28T23:30 29T23:30 30T23:30"},
		"two in the gap":    {"0,30 2 * * *", newYork, "2026-03-07", "07T02:00 07T02:30 08T03:00 09T02:00 09T02:30"},
		"Berlin skipped":    {"15 2 * * *", berlin, "2026-03-28", "28T02:15 29T03:00 30T02:15"},
		"Berlin twice":      {"15 2 * * *", berlin, "2026-10-24", "24T02:15 25T02:15 26T02:15"},
		"half an hour":      {"15 2 * * *", lordHowe, "2026-10-03", "03T02:15 04T02:30 05T02:15"},
		"half an hour back": {"45 1 * * *", lordHowe, "2026-04-04", "04T01:45 05T01:45 06T01:45"},
		"not in the gap":    {"0 12 * * *", newYork, "2026-03-07", "07T12:00 08T12:00 09T12:00"},
		"weekly in the gap": {"30 2 * * 0", newYork, "2026-03-07", "08T03:00"},
		"zone in front": {
			"CRON_TZ=America/New_York 30 2 * * *", newYork, "2026-03-07", "07T02:30 08T03:00 09T02:30",
		},
		"each hour": {
			"0 0-3 * * *", newYork, "2026-03-08",
			"08T00:00 08T01:00 08T03:00 09T00:00 09T01:00 09T02:00 09T03:00 10T00:00 10T01:00 10T02:00 10T03:00",
		},
		"a star in the hour": {
			"30 */12 * * *", newYork, "2026-03-08", "08T00:30 08T12:30 09T00:30 09T12:30 10T00:30 10T12:30",
		},
	} {
		if got := during(
			t, v1alpha1.CalendarEventSource{Schedule: c.schedule, Timezone: c.zone}, c.from, 3,
		); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	// A star follows the clock as it goes: each real hour once.
	for from, want := range map[string]int{"2026-03-08": 23, "2026-11-01": 25, "2026-11-02": 24} {
		if got := len(
			strings.Fields(during(t, v1alpha1.CalendarEventSource{Schedule: "0 * * * *", Timezone: newYork}, from, 1)),
		); got != want {
			t.Errorf("%s: %d hours, want %d", from, got, want)
		}
	}
}

// Every day of ten years has each fixed time once, in zones that change in odd ways.
func TestEachDayHasEachFixedTimeOnce(t *testing.T) {
	for _, zone := range []string{
		"UTC", "America/New_York", "Africa/Cairo", "Australia/Lord_Howe", "Asia/Tehran", "America/Sao_Paulo",
		"Africa/Casablanca", "Asia/Kathmandu",
	} {
		for _, at := range []string{"0 0", "30 1", "30 2", "59 23"} {
			k := clock(t, v1alpha1.CalendarEventSource{Schedule: at + " * * *", Timezone: zone})
			days := map[string]int{}
			last := time.Date(2017, 1, 1, 0, 0, 0, 0, k.Zone).Add(-time.Nanosecond)
			end := time.Date(2027, 1, 1, 0, 0, 0, 0, k.Zone)
			for {
				next := k.Next(last)
				if !next.After(last) {
					t.Fatalf("%s %s: %s comes after %s", zone, at, next, last)
				}
				if last = next; !last.Before(end) {
					break
				}
				days[last.Format(day)]++
			}
			if len(days) != 3652 {
				t.Errorf("%s %s: %d days of 3652", zone, at, len(days))
			}
			for day, n := range days {
				if n != 1 {
					t.Errorf("%s %s: %d times on %s", zone, at, n, day)
				}
			}
		}
	}
}

// Case 13: days are meant.
func TestExcludedDays(t *testing.T) {
	const morning, newYork = "30 9 * * *", "America/New_York"
	for name, c := range map[string]struct {
		schedule, zone string
		dates          []string
		from           string
		days           int
		want           string
	}{
		"stamp of midnight": {
			morning, "", []string{"EXDATE:20251225T000000Z"}, "2025-12-24", 3, "24T09:30 26T09:30",
		},
		"the time itself": {
			morning, "", []string{"EXDATE:20251225T093000Z"}, "2025-12-24", 3, "24T09:30 26T09:30",
		},
		"a date": {
			morning, "", []string{"EXDATE;VALUE=DATE:20251225"}, "2025-12-24", 3, "24T09:30 26T09:30",
		},
		"a date alone": {morning, "", []string{"EXDATE:20251225"}, "2025-12-24", 3, "24T09:30 26T09:30"},
		"several": {
			morning, "", []string{"EXDATE;VALUE=DATE:20251224,20251226"}, "2025-12-24", 3, "25T09:30",
		},
		"with a zone": {
			"30 4 * * *", newYork, []string{"EXDATE;TZID=America/New_York:20251225T043000"}, "2025-12-24", 3,
			"24T04:30 26T04:30",
		},
		"a quoted zone": {
			"30 4 * * *", newYork, []string{`EXDATE;TZID="America/New_York":20251225T043000`}, "2025-12-24", 3,
			"24T04:30 26T04:30",
		},
		"small letters": {
			morning, "", []string{"exdate;value=date:20251225"}, "2025-12-24", 3, "24T09:30 26T09:30",
		},
		"all ticks of the day": {
			"0 */8 * * *", "", []string{"EXDATE:20251225T000000Z"}, "2025-12-24", 3,
			"24T00:00 24T08:00 24T16:00 26T00:00 26T08:00 26T16:00",
		},
		"weekends": {
			morning, "", []string{"RRULE:FREQ=WEEKLY;BYDAY=SA,SU"}, "2026-01-01", 5, "01T09:30 02T09:30 05T09:30",
		},
		"weekends in a zone": {
			"30 23 * * *", newYork, []string{"RRULE:FREQ=WEEKLY;BYDAY=SA,SU"}, "2026-01-01", 5,
			"01T23:30 02T23:30 05T23:30",
		},
		"without its name": {
			morning, "", []string{"FREQ=WEEKLY;BYDAY=SA,SU"}, "2026-01-01", 5, "01T09:30 02T09:30 05T09:30",
		},
		"each year": {
			morning, "", []string{"RRULE:FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=25,26"}, "2031-12-24", 4,
			"24T09:30 27T09:30",
		},
		"last friday": {
			morning, "", []string{"RRULE:FREQ=MONTHLY;BYDAY=-1FR"}, "2026-01-29", 3, "29T09:30 31T09:30",
		},
		"first of the month": {
			morning, "", []string{"RRULE:FREQ=MONTHLY;BYMONTHDAY=1"}, "2026-01-31", 3, "31T09:30 02T09:30",
		},
		"every second day": {
			morning, "", []string{"DTSTART:20260101T000000Z\nRRULE:FREQ=DAILY;INTERVAL=2"}, "2026-01-01", 4,
			"02T09:30 04T09:30",
		},
		"until": {
			morning, "", []string{"DTSTART;VALUE=DATE:20260101\r\nRRULE:FREQ=DAILY;UNTIL=20260102T235959Z"},
			"2026-01-01", 3, "03T09:30",
		},
		"a count": {
			morning, "", []string{"DTSTART:20260101\nRRULE:FREQ=DAILY;COUNT=2"}, "2026-01-01", 3, "03T09:30",
		},
		"an hour of each day": {
			"0,30 8-10 * * *", "", []string{"RRULE:FREQ=DAILY;BYHOUR=9"}, "2026-01-01", 1,
			"01T08:00 01T08:30 01T10:00 01T10:30",
		},
		"hours in turn": {
			"0 * * * *", "", []string{"DTSTART:20000101T000000Z\nRRULE:FREQ=HOURLY;INTERVAL=12"}, "2026-01-01", 1,
			"01T01:00 01T02:00 01T03:00 01T04:00 01T05:00 01T06:00 01T07:00 01T08:00 01T09:00 01T10:00 01T11:00 01T13:00 01T14:00 01T15:00 01T16:00 01T17:00 01T18:00 01T19:00 01T20:00 01T21:00 01T22:00 01T23:00",
		},
		"nothing left": {
			"0 0 1 1 *", "", []string{"RRULE:FREQ=YEARLY;BYMONTH=1;BYMONTHDAY=1"}, "2026-01-01", 400, "",
		},
		"each minute of no days": {"* * * * *", "", []string{"RRULE:FREQ=DAILY"}, "2026-01-01", 1, ""},
	} {
		if got := during(
			t, v1alpha1.CalendarEventSource{Schedule: c.schedule, Timezone: c.zone, ExclusionDates: c.dates}, c.from,
			c.days,
		); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	both := v1alpha1.CalendarEventSource{Schedule: morning, Interval: "1s"}
	if got := during(t, both, "2025-12-24", 2); got != "24T09:30 25T09:30" {
		t.Errorf("the schedule counts where both are set: %s", got)
	}
	interval := v1alpha1.CalendarEventSource{Interval: "8h", ExclusionDates: []string{"EXDATE;VALUE=DATE:20251225"}}
	if got := during(t, interval, "2025-12-24", 3); got != "24T00:00 24T08:00 24T16:00 26T00:00 26T08:00 26T16:00" {
		t.Errorf("an interval: %s", got)
	}
}

func TestBadClocks(t *testing.T) {
	with := func(line string) v1alpha1.CalendarEventSource {
		return v1alpha1.CalendarEventSource{Schedule: "0 0 * * *", ExclusionDates: []string{line}}
	}
	for name, c := range map[string]struct {
		c     v1alpha1.CalendarEventSource
		field string
	}{
		"nothing":            {v1alpha1.CalendarEventSource{}, ""},
		"six fields":         {v1alpha1.CalendarEventSource{Schedule: "* * * * * *"}, "schedule"},
		"weekday 7":          {v1alpha1.CalendarEventSource{Schedule: "0 0 * * 7"}, "schedule"},
		"busy":               {v1alpha1.CalendarEventSource{Interval: "1ms"}, "interval"},
		"no duration":        {v1alpha1.CalendarEventSource{Interval: "soon"}, "interval"},
		"zone":               {v1alpha1.CalendarEventSource{Schedule: "* * * * *", Timezone: "Mars/Base"}, "timezone"},
		"no date":            {with("EXDATE:soon"), "exclusionDates[0]"},
		"no line":            {with("20251225"), "exclusionDates[0]"},
		"another property":   {with("DTEND:20251225"), "exclusionDates[0]"},
		"nothing excluded":   {with("DTSTART:20251225"), "exclusionDates[0]"},
		"an unknown zone":    {with("EXDATE;TZID=Mars/Base:20251225T000000"), "exclusionDates[0]"},
		"no frequency":       {with("RRULE:FREQ=NEVER"), "exclusionDates[0]"},
		"minutes":            {with("RRULE:FREQ=MINUTELY"), "exclusionDates[0]"},
		"no day of the week": {with("RRULE:FREQ=WEEKLY"), "exclusionDates[0]"},
		"no day":             {with("RRULE:FREQ=MONTHLY"), "exclusionDates[0]"},
		"no beginning":       {with("RRULE:FREQ=DAILY;INTERVAL=2"), "exclusionDates[0]"},
		"too early":          {with("DTSTART:10000101\nRRULE:FREQ=DAILY"), "exclusionDates[0]"},
	} {
		_, err := NewClock(c.c)
		var fault *FieldError
		if !errors.As(err, &fault) || fault.Field != c.field {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, c := range []v1alpha1.CalendarEventSource{
		{Schedule: "0 0 31 2 *"}, {Schedule: "0 0 * * *", ExclusionDates: []string{"RRULE:FREQ=DAILY"}},
	} {
		if err := clock(t, c).Fires(); err == nil {
			t.Errorf("%+v never fires", c)
		}
	}
	for _, c := range []v1alpha1.CalendarEventSource{
		{Schedule: "0 0 29 2 *"}, {Schedule: "@every 90s"}, {Interval: "1h"}, {Schedule: "@hourly"},
	} {
		if err := clock(t, c).Fires(); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func FuzzClock(f *testing.F) {
	f.Add("30 9 * * *", "America/New_York", "EXDATE;VALUE=DATE:20251225")
	f.Add("*/5 1-3 * * 1", "", "DTSTART:20260101\nRRULE:FREQ=HOURLY;INTERVAL=5")
	f.Add("@every 1h", "Africa/Cairo", "RRULE:FREQ=YEARLY;BYMONTH=12;BYDAY=MO")
	f.Fuzz(func(t *testing.T, schedule, zone, line string) {
		k, err := NewClock(
			v1alpha1.CalendarEventSource{Schedule: schedule, Timezone: zone, ExclusionDates: []string{line}},
		)
		if err != nil {
			return
		}
		after := time.Date(2026, 3, 8, 6, 0, 0, 0, time.UTC)
		if next := k.Next(after); !next.IsZero() && !next.After(after) {
			t.Error(fmt.Sprint(next))
		}
	})
}
