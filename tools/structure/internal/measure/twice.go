package measure

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/token"
	"slices"
	"strings"
)

// twiceFrom is how many lines a function must have to be told of when it stands twice.
const twiceFrom = 10

// Twice lists the functions of ten lines or more that stand in more than one place outside of tests, whatever they and
// their variables are called: what two need belongs into a library, or into one of them.
func Twice(modules []Module) []string {
	first := map[string]string{}
	var out []string
	for _, m := range modules {
		for _, f := range m.Files {
			if f.Test {
				continue
			}
			for _, fn := range f.Functions {
				if fn.Lines < twiceFrom {
					continue
				}
				here := fmt.Sprintf("%s:%d: %s", f.Name, fn.At, fn.Name)
				if before, is := first[fn.Body]; is {
					out = append(out, fmt.Sprintf("%s stands twice: %s", here, before))
					continue
				}
				first[fn.Body] = here
			}
		}
	}
	slices.Sort(out)
	return out
}

// shape is what a function does, as text without comments: its own name is left out, and its receiver, parameters and
// variables are numbered in the order in which they come.
func shape(d *ast.FuncDecl) string {
	names := map[string]string{}
	own := func(list *ast.FieldList) {
		if list == nil {
			return
		}
		for _, field := range list.List {
			for _, n := range field.Names {
				number(names, n)
			}
		}
	}
	own(d.Recv)
	own(d.Type.Params)
	own(d.Type.Results)
	ast.Inspect(d.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok == token.DEFINE {
				for _, left := range n.Lhs {
					numberExpr(names, left)
				}
			}
		case *ast.RangeStmt:
			numberExpr(names, n.Key)
			numberExpr(names, n.Value)
		case *ast.ValueSpec:
			for _, name := range n.Names {
				number(names, name)
			}
		case *ast.FuncLit:
			own(n.Type.Params)
		}
		return true
	})
	var text bytes.Buffer
	if d.Type.Params != nil {
		for _, field := range d.Type.Params.List {
			_ = format.Node(&text, token.NewFileSet(), field.Type)
			text.WriteString(strings.Repeat(",", max(len(field.Names), 1)))
		}
	}
	renamed(d.Body, names, func() { _ = format.Node(&text, token.NewFileSet(), d.Body) })
	return text.String()
}

func numberExpr(names map[string]string, e ast.Expr) {
	if id, is := e.(*ast.Ident); is {
		number(names, id)
	}
}

func number(names map[string]string, id *ast.Ident) {
	if id.Name != "_" && names[id.Name] == "" {
		names[id.Name] = fmt.Sprintf("v%d", len(names))
	}
}

// renamed calls do while the names in a tree are others. Fields and methods keep theirs.
func renamed(tree ast.Node, names map[string]string, do func()) {
	var changed []*ast.Ident
	fields := map[*ast.Ident]bool{}
	ast.Inspect(tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			fields[n.Sel] = true
		case *ast.KeyValueExpr:
			if id, is := n.Key.(*ast.Ident); is {
				fields[id] = true
			}
		}
		return true
	})
	before := map[*ast.Ident]string{}
	ast.Inspect(tree, func(n ast.Node) bool {
		if id, is := n.(*ast.Ident); is && !fields[id] && names[id.Name] != "" {
			before[id] = id.Name
			id.Name = names[id.Name]
			changed = append(changed, id)
		}
		return true
	})
	do()
	for _, id := range changed {
		id.Name = before[id]
	}
}
