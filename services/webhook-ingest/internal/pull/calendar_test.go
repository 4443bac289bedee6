package pull

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// fired runs a clock for a while of virtual time and returns the times it told.
func fired(t *testing.T, r *rig, c v1alpha1.CalendarEventSource, during time.Duration) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), during)
	defer cancel()
	if err := calendar(c).Run(ctx, r.env, r.emit); err != nil {
		t.Error(err)
	}
	var out []string
	for len(r.events) > 0 {
		out = append(out, (<-r.events).get("eventTime"))
	}
	return out
}

func TestCalendar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // begins on 2000-01-01 00:00:00 UTC
		r := newRig(t)
		cases := []struct {
			name   string
			c      v1alpha1.CalendarEventSource
			during time.Duration
			want   int
			first  string
		}{
			{"schedule", v1alpha1.CalendarEventSource{Schedule: "*/10 * * * *"}, 31 * time.Minute, 3, ""},
			{"interval", v1alpha1.CalendarEventSource{Interval: "7s"}, 22 * time.Second, 3, ""},
			{
				"zone", v1alpha1.CalendarEventSource{Schedule: "0 9 * * *", Timezone: "America/New_York"},
				24 * time.Hour, 1, "",
			},
			{
				"excluded dates",
				v1alpha1.CalendarEventSource{
					Schedule:       "0 0 * * *",
					ExclusionDates: []string{"EXDATE:20000104T000000Z,20000105T000000Z"},
				},
				96 * time.Hour,
				2,
				"",
			},
			{
				"excluded rule",
				v1alpha1.CalendarEventSource{
					Schedule:       "0 * * * *",
					ExclusionDates: []string{"DTSTART:20000101T000000Z\nRRULE:FREQ=HOURLY;INTERVAL=2"},
				},
				4 * time.Hour,
				2,
				"",
			},
		}
		for _, c := range cases {
			if got := fired(t, r, c.c, c.during); len(got) != c.want {
				t.Errorf("%s: %v, want %d", c.name, got, c.want)
			}
		}
	})
}

func TestTheSameTimeIsTheSameEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newRig(t), newRig(t)
		c := v1alpha1.CalendarEventSource{Interval: "10s", Metadata: map[string]string{"k": "v"}}
		ctx, cancel := context.WithTimeout(t.Context(), 35*time.Second)
		defer cancel()
		go func() { _ = calendar(c).Run(ctx, a.env, a.emit) }()
		time.Sleep(3 * time.Second) // the other replica starts later
		_ = calendar(c).Run(ctx, b.env, b.emit)
		synctest.Wait()
		if len(a.events) != 3 || len(b.events) != 3 {
			t.Fatalf("%d and %d", len(a.events), len(b.events))
		}
		for range 3 {
			one, two := <-a.events, <-b.events
			if one != two || one.get("metadata.k") != "v" || one.get("eventTime") == "" {
				t.Errorf("%+v and %+v", one, two)
			}
		}
	})
}

func TestMissedTimesAreCaughtUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		c := v1alpha1.CalendarEventSource{
			Schedule: "0 * * * *",
			Persistence: &v1alpha1.EventPersistence{
				Catchup: &v1alpha1.CatchupConfiguration{Enabled: true, MaxDuration: "5h"},
			},
		}
		if got := fired(t, r, c, 90*time.Minute); len(got) != 1 {
			t.Fatalf("%v", got)
		}
		time.Sleep(3 * time.Hour)
		if got := fired(t, r, c, time.Minute); len(got) != 3 {
			t.Errorf("after 3 hours: %v", got)
		}
		time.Sleep(48 * time.Hour)
		if got := fired(t, r, c, time.Minute); len(got) != 5 {
			t.Errorf("after 2 days: %v", got)
		}
		c.Persistence.Catchup.Enabled = false
		time.Sleep(3 * time.Hour)
		if got := fired(t, r, c, time.Minute); len(got) != 0 {
			t.Errorf("without: %v", got)
		}
	})
}

func TestBadClocks(t *testing.T) {
	for name, c := range map[string]v1alpha1.CalendarEventSource{
		"nothing": {}, "impossible": {Schedule: "0 0 31 2 *"}, "six fields": {Schedule: "* * * * * *"},
		"busy": {Interval: "1ms"}, "no duration": {Interval: "soon"},
		"zone":  {Schedule: "* * * * *", Timezone: "Mars/Base"},
		"dates": {Schedule: "* * * * *", ExclusionDates: []string{"EXDATE:soon"}},
		"rule":  {Schedule: "* * * * *", ExclusionDates: []string{"RRULE:FREQ=NEVER"}},
		"catch up": {
			Schedule: "* * * * *",
			Persistence: &v1alpha1.EventPersistence{
				Catchup: &v1alpha1.CatchupConfiguration{Enabled: true, MaxDuration: "long"},
			},
		},
	} {
		r := newRig(t)
		if err := calendar(c).Run(t.Context(), r.env, r.emit); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
