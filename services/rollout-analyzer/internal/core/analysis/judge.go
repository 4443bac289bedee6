package analysis

import (
	"fmt"
	"math"
	"strconv"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/expr-lang/expr"
)

// Judge returns the phase of a measurement with this value. Without conditions every value is a success; with both, a
// value that meets neither or both is a failure only if it meets the failure condition.
func Judge(m v1alpha1.Metric, result any) (v1alpha1.AnalysisPhase, error) {
	success, err := holds(m.SuccessCondition, result)
	if err != nil {
		return v1alpha1.AnalysisError, fmt.Errorf("successCondition: %w", err)
	}
	failure, err := holds(m.FailureCondition, result)
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

// holds evaluates a condition; an empty one does not hold.
func holds(condition string, result any) (is bool, err error) {
	if condition == "" {
		return false, nil
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("evaluate %q: %v", condition, r)
		}
	}()
	env := environment(result)
	program, err := expr.Compile(condition, expr.Env(env))
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

// environment holds what a condition may use beside the language's own functions.
func environment(result any) map[string]any {
	return map[string]any{
		"result":  result,
		"asInt":   asInt,
		"asFloat": asFloat,
		"isNaN":   func(v any) bool { f, ok := v.(float64); return ok && math.IsNaN(f) },
		"isInf":   func(v any) bool { f, ok := v.(float64); return ok && math.IsInf(f, 0) },
		"isNil":   func(v any) bool { return v == nil },
		"default": func(v, fallback any) any {
			if v == nil {
				return fallback
			}
			return v
		},
	}
}

func asInt(v any) (int64, error) {
	f, err := asFloat(v)
	if err != nil {
		return 0, err
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return 0, fmt.Errorf("%v is no whole number", v)
	}
	return int64(f), nil
}

func asFloat(v any) (float64, error) {
	switch v := v.(type) {
	case float64:
		return v, nil
	case int:
		return float64(v), nil
	case int64:
		return float64(v), nil
	case string:
		f, err := strconv.ParseFloat(v, 64)
		if err != nil {
			return 0, fmt.Errorf("%q is no number", v)
		}
		return f, nil
	default:
		return 0, fmt.Errorf("%v is no number", v)
	}
}
