package sensing

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	cloudevents "github.com/cloudevents/sdk-go/v2/event"
)

// maxDialects bounds nesting, since manifests are untrusted.
const maxDialects = 20

// compileDialects prepares filters.cloudEvents: the dialects of the CloudEvents
// Subscriptions API 1.0, section 3.2.4, over the attributes of the event. All must
// hold; an expression that cannot be evaluated is false.
func compileDialects(list []v1alpha1.CloudEventsFilter) (check, error) {
	if len(list) == 0 {
		return nil, nil
	}
	holds, err := compileList(list, 0)
	if err != nil {
		return nil, fmt.Errorf("filters.cloudEvents: %w", err)
	}
	return func(e Event, _ World) error {
		attributes := e.attributes()
		for i, h := range holds {
			if !h(e, attributes) {
				return no("cloudEvents", "filters.cloudEvents[%d] does not hold", i)
			}
		}
		return nil
	}, nil
}

// dialect is a compiled filter over the attributes of an event.
type dialect func(e Event, attributes map[string]string) bool

func compileList(list []v1alpha1.CloudEventsFilter, depth int) ([]dialect, error) {
	var out []dialect
	for i := range list {
		d, err := compileDialect(&list[i], depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

func compileDialect(f *v1alpha1.CloudEventsFilter, depth int) (dialect, error) {
	if depth > maxDialects {
		return nil, fmt.Errorf("nested more than %d deep", maxDialects)
	}
	var parts []dialect
	for _, c := range []struct {
		values map[string]string
		holds  func(s, part string) bool
	}{
		{f.Exact, func(s, part string) bool { return s == part }}, {f.Prefix, strings.HasPrefix},
		{f.Suffix, strings.HasSuffix},
	} {
		if len(c.values) > 0 {
			parts = append(parts, attributeDialect(c.values, c.holds))
		}
	}
	if len(f.All) > 0 {
		inner, err := compileList(f.All, depth)
		if err != nil {
			return nil, err
		}
		parts = append(parts, allOf(inner))
	}
	if len(f.Any) > 0 {
		inner, err := compileList(f.Any, depth)
		if err != nil {
			return nil, err
		}
		parts = append(parts, anyOf(inner))
	}
	if f.Not != nil {
		inner, err := compileDialect(f.Not, depth+1)
		if err != nil {
			return nil, err
		}
		parts = append(parts, func(e Event, a map[string]string) bool { return !inner(e, a) })
	}
	if f.SQL != "" {
		inner, err := compileSQL(f.SQL)
		if err != nil {
			return nil, err
		}
		parts = append(parts, inner)
	}
	if len(parts) != 1 {
		return nil, errors.New("each filter is exactly one of exact, prefix, suffix, all, any, not, sql")
	}
	return parts[0], nil
}

func allOf(list []dialect) dialect {
	return func(e Event, a map[string]string) bool {
		for _, d := range list {
			if !d(e, a) {
				return false
			}
		}
		return true
	}
}

func anyOf(list []dialect) dialect {
	return func(e Event, a map[string]string) bool {
		for _, d := range list {
			if d(e, a) {
				return true
			}
		}
		return false
	}
}

// attributeDialect wants all the attributes that it names; one that the event lacks
// does not hold.
func attributeDialect(values map[string]string, holds func(s, part string) bool) dialect {
	return func(_ Event, a map[string]string) bool {
		for name, want := range values {
			if got, ok := a[name]; !ok || !holds(got, want) {
				return false
			}
		}
		return true
	}
}

// attributes are those that the event has.
func (e Event) attributes() map[string]string {
	all := map[string]string{"specversion": "1.0"}
	maps.Copy(all, e.Extensions)
	for name, value := range map[string]string{
		"id": e.ID, "type": e.Type, "source": e.Source, "subject": e.Subject, "datacontenttype": e.ContentType,
	} {
		if value != "" {
			all[name] = value
		}
	}
	if !e.Time.IsZero() {
		all["time"] = e.Time.UTC().Format(time.RFC3339Nano)
	}
	return all
}

func (e Event) cloudEvent() cloudevents.Event {
	out := cloudevents.New()
	out.SetID(e.ID)
	out.SetType(e.Type)
	out.SetSource(e.Source)
	if e.Subject != "" {
		out.SetSubject(e.Subject)
	}
	if e.ContentType != "" {
		out.SetDataContentType(e.ContentType)
	}
	if !e.Time.IsZero() {
		out.SetTime(e.Time)
	}
	for name, value := range e.Extensions {
		out.SetExtension(name, value)
	}
	return out
}
