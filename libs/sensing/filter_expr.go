package sensing

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/argosy-mesh/argosy/libs/script"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/tidwall/gjson"
)

// compileExprs prepares filters.exprs: expressions over fields of the data, without
// loops or functions, so that their text bounds their time.
func compileExprs(list []v1alpha1.ExprFilter, operator string) (check, error) {
	var checks []check
	var errs []error
	for i := range list {
		c, err := compileExpr(list[i])
		if err != nil {
			errs = append(errs, fmt.Errorf("filters.exprs[%d]: %w", i, err))
			continue
		}
		checks = append(checks, c)
	}
	return listed(operator, checks), errors.Join(errs...)
}

func compileExpr(f v1alpha1.ExprFilter) (check, error) {
	if len(f.Expr) > maxExpression {
		return nil, fmt.Errorf("expr: more than %d bytes", maxExpression)
	}
	expression, err := parseExpr(f.Expr)
	if err != nil {
		return nil, fmt.Errorf("expr %q: %w", abbreviate(f.Expr), err)
	}
	return func(e Event, _ World) error {
		fields := make(map[string]gjson.Result, len(f.Fields))
		for _, field := range f.Fields {
			found := gjson.GetBytes(e.Data, field.Path)
			if !found.Exists() {
				return wrongf("exprs", "expr %q: data has nothing at %q", abbreviate(f.Expr), field.Path)
			}
			fields[field.Name] = found
		}
		result, err := expression.evaluate(fields)
		if err != nil {
			return wrongf("exprs", "expr %q: %w", abbreviate(f.Expr), err)
		}
		switch result {
		case true:
			return nil
		case false:
			return no("exprs", "expr %q is false", abbreviate(f.Expr))
		}
		return wrongf("exprs", "expr %q is %v, neither true nor false", abbreviate(f.Expr), result)
	}, nil
}

func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("cannot be evaluated: %v", r)
	}
}

// compileTime takes [start, stop) of each day by the event's time; a stop that is not
// after the start means the next day.
func compileTime(f *v1alpha1.TimeFilter) (check, error) {
	zone := time.UTC
	if f.Timezone != "" {
		var err error
		if zone, err = time.LoadLocation(f.Timezone); err != nil {
			return nil, fmt.Errorf("filters.time.timezone %q: %w", f.Timezone, err)
		}
	}
	start, err := time.Parse(time.TimeOnly, f.Start)
	if err != nil {
		return nil, fmt.Errorf("filters.time.start %q is not HH:MM:SS", f.Start)
	}
	stop, err := time.Parse(time.TimeOnly, f.Stop)
	if err != nil {
		return nil, fmt.Errorf("filters.time.stop %q is not HH:MM:SS", f.Stop)
	}
	return func(e Event, w World) error {
		when := e.Time
		if when.IsZero() {
			when = w.Now
		}
		local := when.In(zone)
		at := time.Date(0, 1, 1, local.Hour(), local.Minute(), local.Second(), 0, time.UTC)
		inside := !at.Before(start) && at.Before(stop)
		if !stop.After(start) {
			inside = !at.Before(start) || at.Before(stop)
		}
		if inside {
			return nil
		}
		return no("time", "%s is outside of %s to %s", at.Format(time.TimeOnly), f.Start, f.Stop)
	}, nil
}

// objectOf reads data that must be a JSON object.
func objectOf(data []byte) (map[string]any, error) {
	v, err := script.Decode(data)
	m, ok := v.(map[string]any)
	if err != nil || !ok {
		return nil, errors.New("data is no JSON object")
	}
	return m, nil
}

// kindOf names the type of a script's result.
func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "nothing"
	case string:
		return "a string"
	case float64, json.Number:
		return "a number"
	}
	return "a table"
}
