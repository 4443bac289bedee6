package expression

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/libs/flow/exactjson"
	"github.com/expr-lang/expr/builtin"
	"github.com/theory/jsonpath"
)

// functions are those that upstream adds to the language. Numbers of JSON keep their value: where upstream reads them
// as floats, ids beyond 2^53 change.
func functions() map[string]any {
	return map[string]any{
		"asInt":    func(v any) (int, error) { return converted[int](builtin.Int, v) },
		"asFloat":  func(v any) (float64, error) { return converted[float64](builtin.Float, v) },
		"toJson":   exactjson.Text,
		"fromJSON": exactjson.Read,
		"jsonpath": selectJSON,
		"sprig":    library(),
	}
}

// converted is v as a number, by the rules of the language itself: a fraction is cut off, text must be that number.
func converted[T any](convert func(any) any, v any) (out T, err error) {
	defer func() {
		if failure := recover(); failure != nil {
			err = fmt.Errorf("%v of type %T cannot be made a number", v, v)
		}
	}()
	if n, ok := v.(json.Number); ok {
		v = n.String()
	}
	out, ok := convert(v).(T)
	if !ok {
		return out, fmt.Errorf("%v of type %T cannot be made a number", v, v)
	}
	return out, nil
}

// selectJSON returns what a JSONPath finds in JSON text: the value when the path can find no more than one, else a
// list.
func selectJSON(document, path string) (any, error) {
	value, err := exactjson.Read(document)
	if err != nil {
		return nil, fmt.Errorf("jsonpath: %w", err)
	}
	p, err := jsonpath.Parse(path)
	if err != nil {
		return nil, fmt.Errorf("jsonpath %q: %w", path, err)
	}
	if err := affordable(value, path); err != nil {
		return nil, err
	}
	found := slices.Collect(p.Select(value).All())
	switch {
	case p.Query().Singular() == nil && found == nil:
		return []any{}, nil
	case p.Query().Singular() == nil:
		return found, nil
	case len(found) == 0:
		return nil, fmt.Errorf("jsonpath %q: finds nothing", path)
	}
	return found[0], nil
}

// maxFound bounds what a JSONPath may come by.
const maxFound = 10_000_000

// affordable says whether a path may be followed: one that looks at all that lies below, and from there again, comes by
// each value many times.
func affordable(value any, path string) error {
	found, all := 1, count(value)
	for range strings.Count(path, "..") {
		if found > maxFound/all {
			return fmt.Errorf("jsonpath %q: %w: it comes by more than %d values", path, ErrBudget, maxFound)
		}
		found *= all
	}
	return nil
}

// count is how many values there are in one.
func count(value any) int {
	n := 1
	switch v := value.(type) {
	case map[string]any:
		for _, inner := range v {
			n += count(inner)
		}
	case []any:
		for _, inner := range v {
			n += count(inner)
		}
	}
	return n
}
