package analysis

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/builtin"
)

// What one condition may cost: templates and the answers of metric systems are untrusted.
const (
	maxSource = 16 << 10  // bytes of a condition
	maxNodes  = 2_000     // of its syntax tree
	maxTurns  = 2_000_000 // of all its loops
	maxWeight = 64 << 20  // bytes, about, of all that it joins or hands to functions
	maxDepth  = 200       // of lists and maps within each other
)

// ErrBudget is wrapped by the error of a condition that would cost too much.
var ErrBudget = errors.New("over budget")

// budget is what is left of one evaluation. The language bounds the lists that it makes itself, not how often it goes
// over them, nor the texts that it joins.
type budget struct{ turns, weight int }

// Names that no manifest can write: the language takes them from the syntax tree only.
const (
	turnName  = "turn of a loop"
	weighName = "weight of a value"
)

// options let a condition be charged for what it does.
func (b *budget) options() []expr.Option {
	repeat := builtin.Builtins[builtin.Index["repeat"]]
	return []expr.Option{
		expr.MaxNodes(maxNodes),
		expr.Function(turnName, b.turn), expr.Function(weighName, b.weigh), expr.Patch(charges{}),
		expr.DisableBuiltin("repeat"),
		expr.Function("repeat", func(args ...any) (any, error) {
			if len(args) == 2 {
				text, _ := args[0].(string)
				if n, is := args[1].(int); is && n > 0 && len(text) > 0 && n > maxWeight/len(text) {
					return nil, fmt.Errorf("%w: a text of more than %d bytes", ErrBudget, maxWeight)
				}
			}
			value, _, err := repeat.Safe(args...)
			return value, err
		}),
	}
}

// turn pays for one turn of a loop.
func (b *budget) turn(...any) (any, error) {
	if b.turns--; b.turns < 0 {
		return nil, fmt.Errorf("%w: its loops turn more than %d times", ErrBudget, maxTurns)
	}
	return nil, nil
}

// weigh pays for a value that is handed on, and returns it.
func (b *budget) weigh(args ...any) (any, error) {
	if err := b.pay(reflect.ValueOf(args[0]), 0); err != nil {
		return nil, err
	}
	return args[0], nil
}

func (b *budget) pay(v reflect.Value, depth int) error {
	for v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	b.weight -= 16
	switch v.Kind() {
	case reflect.String:
		b.weight -= v.Len()
	case reflect.Slice, reflect.Array:
		if depth == maxDepth {
			return fmt.Errorf("%w: values lie more than %d deep in each other", ErrBudget, maxDepth)
		}
		if v.Type().Elem().Kind() == reflect.Float64 {
			b.weight -= 8 * v.Len()
			break
		}
		for i := range v.Len() {
			if err := b.pay(v.Index(i), depth+1); err != nil {
				return err
			}
		}
	case reflect.Map:
		b.weight -= 32 * v.Len()
	}
	if b.weight < 0 {
		return fmt.Errorf("%w: it handles more than %d bytes", ErrBudget, maxWeight)
	}
	return nil
}

// charges puts the payments into the syntax tree: before each turn of a loop, for what functions get, and for what is
// joined.
type charges struct{}

// Visit changes one node, whose children were visited.
func (charges) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.PredicateNode:
		turn := &ast.CallNode{Callee: &ast.IdentifierNode{Value: turnName}}
		n.Node = &ast.SequenceNode{Nodes: []ast.Node{turn, n.Node}}
	case *ast.BuiltinNode:
		for i := range n.Arguments {
			n.Arguments[i] = weighed(n.Arguments[i])
		}
	case *ast.BinaryNode:
		if n.Operator == "+" {
			ast.Patch(node, weighed(&ast.BinaryNode{Operator: n.Operator, Left: n.Left, Right: n.Right}))
		}
	}
}

// weighed is a node that pays for its value. What stands in the source has been paid by its length.
func weighed(n ast.Node) ast.Node {
	switch n.(type) {
	case *ast.PredicateNode, *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NilNode,
		*ast.ConstantNode:
		return n
	}
	return &ast.CallNode{Callee: &ast.IdentifierNode{Value: weighName}, Arguments: []ast.Node{n}}
}
