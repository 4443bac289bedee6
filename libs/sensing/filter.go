package sensing

import (
	"errors"
	"strings"

	"github.com/argosy-mesh/argosy/libs/script"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// check passes an event or says why not.
type check func(e Event, w World) error

// compileFilters prepares the filters of a dependency; nil passes everything. The
// order is exprs, data, context, time, script. Source: Argo Events.
func compileFilters(d *v1alpha1.EventDependency, o Options) (check, error) {
	f := d.Filters
	if f == nil {
		return nil, nil
	}
	var checks []check
	var errs []error
	add := func(c check, err error) {
		if err != nil {
			errs = append(errs, err)
		} else if c != nil {
			checks = append(checks, c)
		}
	}
	add(compileExprs(f.Exprs, f.ExprLogicalOperator))
	add(compileData(f.Data, f.DataLogicalOperator, o))
	if f.Context != nil {
		add(contextFilter(f.Context), nil)
	}
	if f.Time != nil {
		add(compileTime(f.Time))
	}
	if f.Script != "" {
		add(compileScript(f.Script))
	}
	add(compileDialects(f.CloudEvents))
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if len(checks) == 0 {
		return nil, nil
	}
	return join(d.FiltersLogicalOperator, checks, o), nil
}

// join combines the kinds of filters. Under "or" one that cannot be evaluated rejects
// what another accepts, unless the options say otherwise. Source: Argo Events.
func join(operator string, checks []check, o Options) check {
	if operator != "or" {
		return every(checks)
	}
	return func(e Event, w World) error {
		var first, wrong error
		passed := false
		for _, c := range checks {
			err := c(e, w)
			switch {
			case err == nil:
				passed = true
			case isWrong(err) && wrong == nil:
				wrong = err
			}
			if first == nil {
				first = err
			}
		}
		if wrong != nil && !o.OrSkipsErrors {
			return wrong
		}
		if passed {
			return nil
		}
		return first
	}
}

func every(checks []check) check {
	return func(e Event, w World) error {
		for _, c := range checks {
			if err := c(e, w); err != nil {
				return err
			}
		}
		return nil
	}
}

// some passes when one of the checks does, whatever the others say: within one list,
// errors do not count. Source: Argo Events.
func some(checks []check) check {
	return func(e Event, w World) error {
		var first error
		for _, c := range checks {
			err := c(e, w)
			if err == nil {
				return nil
			}
			if first == nil || isWrong(err) && !isWrong(first) {
				first = err
			}
		}
		return first
	}
}

// listed combines the members of one list.
func listed(operator string, checks []check) check {
	if len(checks) == 0 {
		return nil
	}
	if operator == "or" {
		return some(checks)
	}
	return every(checks)
}

// contextFilter wants every field that it names, exactly.
func contextFilter(f *v1alpha1.EventContext) check {
	return func(e Event, _ World) error {
		for _, c := range []struct{ name, want, got string }{
			{"type", f.Type, e.Type}, {"subject", f.Subject, e.Subject}, {"source", f.Source, e.Source},
			{"datacontenttype", f.DataContentType, e.ContentType},
		} {
			if c.want != "" && c.want != c.got {
				return no("context", "context.%s is %q, not %q", c.name, abbreviate(c.got), c.want)
			}
		}
		return nil
	}
}

// compileScript prepares a Lua filter, which must return true or false and sees
// the data as "event".
func compileScript(source string) (check, error) {
	program, err := script.CompileLua(source)
	if err != nil {
		return nil, err
	}
	return func(e Event, w World) error {
		data, err := objectOf(e.Data)
		if err != nil {
			return rejected("script", err)
		}
		result, err := program.Run(data, limitsOf(w))
		if err != nil {
			return rejected("script", err)
		}
		switch result {
		case true:
			return nil
		case false:
			return no("script", "the script returned false")
		}
		return wrongf(
			"script", "the script returned %s, not true or false", abbreviate(strings.TrimSpace(kindOf(result))),
		)
	}, nil
}
