package core

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/casbin/govaluate"
	"github.com/tidwall/gjson"
)

// passes applies the filters of a dependency; the error says what rejected the
// event. What this version cannot evaluate rejects: a filter must fail closed.
func passes(d *v1alpha1.EventDependency, e Event, now time.Time) error {
	if d.Transform != nil {
		return rejectf("dependencies[%s].transform is not supported by this version", d.Name)
	}
	f := d.Filters
	if f == nil {
		return nil
	}
	if f.Script != "" {
		return rejectf("dependencies[%s].filters.script is not supported by this version", d.Name)
	}
	var checks []error
	if len(f.Exprs) > 0 {
		checks = append(checks, combine(f.ExprLogicalOperator, each(f.Exprs, func(x v1alpha1.ExprFilter) error { return exprFilter(x, e) })))
	}
	if len(f.Data) > 0 {
		checks = append(checks, combine(f.DataLogicalOperator, each(f.Data, func(x v1alpha1.DataFilter) error { return dataFilter(x, e) })))
	}
	if f.Context != nil {
		checks = append(checks, contextFilter(f.Context, e))
	}
	if f.Time != nil {
		checks = append(checks, timeFilter(f.Time, now))
	}
	return combine(d.FiltersLogicalOperator, checks)
}

func each[T any](list []T, check func(T) error) []error {
	var out []error
	for _, x := range list {
		out = append(out, check(x))
	}
	return out
}

// combine joins results by "and" (the default) or "or".
func combine(operator string, results []error) error {
	var first error
	for _, err := range results {
		if err == nil && operator == "or" {
			return nil
		}
		if err != nil && first == nil {
			first = err
		}
	}
	return first
}

// dataFilter compares the value at a gjson path. Strings are unanchored regular
// expressions and one match of the list is enough. Source: Argo Events; manifests
// rely on it. Go's expressions run in linear time.
func dataFilter(f v1alpha1.DataFilter, e Event) error {
	found := gjson.GetBytes(e.Data, f.Path)
	if !found.Exists() {
		return rejectf("data has nothing at %q", f.Path)
	}
	if f.Template != "" {
		return rejectf("data filter %q: template is not supported by this version", f.Path)
	}
	for _, want := range f.Value {
		ok, err := compare(f, found, string(want))
		if err != nil {
			return rejectf("data filter %q: %v", f.Path, err)
		}
		if ok {
			return nil
		}
	}
	return rejectf("data at %q is %q, which is none of %q", f.Path, abbreviate(found.String()), f.Value)
}

func compare(f v1alpha1.DataFilter, found gjson.Result, want string) (bool, error) {
	switch strings.ToLower(f.Type) {
	case "bool":
		a, err := strconv.ParseBool(found.String())
		if err != nil {
			return false, fmt.Errorf("%q is no bool", abbreviate(found.String()))
		}
		b, err := strconv.ParseBool(want)
		if err != nil {
			return false, fmt.Errorf("value %q is no bool", want)
		}
		return (a == b) != (f.Comparator == "!="), nil
	case "number":
		a, err := strconv.ParseFloat(found.String(), 64)
		if err != nil {
			return false, fmt.Errorf("%q is no number", abbreviate(found.String()))
		}
		b, err := strconv.ParseFloat(want, 64)
		if err != nil {
			return false, fmt.Errorf("value %q is no number", want)
		}
		return compareNumbers(f.Comparator, a, b)
	case "string", "":
		if f.Comparator == v1alpha1.ComparatorExact {
			return found.String() == want, nil
		}
		expression, err := regexp.Compile(want)
		if err != nil {
			return false, fmt.Errorf("value %q is no regular expression: %w", want, err)
		}
		return expression.MatchString(found.String()) != (f.Comparator == "!="), nil
	}
	return false, fmt.Errorf("type %q is none of string, number, bool", f.Type)
}

func compareNumbers(comparator string, a, b float64) (bool, error) {
	switch comparator {
	case ">=":
		return a >= b, nil
	case ">":
		return a > b, nil
	case "=", "":
		return a == b, nil
	case "!=":
		return a != b, nil
	case "<":
		return a < b, nil
	case "<=":
		return a <= b, nil
	}
	return false, fmt.Errorf("comparator %q is none of >= > = != < <=", comparator)
}

func exprFilter(f v1alpha1.ExprFilter, e Event) error {
	expression, err := govaluate.NewEvaluableExpression(f.Expr)
	if err != nil {
		return rejectf("expr %q: %v", f.Expr, err)
	}
	values := map[string]any{}
	for _, field := range f.Fields {
		found := gjson.GetBytes(e.Data, field.Path)
		if !found.Exists() {
			return rejectf("expr %q: data has nothing at %q", f.Expr, field.Path)
		}
		values[field.Name] = found.Value()
	}
	result, err := expression.Evaluate(values)
	if err != nil {
		return rejectf("expr %q: %v", f.Expr, err)
	}
	if result != true {
		return rejectf("expr %q is %v", f.Expr, result)
	}
	return nil
}

// contextFilter wants every field that it names, exactly.
func contextFilter(f *v1alpha1.EventContext, e Event) error {
	for _, c := range []struct{ name, want, got string }{
		{"type", f.Type, e.Type}, {"subject", f.Subject, e.Subject}, {"source", f.Source, e.Source}, {"datacontenttype", f.DataContentType, e.ContentType},
	} {
		if c.want != "" && c.want != c.got {
			return rejectf("context.%s is %q, not %q", c.name, c.got, c.want)
		}
	}
	return nil
}

// timeFilter takes [start, stop) of each day; a stop before the start means the
// next day.
func timeFilter(f *v1alpha1.TimeFilter, now time.Time) error {
	zone := time.UTC
	if f.Timezone != "" {
		var err error
		if zone, err = time.LoadLocation(f.Timezone); err != nil {
			return rejectf("time.timezone %q: %v", f.Timezone, err)
		}
	}
	start, err := time.Parse(time.TimeOnly, f.Start)
	if err != nil {
		return rejectf("time.start %q is not HH:MM:SS", f.Start)
	}
	stop, err := time.Parse(time.TimeOnly, f.Stop)
	if err != nil {
		return rejectf("time.stop %q is not HH:MM:SS", f.Stop)
	}
	local := now.In(zone)
	at := time.Date(0, 1, 1, local.Hour(), local.Minute(), local.Second(), 0, time.UTC)
	inside := !at.Before(start) && at.Before(stop)
	if stop.Before(start) {
		inside = !at.Before(start) || at.Before(stop)
	}
	if !inside {
		return rejectf("%s is outside of %s to %s", at.Format(time.TimeOnly), f.Start, f.Stop)
	}
	return nil
}

func abbreviate(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}
