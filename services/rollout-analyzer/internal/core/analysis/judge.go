package analysis

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/expr-lang/expr"
)

// Judge returns the phase of a measurement with this value. Without conditions every value is a success; with both, a
// value that meets both is a failure, and one that meets neither is inconclusive. The error says which condition
// cannot be evaluated and why; the phase is then Error.
func Judge(m v1alpha1.Metric, result any, now time.Time) (v1alpha1.AnalysisPhase, error) {
	success, err := holds(m.SuccessCondition, result, now)
	if err != nil {
		return v1alpha1.AnalysisError, fmt.Errorf("successCondition: %w", err)
	}
	failure, err := holds(m.FailureCondition, result, now)
	if err != nil {
		return v1alpha1.AnalysisError, fmt.Errorf("failureCondition: %w", err)
	}
	switch {
	case failure:
		return v1alpha1.AnalysisFailed, nil
	case success || m.SuccessCondition == "":
		return v1alpha1.AnalysisSuccessful, nil
	case m.FailureCondition == "":
		return v1alpha1.AnalysisFailed, nil
	default:
		return v1alpha1.AnalysisInconclusive, nil
	}
}

// holds evaluates a condition; an empty one does not hold. Functions of templates may panic; that is an error.
func holds(condition string, result any, now time.Time) (is bool, err error) {
	if condition == "" {
		return false, nil
	}
	if len(condition) > maxSource {
		return false, fmt.Errorf("%w: longer than %d bytes", ErrBudget, maxSource)
	}
	defer func() {
		if r := recover(); r != nil {
			is, err = false, fmt.Errorf("evaluate %q: %v", condition, r)
		}
	}()
	env := environment(result)
	b := &budget{turns: maxTurns, weight: maxWeight}
	clock := expr.Function("now", func(...any) (any, error) { return now, nil }, new(func() time.Time))
	program, err := expr.Compile(condition, append(b.options(), expr.Env(env), expr.DisableBuiltin("now"), clock)...)
	if err != nil {
		return false, fmt.Errorf("read %q: %w", condition, err)
	}
	out, err := expr.Run(program, env)
	if err != nil {
		return false, fmt.Errorf("evaluate %q: %w", condition, err)
	}
	is, ok := out.(bool)
	if !ok {
		return false, fmt.Errorf("%q is %v, neither true nor false", condition, out)
	}
	return is, nil
}

// environment holds what a condition may use beside the language's own functions. isNil and default look at the whole
// result whatever they are given, as upstream's do; see docs/compat.md.
func environment(result any) map[string]any {
	return map[string]any{
		"result":  result,
		"asInt":   asInt,
		"asFloat": asFloat,
		"isNaN":   func(v any) (bool, error) { f, err := numeric("isNaN", v); return math.IsNaN(f), err },
		"isInf":   func(v any) (bool, error) { f, err := numeric("isInf", v); return math.IsInf(f, 0), err },
		"isNil":   func(any) bool { return missing(result) },
		"default": func(_, fallback any) any {
			if missing(result) {
				return fallback
			}
			return result
		},
	}
}

func missing(v any) bool {
	if v == nil {
		return true
	}
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice, reflect.Interface:
		return r.IsNil()
	default:
		return false
	}
}

// numeric is what a function of numbers is given. Lists, maps, text and nil are no numbers: a check that passes them
// would say that something is in order which was never looked at.
func numeric(function string, v any) (float64, error) {
	switch v := v.(type) {
	case float64:
		return v, nil
	case float32:
		return float64(v), nil
	case int:
		return float64(v), nil
	case int64:
		return float64(v), nil
	case int32:
		return float64(v), nil
	default:
		return 0, fmt.Errorf("%s is given %s, which is no number", function, described(v))
	}
}

// described names a value without repeating all of a large one.
func described(v any) string {
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Invalid:
		return "nil"
	case reflect.Slice, reflect.Array:
		return fmt.Sprintf("a list of %d", r.Len())
	case reflect.Map:
		return "a map"
	case reflect.String:
		if r.Len() > 64 {
			return "a text"
		}
		return strconv.Quote(r.String())
	default:
		return fmt.Sprint(v)
	}
}

func asInt(v any) (int64, error) {
	if text, is := v.(string); is {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("asInt is given %s, which is no whole number", described(text))
		}
		return n, nil
	}
	f, err := numeric("asInt", v)
	if err != nil {
		return 0, err
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return 0, fmt.Errorf("asInt is given %v, which is no whole number", v)
	}
	return int64(f), nil
}

func asFloat(v any) (float64, error) {
	if text, is := v.(string); is {
		f, err := strconv.ParseFloat(text, 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return 0, fmt.Errorf("asFloat is given %s, which is no number", described(text))
		}
		return f, nil
	}
	return numeric("asFloat", v)
}
