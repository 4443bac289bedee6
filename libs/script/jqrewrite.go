package script

import "github.com/itchyny/gojq"

// growing are the functions whose result may be larger than their input by a
// factor; what they give is measured.
var growing = map[string]bool{
	"tojson":         true,
	"tostring":       true,
	"join":           true,
	"implode":        true,
	"gsub":           true,
	"sub":            true,
	"flatten":        true,
	"add":            true,
	"setpath":        true,
	"map_values":     true,
	"with_entries":   true,
	"from_entries":   true,
	"transpose":      true,
	"combinations":   true,
	"ascii_downcase": true,
	"splits":         true,
	"split":          true,
	"match":          true,
	"scan":           true,
	"capture":        true,
}

// searching are the functions that may find a match at every character, in one
// instruction.
var searching = map[string]bool{
	"match":   true,
	"scan":    true,
	"capture": true,
	"splits":  true,
	"split":   true,
	"sub":     true,
	"gsub":    true,
}

// boundQuery replaces one node of a syntax tree.
func boundQuery(node any) any {
	switch n := node.(type) {
	case *gojq.Query:
		return boundOperator(n)
	case *gojq.Term:
		return boundTerm(n)
	}
	return node
}

func boundOperator(q *gojq.Query) *gojq.Query {
	switch q.Op {
	case gojq.OpAdd:
		return call(boundAdd, q.Left, q.Right)
	case gojq.OpMul:
		return call(boundMul, q.Left, q.Right)
	case gojq.OpUpdateAdd:
		return update(q.Left, q.Right, boundAdd)
	case gojq.OpUpdateMul:
		return update(q.Left, q.Right, boundMul)
	case gojq.OpAssign, gojq.OpModify:
		return measured(q)
	}
	return q
}

// call is name(left; right; $budget).
func call(name string, left, right *gojq.Query) *gojq.Query {
	return term(
		&gojq.Term{Type: gojq.TermTypeFunc, Func: &gojq.Func{Name: name, Args: []*gojq.Query{left, right, budgetOf()}}},
	)
}

func term(t *gojq.Term) *gojq.Query { return &gojq.Query{Term: t} }

func budgetOf() *gojq.Query {
	return term(&gojq.Term{Type: gojq.TermTypeFunc, Func: &gojq.Func{Name: budgetName}})
}

// measured is q | check.
func measured(q *gojq.Query) *gojq.Query {
	check := term(
		&gojq.Term{Type: gojq.TermTypeFunc, Func: &gojq.Func{Name: boundValue, Args: []*gojq.Query{budgetOf()}}},
	)
	return &gojq.Query{Left: parens(q), Op: gojq.OpPipe, Right: check}
}

func parens(q *gojq.Query) *gojq.Query {
	return term(&gojq.Term{Type: gojq.TermTypeQuery, Query: q})
}

// update is left op= right, spelled out: right as $v | left |= op(.; $v). Source: jq
// manual, "Arithmetic update-assignment".
func update(left, right *gojq.Query, name string) *gojq.Query {
	const held = "$__held"
	identity := term(&gojq.Term{Type: gojq.TermTypeIdentity})
	value := term(&gojq.Term{Type: gojq.TermTypeFunc, Func: &gojq.Func{Name: held}})
	modify := &gojq.Query{Left: parens(left), Op: gojq.OpModify, Right: parens(call(name, identity, value))}
	return &gojq.Query{
		Left: parens(right), Op: gojq.OpPipe, Patterns: []*gojq.Pattern{{Name: held}}, Right: measured(modify),
	}
}

func boundTerm(t *gojq.Term) *gojq.Term {
	switch {
	case t.Type == gojq.TermTypeArray, t.Type == gojq.TermTypeObject, t.Type == gojq.TermTypeFormat,
		t.Type == gojq.TermTypeString && t.Str != nil && len(t.Str.Queries) > 0,
		t.Type == gojq.TermTypeFunc && growing[t.Func.Name]:
	default:
		return t
	}
	inner := *t
	inner.SuffixList = nil
	body := term(&inner)
	if t.Type == gojq.TermTypeFunc {
		inner.Func = &gojq.Func{Name: t.Func.Name, Args: smallArguments(t.Func)}
		if searching[t.Func.Name] {
			check := term(&gojq.Term{Type: gojq.TermTypeFunc, Func: &gojq.Func{Name: boundSubject}})
			body = &gojq.Query{Left: check, Op: gojq.OpPipe, Right: body}
		}
	}
	return &gojq.Term{Type: gojq.TermTypeQuery, Query: measured(body), SuffixList: t.SuffixList}
}

// smallArguments bounds what gsub puts in for every match, and join between all.
func smallArguments(f *gojq.Func) []*gojq.Query {
	args := append([]*gojq.Query(nil), f.Args...)
	at := map[string]int{"gsub": 1, "sub": 1, "join": 0}
	if i, ok := at[f.Name]; ok && i < len(args) {
		check := term(&gojq.Term{Type: gojq.TermTypeFunc, Func: &gojq.Func{Name: boundSmall}})
		args[i] = &gojq.Query{Left: parens(args[i]), Op: gojq.OpPipe, Right: check}
	}
	return args
}
