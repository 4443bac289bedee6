package flow

import (
	"fmt"
	"strings"

	"github.com/casbin/govaluate"
)

// when evaluates a condition after substitution. Upstream's grammar is
// govaluate's with bare words as strings; an error makes the node Error.
func when(condition string) (bool, error) {
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
