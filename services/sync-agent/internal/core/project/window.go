package project

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/span"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/robfig/cron/v3"
)

// window is a time in which syncs are allowed or denied, again and again.
type window struct {
	v1alpha1.SyncWindow
	schedule cron.Schedule
	duration time.Duration
	zone     *time.Location
}

func newWindow(w v1alpha1.SyncWindow) (window, error) {
	made := window{SyncWindow: w, zone: time.UTC}
	if w.Kind != "allow" && w.Kind != "deny" {
		return made, fmt.Errorf("kind %q is neither allow nor deny", w.Kind)
	}
	if w.TimeZone != "" {
		zone, err := time.LoadLocation(w.TimeZone)
		if err != nil {
			return made, fmt.Errorf("timeZone %q is not known", w.TimeZone)
		}
		made.zone = zone
	}
	if strings.Contains(w.Schedule, "TZ=") {
		return made, fmt.Errorf("schedule %q holds a time zone: use timeZone", w.Schedule)
	}
	schedule, err := cron.ParseStandard(w.Schedule)
	if err != nil {
		return made, fmt.Errorf("schedule %q: %w", w.Schedule, err)
	}
	duration, err := span.Parse(w.Duration)
	if err != nil || duration <= 0 {
		return made, fmt.Errorf("duration %q is none", w.Duration)
	}
	made.schedule, made.duration = schedule, duration
	return made, nil
}

// active reports whether the window is open at a time, by the clock of its own zone at its own beginning. One that
// cannot be read denies for ever and allows never.
func (w window) active(now time.Time) bool {
	if w.schedule == nil {
		return w.Kind != "allow"
	}
	// The first beginning after now-duration is the one that could still be open.
	began := w.schedule.Next(now.In(w.zone).Add(-w.duration))
	return !began.IsZero() && !began.After(now)
}

// changes is when the window next opens or closes.
func (w window) changes(now time.Time) time.Time {
	if w.schedule == nil {
		return time.Time{}
	}
	if began := w.schedule.Next(now.In(w.zone).Add(-w.duration)); !began.IsZero() && !began.After(now) {
		return began.Add(w.duration)
	}
	return w.schedule.Next(now.In(w.zone))
}

// Subject is what windows are about.
type Subject struct {
	Application string
	Destination
}

func (w window) covers(s Subject) bool {
	some := func(patterns []string, texts ...string) bool {
		return slices.ContainsFunc(patterns, func(p string) bool {
			return slices.ContainsFunc(texts, func(t string) bool { return t != "" && Match(p, t) })
		})
	}
	said := []struct {
		patterns []string
		matches  bool
	}{
		{w.Applications, some(w.Applications, s.Application)},
		{w.Clusters, some(w.Clusters, s.Server, s.Name)},
		{w.Namespaces, some(w.Namespaces, s.Namespace)},
	}
	one, all := false, true
	for _, x := range said {
		if len(x.patterns) == 0 {
			continue
		}
		one, all = one || x.matches, all && x.matches
	}
	if w.AndOperator {
		return one && all
	}
	return one
}

// Verdict is what the windows say of an application now; empty texts say that nothing is against it.
type Verdict struct {
	Automated string    // why no sync may begin by itself
	Requested string    // why none may begin that someone asked for
	Running   string    // why one that has begun must wait
	Changes   time.Time // when it may be otherwise; zero means never
}

// Windows asks the windows of the project. began is when the operation at work began, zero when there is none. Source:
// Argo CD's sync windows.
func (p *Project) Windows(s Subject, now, began time.Time) Verdict {
	var v Verdict
	var against []window // the windows that stand in the way
	allowed, allows := false, []window{}
	for _, w := range p.windows {
		if !w.covers(s) {
			continue
		}
		if at := w.changes(now); !at.IsZero() && (v.Changes.IsZero() || at.Before(v.Changes)) {
			v.Changes = at
		}
		open := w.active(now)
		switch {
		case w.Kind != "allow" && open:
			against = append(against, w)
		case w.Kind == "allow" && open:
			allowed = true
		case w.Kind == "allow":
			allows = append(allows, w)
		}
	}
	reason := "a sync window of project " + p.Name + " denies it now"
	if len(against) == 0 {
		if allowed || len(allows) == 0 {
			return v
		}
		against, reason = allows, "no sync window of project "+p.Name+" allows it now"
	}
	v.Automated = reason
	if !all(against, func(w window) bool { return w.ManualSync }) {
		v.Requested = reason
	}
	if began.IsZero() || !overrun(against, began) {
		v.Running = reason
	}
	return v
}

// overrun reports whether an operation may be finished that began before all windows stood in its way.
func overrun(against []window, began time.Time) bool {
	return all(against, func(w window) bool {
		return w.SyncOverrun && w.active(began) == (w.Kind == "allow")
	})
}

func all(list []window, ok func(window) bool) bool {
	return !slices.ContainsFunc(list, func(w window) bool { return !ok(w) })
}
