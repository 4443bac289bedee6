package flow

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"time"

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
	return evaluate(source, all)
}

// evaluate runs an expression over env, which holds the functions too.
func evaluate(source string, env map[string]any) (any, error) {
	program, err := expr.Compile(source, expr.Env(env), expr.AllowUndefinedVariables(), expr.MaxNodes(maxExpressionNodes), expr.DisableBuiltin("fromJSON"))
	if err != nil {
		return nil, fmt.Errorf("expression %q: %w", source, err)
	}
	result, err := expr.Run(program, env)
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
	return truth(source, result)
}

func truth(source string, result any) (bool, error) {
	yes, ok := result.(bool)
	if !ok {
		return false, fmt.Errorf("expression %q: gives %v, which is neither true nor false", source, result)
	}
	return yes, nil
}

// ResultText is the result of an expression as the value of a parameter: text as it is, anything else as JSON.
func ResultText(result any) string { return resultText(result) }

// When evaluates a condition whose tags are filled from env: {{=expr}} by its result, {{a.b.c}} by what env has there. The
// rest has the grammar of when in templates.
func When(condition string, env map[string]any) (bool, error) {
	var failed error
	filled := tagPattern.ReplaceAllStringFunc(condition, func(tag string) string {
		inner := strings.TrimSpace(tag[2 : len(tag)-2])
		var value any
		var err error
		if source, ok := strings.CutPrefix(inner, "="); ok {
			value, err = Evaluate(source, env)
		} else {
			value, err = reach(env, inner)
		}
		failed = errors.Join(failed, err)
		return shown(value)
	})
	if failed != nil {
		return false, failed
	}
	return when(filled)
}

var tagPattern = regexp.MustCompile(`\{\{[^{}]*\}\}`)

func shown(value any) string {
	if at, ok := value.(time.Time); ok {
		return at.UTC().Format(time.RFC3339)
	}
	return resultText(value)
}

// reach finds a dotted name in nested maps, whose keys may have dots too.
func reach(env map[string]any, name string) (any, error) {
	rest := name
	for {
		if value, ok := env[rest]; ok {
			return value, nil
		}
		head, tail, more := strings.Cut(rest, ".")
		next, ok := env[head].(map[string]any)
		if !more || !ok {
			return nil, fmt.Errorf("{{%s}} has no value here", name)
		}
		env, rest = next, tail
	}
}
