package script

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"

	"github.com/itchyny/gojq"
)

// JQ is a compiled query.
type JQ struct {
	code *gojq.Code
}

// Names of the functions that rewritten queries call. A query cannot define them
// anew, since they are looked up as given from outside.
const (
	boundAdd     = "__bound_add"
	boundMul     = "__bound_mul"
	boundValue   = "__bound_value"
	boundSmall   = "__bound_small"
	boundSubject = "__bound_subject"
	budgetName   = "$__budget"
)

// maxReplacement bounds what gsub puts in and join puts between, since that may
// happen as often as the text is long.
const maxReplacement = 1 << 10

// maxSubject bounds what is searched for all matches at once.
const maxSubject = 64 << 10

// CompileJQ reads a query. Operators and functions whose result may be a multiple of
// what they are given are replaced by ones that know the budget.
func CompileJQ(source string) (*JQ, error) {
	if len(source) > maxSource {
		return nil, fmt.Errorf("jq: the query has more than %d bytes", maxSource)
	}
	query, err := gojq.Parse(source)
	if err != nil {
		return nil, fmt.Errorf("jq: %w", err)
	}
	if len(query.Imports) > 0 {
		return nil, errors.New("jq: modules cannot be imported")
	}
	rewrite(&query, boundQuery)
	code, err := gojq.Compile(query,
		gojq.WithVariables([]string{budgetName}),
		gojq.WithEnvironLoader(func() []string { return nil }),
		gojq.WithFunction(boundAdd, 3, 3, arithmetic(".[0] + .[1]")),
		gojq.WithFunction(boundMul, 3, 3, arithmetic(".[0] * .[1]")),
		gojq.WithFunction(boundValue, 1, 1, checkValue),
		gojq.WithFunction(boundSmall, 0, 0, atMost("replacement", maxReplacement)),
		gojq.WithFunction(boundSubject, 0, 0, atMost("text to search", maxSubject)),
	)
	if err != nil {
		return nil, fmt.Errorf("jq: %w", err)
	}
	return &JQ{code: code}, nil
}

// Run returns the first output of an input, whose numbers may be of type [json.Number]. Source: Argo Events; the others
// are not asked for.
func (q *JQ) Run(input any, limits Limits) (any, error) {
	b := newBudget(limits)
	v, ok := q.code.RunWithContext(b, input, &handle{b}).Next()
	if b.err != nil {
		return nil, fmt.Errorf("jq: %w", b.err)
	}
	if !ok {
		return nil, errors.New("jq: the query gives nothing")
	}
	if err, failed := v.(error); failed {
		return nil, fmt.Errorf("jq: %w", err)
	}
	if err := measure(b, v); err != nil {
		return nil, fmt.Errorf("jq: %w", err)
	}
	return v, nil
}

// handle carries the budget through the interpreter as a value. Queries get it only
// as the last argument of the functions here.
type handle struct{ budget *budget }

// measure walks a value as a tree and charges for it: one list may stand in many
// places, and forty doublings are a tree larger than any memory.
func measure(b *budget, v any) error {
	total := 0
	return weigh(b, v, &total, 0)
}

func weigh(b *budget, v any, total *int, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%w: nested more than %d deep", ErrBudget, maxDepth)
	}
	*total += 8
	switch v := v.(type) {
	case *handle:
		return errBudgetLost // a query that asks for it gets nothing from it
	case string:
		*total += len(v)
	case json.Number:
		*total += len(v)
	case *big.Int:
		*total += v.BitLen() / 8
	case []any:
		for _, e := range v {
			if err := weigh(b, e, total, depth+1); err != nil {
				return err
			}
		}
	case map[string]any:
		for key, e := range v {
			*total += len(key)
			if err := weigh(b, e, total, depth+1); err != nil {
				return err
			}
		}
	}
	if *total > b.limits.Bytes {
		return b.room(*total)
	}
	if !b.charge(1) {
		return b.err
	}
	return nil
}

func arithmetic(expression string) func(any, []any) any {
	query, err := gojq.Parse(expression)
	if err != nil {
		return func(any, []any) any { return err }
	}
	code, err := gojq.Compile(query)
	if err != nil {
		return func(any, []any) any { return err }
	}
	return func(_ any, args []any) any {
		h, ok := args[2].(*handle)
		if !ok {
			return errBudgetLost
		}
		if err := fits(h.budget, args[0], args[1]); err != nil {
			return err
		}
		v, _ := code.Run([]any{args[0], args[1]}).Next()
		return v
	}
}

var errBudgetLost = errors.New("the budget is lost")

// fits says whether the sum or product of two values has room.
func fits(b *budget, left, right any) error {
	if s, n, ok := repetition(left, right); ok {
		if n > float64(b.limits.Bytes)/float64(max(len(s), 1)) {
			return b.room(b.limits.Bytes + 1)
		}
		return b.room(int(float64(len(s)) * max(n, 0)))
	}
	if err := measure(b, left); err != nil {
		return err
	}
	return measure(b, right)
}

// repetition recognises "text" * n, in either order.
func repetition(left, right any) (string, float64, bool) {
	for _, p := range [][2]any{{left, right}, {right, left}} {
		s, ok := p[0].(string)
		if !ok {
			continue
		}
		switch n := p[1].(type) {
		case int:
			return s, float64(n), true
		case float64:
			return s, n, true
		case *big.Int:
			f, _ := n.Float64()
			return s, f, true
		case json.Number:
			f, err := n.Float64()
			return s, f, err == nil || math.IsInf(f, 0)
		}
	}
	return "", 0, false
}

// checkValue passes its input on when it has room.
func checkValue(v any, args []any) any {
	h, ok := args[0].(*handle)
	if !ok {
		return errBudgetLost
	}
	if err := measure(h.budget, v); err != nil {
		return err
	}
	return v
}

func atMost(what string, limit int) func(any, []any) any {
	return func(v any, _ []any) any {
		if s, ok := v.(string); ok && len(s) > limit {
			return fmt.Errorf("%w: a %s of more than %d bytes", ErrBudget, what, limit)
		}
		return v
	}
}
