package expression

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/builtin"
)

// MaxSource and the others are what one evaluation may cost: manifests and the outputs of pods are untrusted. The
// bounds are those of the scripts of Sensors, and far above what an expression over a run's values needs.
const (
	MaxSource = 128 << 10 // bytes of an expression
	maxNodes  = 10_000    // of its syntax tree
	maxTurns  = 2_000_000 // of all its loops
	maxWeight = 64 << 20  // bytes, about, of all that it joins or hands to functions
	maxText   = 8 << 20   // bytes of one text that it makes
	maxDepth  = 1000      // of lists and maps within each other
	maxGroups = 10_000    // parentheses of a condition, which may hold large values
)

// ErrBudget is wrapped by the error of an expression that would cost too much.
var ErrBudget = errors.New("over budget")

// budget is what is left of one evaluation. The language bounds the lists that it makes itself, not how often it goes
// over them, nor the texts that it joins.
type budget struct{ turns, weight int }

func newBudget() *budget { return &budget{turns: maxTurns, weight: maxWeight} }

// Names that no manifest can write: the language takes them from the syntax tree only.
const (
	turnName  = "turn of a loop"
	weighName = "weight of a value"
)

// options let an expression be charged for what it does.
func (b *budget) options() []expr.Option {
	out := []expr.Option{expr.Function(turnName, b.turn), expr.Function(weighName, b.weigh), expr.Patch(charges{})}
	for name, guard := range guards() {
		whole := builtin.Builtins[builtin.Index[name]]
		out = append(out, expr.DisableBuiltin(name), expr.Function(name, func(args ...any) (any, error) {
			if err := guard(args); err != nil {
				return nil, err
			}
			if whole.Safe != nil {
				value, _, err := whole.Safe(args...)
				return value, err
			}
			return whole.Func(args...)
		}))
	}
	return out
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
		if v.Len() > maxText {
			return fmt.Errorf("%w: a text of more than %d bytes", ErrBudget, maxText)
		}
		b.weight -= v.Len()
	case reflect.Slice, reflect.Array, reflect.Map:
		if depth == maxDepth {
			return fmt.Errorf("%w: values lie more than %d deep in each other", ErrBudget, maxDepth)
		}
		if err := b.payAll(v, depth+1); err != nil {
			return err
		}
	}
	if b.weight < 0 {
		return fmt.Errorf("%w: it handles more than %d bytes", ErrBudget, maxWeight)
	}
	return nil
}

func (b *budget) payAll(v reflect.Value, depth int) error {
	switch v.Type().Elem().Kind() {
	case reflect.String, reflect.Interface, reflect.Slice, reflect.Array, reflect.Map:
	default:
		b.weight -= v.Len() * int(v.Type().Elem().Size())
		return nil
	}
	if v.Kind() == reflect.Map {
		for each := v.MapRange(); each.Next(); {
			if err := errors.Join(b.pay(each.Key(), depth), b.pay(each.Value(), depth)); err != nil {
				return err
			}
		}
		return nil
	}
	for i := range v.Len() {
		if err := b.pay(v.Index(i), depth); err != nil {
			return err
		}
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
	case *ast.CallNode:
		if callee, is := n.Callee.(*ast.IdentifierNode); is && (callee.Value == turnName || callee.Value == weighName) {
			return
		}
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
