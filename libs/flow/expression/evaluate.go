// Package expression runs the expressions and conditions of manifests over given values, with the functions that
// templates have. It knows neither tags with a scope nor workflows. Expressions are bounded in size: manifests are
// untrusted.
package expression

import (
	"fmt"
	"maps"
	"strings"

	"github.com/argosy-mesh/argosy/libs/flow/exactjson"
	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/parser"
)

// Evaluate runs an expression of a manifest over env, with the functions that templates have. What it may cost is
// bounded: its length, the turns of its loops, the sizes of what it makes and hands on. An error that wraps [ErrBudget]
// says that it would be too much.
func Evaluate(source string, env map[string]any) (result any, err error) {
	if len(source) > MaxSource {
		return nil, fmt.Errorf("expression %q: %w: it is longer than %d bytes", exactjson.Abbreviate(source), ErrBudget,
			MaxSource)
	}
	defer func() {
		if failure := recover(); failure != nil {
			result, err = nil, fmt.Errorf("expression %q: %v", source, failure)
		}
	}()
	all := maps.Clone(env)
	if all == nil {
		all = map[string]any{}
	}
	maps.Copy(all, functions())
	options := append([]expr.Option{expr.Env(all), expr.AllowUndefinedVariables(), expr.MaxNodes(maxNodes),
		expr.DisableBuiltin("fromJSON")},
		newBudget().options()...)
	program, err := expr.Compile(source, options...)
	if err != nil {
		return nil, fmt.Errorf("expression %q: %w", source, err)
	}
	if result, err = expr.Run(program, all); err != nil {
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
	return truth(source, result)
}

func truth(source string, result any) (bool, error) {
	yes, ok := result.(bool)
	if !ok {
		return false, fmt.Errorf("expression %q: gives %v, which is neither true nor false", source, result)
	}
	return yes, nil
}

// Check says what is wrong with the grammar of an expression, whatever the
// values of its variables.
func Check(source string) error {
	if len(source) > MaxSource {
		return fmt.Errorf("expression %q: %w: it is longer than %d bytes", exactjson.Abbreviate(source), ErrBudget,
			MaxSource)
	}
	if _, err := parser.Parse(source); err != nil {
		what, _, _ := strings.Cut(err.Error(), "\n") // the rest draws an arrow below the source
		return fmt.Errorf("expression %q: %s", source, what)
	}
	return nil
}

// ResultText is the result of an expression as the value of a parameter: text as it is, anything else as JSON.
func ResultText(result any) string {
	if text, ok := result.(string); ok {
		return text
	}
	return exactjson.Text(result)
}
