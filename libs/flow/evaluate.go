package flow

import (
	"fmt"
	"maps"

	"github.com/expr-lang/expr"
)

// Evaluate runs an expression of a manifest over env, with the functions that templates have. Both are bounded: the
// expression in size, the result by what env holds.
func Evaluate(source string, env map[string]any) (any, error) {
	all := maps.Clone(env)
	if all == nil {
		all = map[string]any{}
	}
	maps.Copy(all, functions())
	program, err := expr.Compile(source, expr.Env(all), expr.AllowUndefinedVariables(), expr.MaxNodes(maxExpressionNodes))
	if err != nil {
		return nil, fmt.Errorf("expression %q: %w", source, err)
	}
	result, err := expr.Run(program, all)
	if err != nil {
		return nil, fmt.Errorf("expression %q: %w", source, err)
	}
	return result, nil
}

// Holds runs an expression that must be true or false.
func Holds(source string, env map[string]any) (bool, error) {
	result, err := Evaluate(source, env)
	if err != nil {
		return false, err
	}
	yes, ok := result.(bool)
	if !ok {
		return false, fmt.Errorf("expression %q: gives %v, which is neither true nor false", source, result)
	}
	return yes, nil
}

// ResultText is the result of an expression as the value of a parameter: text as it is, anything else as JSON.
func ResultText(result any) string { return resultText(result) }
