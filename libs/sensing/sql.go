package sensing

import (
	"fmt"

	"github.com/antlr/antlr4/runtime/Go/antlr"
	cesql "github.com/cloudevents/sdk-go/sql/v2"
	"github.com/cloudevents/sdk-go/sql/v2/gen"
	"github.com/cloudevents/sdk-go/sql/v2/parser"
	"github.com/cloudevents/sdk-go/sql/v2/utils"
	cloudevents "github.com/cloudevents/sdk-go/v2/event"
)

// logic is an expression of CloudEvents SQL as a truth value. An error is a third value.
type logic func(e cloudevents.Event) (bool, error)

func compileSQL(text string) (d dialect, err error) {
	defer recovered(&err)
	if len(text) > maxExpression {
		return nil, fmt.Errorf("sql: more than %d bytes", maxExpression)
	}
	whole, err := parser.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("sql %q: %w", abbreviate(text), err)
	}
	holds, err := splitSQL(text, whole)
	if err != nil {
		return nil, fmt.Errorf("sql %q: %w", abbreviate(text), err)
	}
	return func(e Event, _ map[string]string) bool { return holdsSQL(holds, e) }, nil
}

// holdsSQL takes an error for false. Source: the CloudEvents Subscriptions API 1.0, section 3.2.4.7.
func holdsSQL(holds logic, e Event) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	ok, err := holds(e.cloudEvent())
	return ok && err == nil
}

// splitSQL takes an expression apart at AND, OR, XOR and NOT. The SDK evaluates these from the left, and gives up at
// the first error: whether an event passes would depend on the order of the operands.
func splitSQL(text string, whole cesql.Expression) (logic, error) {
	stream := parser.NewCaseChangingStream(antlr.NewInputStream(text), true)
	p := gen.NewCESQLParserParser(
		antlr.NewCommonTokenStream(gen.NewCESQLParserLexer(stream), antlr.TokenDefaultChannel),
	)
	p.RemoveErrorListeners()
	root, ok := p.Cesql().(*gen.CesqlContext)
	if !ok {
		return leafSQL(whole), nil
	}
	return nodeSQL([]rune(text), root.Expression())
}

func nodeSQL(text []rune, node gen.IExpressionContext) (logic, error) {
	switch n := node.(type) {
	case *gen.SubExpressionContext:
		return nodeSQL(text, n.Expression())
	case *gen.UnaryLogicExpressionContext:
		inner, err := nodeSQL(text, n.Expression())
		if err != nil {
			return nil, err
		}
		return func(e cloudevents.Event) (bool, error) {
			ok, err := inner(e)
			return !ok, err
		}, nil
	case *gen.BinaryLogicExpressionContext:
		left, err := nodeSQL(text, n.Expression(0))
		if err != nil {
			return nil, err
		}
		right, err := nodeSQL(text, n.Expression(1))
		if err != nil {
			return nil, err
		}
		switch {
		case n.AND() != nil:
			return decided(left, right, false), nil
		case n.OR() != nil:
			return decided(left, right, true), nil
		}
		return differ(left, right), nil
	}
	from, to := node.GetStart().GetStart(), node.GetStop().GetStop()
	if from < 0 || to >= len(text) || from > to {
		return nil, fmt.Errorf("a part of it cannot be found")
	}
	leaf, err := parser.Parse(string(text[from : to+1]))
	if err != nil {
		return nil, err
	}
	return leafSQL(leaf), nil
}

// decided is OR or AND: one operand of that value decides, whatever the other is, errors included.
func decided(left, right logic, by bool) logic {
	return func(e cloudevents.Event) (bool, error) {
		l, leftErr := left(e)
		if leftErr == nil && l == by {
			return by, nil
		}
		r, rightErr := right(e)
		switch {
		case rightErr == nil && r == by:
			return by, nil
		case leftErr != nil:
			return false, leftErr
		}
		return !by, rightErr
	}
}

// differ is XOR.
func differ(left, right logic) logic {
	return func(e cloudevents.Event) (bool, error) {
		l, err := left(e)
		if err != nil {
			return false, err
		}
		r, err := right(e)
		return l != r, err
	}
}

func leafSQL(expression cesql.Expression) logic {
	return func(e cloudevents.Event) (bool, error) {
		result, err := expression.Evaluate(e)
		if err != nil {
			return false, err
		}
		holds, err := utils.Cast(result, cesql.BooleanType)
		return err == nil && holds == true, err
	}
}
