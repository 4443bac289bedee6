package expression

import (
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"
)

// Names are those that an expression refers to, of two parts at most, but for those that it declares itself: by its
// identifiers, not by its text.
func Names(source string) []string {
	found := referencesOf(source)
	return slices.DeleteFunc(found.names, func(name string) bool {
		root, _, _ := strings.Cut(name, ".")
		return found.declared[root]
	})
}

// Parameters are the names of parameters that an expression refers to, with what they begin with: inputs.parameters.x.
func Parameters(source string) []string { return referencesOf(source).parameters }

// referencesOf finds nothing in what cannot be read: evaluating it says what is wrong.
func referencesOf(source string) *references {
	found := &references{declared: map[string]bool{}}
	if len(source) > MaxSource {
		return found
	}
	if tree, err := parser.Parse(source); err == nil {
		ast.Walk(&tree.Node, found)
	}
	return found
}

// references collects the names that an expression refers to, of two parts at most.
type references struct {
	names      []string
	parameters []string        // those of three parts that name a parameter
	declared   map[string]bool // by the expression itself
}

// Visit takes the names of one node of an expression.
func (r *references) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		r.names = append(r.names, n.Value)
	case *ast.VariableDeclaratorNode:
		r.declared[n.Name] = true
	case *ast.MemberNode:
		property, isText := n.Property.(*ast.StringNode)
		switch {
		case nameOf(n) != "":
			r.names = append(r.names, nameOf(n))
		case isText && strings.HasSuffix(nameOf(n.Node), ".parameters"):
			r.parameters = append(r.parameters, nameOf(n.Node)+"."+property.Value)
		}
	}
}

// nameOf is a name of two parts as a node of an expression has it, "" when it is something else.
func nameOf(node ast.Node) string {
	member, ok := node.(*ast.MemberNode)
	if !ok {
		return ""
	}
	root, isName := member.Node.(*ast.IdentifierNode)
	property, isText := member.Property.(*ast.StringNode)
	if !isName || !isText {
		return ""
	}
	return root.Value + "." + property.Value
}
