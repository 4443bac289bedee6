package expression

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow/exactjson"
	"github.com/argosy-mesh/argosy/libs/flow/tag"
	"github.com/casbin/govaluate"
)

// Condition evaluates a condition after substitution. Upstream's grammar is
// govaluate's with bare words as strings; an error makes the node Error.
func Condition(condition string) (yes bool, err error) {
	if strings.Count(condition, "(") > maxGroups {
		return false, fmt.Errorf("when %q: %w: it has more than %d parentheses", exactjson.Abbreviate(condition),
			ErrBudget,
			maxGroups)
	}
	defer func() {
		if failure := recover(); failure != nil {
			yes, err = false, fmt.Errorf("when %q: %v", condition, failure)
		}
	}()
	if strings.TrimSpace(condition) == "" {
		return true, nil
	}
	expression, err := govaluate.NewEvaluableExpression(condition)
	if err != nil {
		return false, fmt.Errorf("when %q: %w", condition, err)
	}
	words := map[string]any{}
	for _, name := range expression.Vars() {
		words[name] = name
	}
	result, err := expression.Evaluate(words)
	if err != nil {
		return false, fmt.Errorf("when %q: %w", condition, err)
	}
	yes, ok := result.(bool)
	if !ok {
		return false, fmt.Errorf("when %q: gives %v, which is neither true nor false", condition, result)
	}
	return yes, nil
}

// When evaluates a condition whose tags are filled from env: {{=expr}} by its result, {{a.b.c}} by what env has there.
// The rest has the grammar of when in templates.
func When(condition string, env map[string]any) (bool, error) {
	var failed error
	filled, _ := tag.Replace(condition, func(tag string) (string, bool, error) {
		tag = strings.TrimSpace(tag)
		var value any
		var err error
		if source, ok := strings.CutPrefix(tag, "="); ok {
			value, err = Evaluate(source, env)
		} else {
			value, err = reach(env, tag)
		}
		failed = errors.Join(failed, err)
		return shown(value), true, nil
	})
	if failed != nil {
		return false, failed
	}
	return Condition(filled)
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

func shown(value any) string {
	if at, ok := value.(time.Time); ok {
		return at.UTC().Format(time.RFC3339)
	}
	return ResultText(value)
}

// CheckCondition says what is wrong with a condition in which no tag is left.
func CheckCondition(condition string) error {
	_, err := Condition(condition)
	return err
}
