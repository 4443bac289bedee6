package eventsource

import (
	"fmt"
	"strings"
	"time"

	"github.com/teambition/rrule-go"
)

// exclusions are when a calendar rests. Days are meant, in the zone of the calendar, as
// upstream compares them; a rule that names hours means those.
type exclusions struct {
	days  map[string]bool
	rules []*exclusionRule
}

// exclusionRule is a rule with how much of the time around it is meant.
type exclusionRule struct {
	option rrule.ROption
	dated  bool          // it has a beginning of its own
	span   time.Duration // 0 means the day
	rule   *rrule.RRule  // for times from begins on
	begins time.Time
}

// day is how days are compared.
const day = "20060102"

// earliest bounds how far back a rule may begin: it is followed from there.
const earliest = 1970

func readExclusions(lines []string, zone *time.Location) (exclusions, error) {
	out := exclusions{days: map[string]bool{}}
	for i, line := range lines {
		if err := out.read(line, zone); err != nil {
			return out, &FieldError{fmt.Sprintf("exclusionDates[%d]", i), fmt.Errorf("%q: %w", line, err)}
		}
	}
	return out, nil
}

// read takes one line of iCalendar, or a rule behind its DTSTART on a line before. Source:
// RFC 5545; upstream knows EXDATE: with times in UTC alone.
func (e *exclusions) read(text string, zone *time.Location) error {
	start := time.Time{}
	found := false
	for line := range strings.SplitSeq(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok && strings.Contains(strings.ToUpper(line), "FREQ=") {
			name, value, ok = "RRULE", line, true
		}
		kind, _, _ := strings.Cut(strings.ToUpper(name), ";")
		if !ok {
			return fmt.Errorf(
				"it is no line of iCalendar such as EXDATE:20251225T000000Z or RRULE:FREQ=WEEKLY;BYDAY=SA,SU",
			)
		}
		var err error
		switch kind {
		case "DTSTART":
			start, err = date(value, name, zone)
		case "EXDATE", "RDATE":
			found, err = true, e.dates(value, name, zone)
		case "RRULE", "EXRULE":
			found, err = true, e.rule(value, start, zone)
		default:
			err = fmt.Errorf("%s is none of DTSTART, EXDATE, RDATE, RRULE, EXRULE", kind)
		}
		if err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("it excludes nothing; EXDATE or RRULE is wanted")
	}
	return nil
}

func (e *exclusions) dates(list, name string, zone *time.Location) error {
	for text := range strings.SplitSeq(list, ",") {
		at, err := date(strings.TrimSpace(text), name, zone)
		if err != nil {
			return err
		}
		e.days[at.Format(day)] = true
	}
	return nil
}

// date reads one date, with or without a time. The day is that which is written: a time
// in UTC means its day there, as upstream has it.
func date(text, name string, zone *time.Location) (time.Time, error) {
	for parameter := range strings.SplitSeq(name, ";") {
		key, value, _ := strings.Cut(parameter, "=")
		if !strings.EqualFold(key, "TZID") {
			continue
		}
		named, err := time.LoadLocation(strings.Trim(value, `"`))
		if err != nil {
			return time.Time{}, fmt.Errorf("TZID %s is no time zone such as Europe/Berlin", value)
		}
		zone = named
	}
	for _, form := range []string{"20060102T150405Z", "20060102T150405", "20060102T1504", "20060102"} {
		in := zone
		if strings.HasSuffix(form, "Z") {
			in = time.UTC
		}
		if at, err := time.ParseInLocation(form, text, in); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no date such as 20251225 or 20251225T093000Z", text)
}

// rule reads a recurrence. Without a beginning it has none: what it counts or divides
// from there would be arbitrary, and is refused.
func (e *exclusions) rule(text string, start time.Time, zone *time.Location) error {
	option, err := rrule.StrToROption(text)
	if err != nil {
		return err
	}
	given := map[string]bool{}
	for part := range strings.SplitSeq(strings.ToUpper(text), ";") {
		key, _, _ := strings.Cut(part, "=")
		given[strings.TrimSpace(key)] = true
	}
	switch {
	case option.Freq == rrule.SECONDLY || option.Freq == rrule.MINUTELY:
		return fmt.Errorf("rules for minutes and seconds are not supported: name hours, with BYHOUR or FREQ=HOURLY")
	case option.Freq == rrule.HOURLY && option.Count > 0:
		return fmt.Errorf("COUNT of hours is not supported: name the last one with UNTIL")
	case !start.IsZero() && start.Year() < earliest:
		return fmt.Errorf("DTSTART is before %d", earliest)
	case start.IsZero() && (option.Count > 0 || option.Interval > 1):
		return fmt.Errorf("COUNT and INTERVAL need a beginning: put DTSTART:20250101 on a line before the rule")
	}
	option.Dtstart = start
	if start.IsZero() {
		if missing := undated(option.Freq, given); missing != "" {
			return fmt.Errorf(
				"it does not say which days: add %s, or DTSTART:20250101 on a line before the rule", missing,
			)
		}
		option.Dtstart = time.Date(earliest, 1, 1, 0, 0, 0, 0, zone)
	}
	if _, err := rrule.NewRRule(*option); err != nil {
		return err
	}
	e.rules = append(e.rules, &exclusionRule{option: *option, dated: !start.IsZero(), span: span(option.Freq, given)})
	return nil
}

// undated names what a rule takes from its beginning when it does not say it.
func undated(freq rrule.Frequency, given map[string]bool) string {
	day := given["BYDAY"] || given["BYMONTHDAY"] || given["BYYEARDAY"] || given["BYEASTER"] || given["BYWEEKNO"]
	switch {
	case freq == rrule.WEEKLY && !given["BYDAY"]:
		return "BYDAY"
	case freq == rrule.MONTHLY && !day:
		return "BYMONTHDAY"
	case freq == rrule.YEARLY && !day && !given["BYMONTH"]:
		return "BYMONTH and BYMONTHDAY"
	}
	return ""
}

// span is how much of the time from an occurrence on is meant.
func span(freq rrule.Frequency, given map[string]bool) time.Duration {
	switch {
	case freq == rrule.SECONDLY || given["BYSECOND"]:
		return time.Second
	case freq == rrule.MINUTELY || given["BYMINUTE"]:
		return time.Minute
	case freq == rrule.HOURLY || given["BYHOUR"]:
		return time.Hour
	default:
		return 0
	}
}

// hold reports whether a time is excluded, and up to when it is for certain.
func (e *exclusions) hold(at time.Time) (until time.Time, excluded bool) {
	tomorrow := time.Date(at.Year(), at.Month(), at.Day()+1, 0, 0, 0, 0, at.Location())
	if e.days[at.Format(day)] {
		return tomorrow, true
	}
	for _, r := range e.rules {
		if !r.holds(at) {
			continue
		}
		if r.span == 0 {
			return tomorrow, true
		}
		return at.Add(time.Minute), true
	}
	return time.Time{}, false
}

func (r *exclusionRule) holds(at time.Time) bool {
	from, to := at.Add(-r.span).Add(time.Nanosecond), at
	if r.span == 0 {
		// The day of the calendar, on the clock of the rule.
		from = time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, r.option.Dtstart.Location())
		to = from.AddDate(0, 0, 1).Add(-time.Nanosecond)
	}
	return len(r.near(from).Between(from, to, true)) > 0
}

// near is the rule as it is from shortly before a time on: to follow it from its
// beginning each time would take long.
func (r *exclusionRule) near(at time.Time) *rrule.RRule {
	begins := r.option.Dtstart
	switch {
	case r.option.Freq == rrule.HOURLY:
		step := time.Duration(min(max(1, r.option.Interval), 1_000_000)) * time.Hour // a century and more
		if behind := at.Add(-2 * 24 * time.Hour).Sub(begins); behind > 0 {
			begins = begins.Add(behind - behind%step) // an hour of the same round
		}
	case !r.dated:
		if year := at.Year() - 1; year > begins.Year() {
			begins = time.Date(year, 1, 1, 0, 0, 0, 0, begins.Location())
		}
	}
	if r.rule == nil || !r.begins.Equal(begins) {
		option := r.option
		option.Dtstart = begins
		r.rule, _ = rrule.NewRRule(option) // it was made when it was read
		r.begins = begins
	}
	return r.rule
}
