package script

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"text/template"
	"text/template/parse"

	"github.com/Masterminds/sprig/v3"
)

// Template is a compiled Go template with the sprig functions.
type Template struct {
	source  string
	tree    *template.Template
	options TemplateOptions
}

// TemplateOptions are what a language of templates has beside the functions here, and what it lacks. The zero value
// changes nothing.
type TemplateOptions struct {
	// Functions are added; they take the place of those of the same name.
	Functions map[string]any
	// Without are the names of functions that are unknown.
	Without []string
	// Missing is what a key that a map has not means: "" or "default", "invalid", "zero" or "error", as the option
	// missingkey of text/template.
	Missing string
}

// Drawing are the functions of sprig that give another result each time, or that take what the clock says.
func Drawing() []string {
	return []string{
		"randAlphaNum", "randAlpha", "randAscii", "randNumeric", "randBytes", "randInt", "shuffle", "uuidv4",
		"encryptAES", "now", "ago",
	}
}

// ErrNothing means that a template gave no text. Source: Argo Events, which takes
// empty text and "<no value>" for a failure.
var ErrNothing = errors.New("the template gives nothing")

const (
	stepName = "argosyStep"
	showName = "argosyShow" // what stands in the event, as it was written
	calcName = "argosyCalc" // what was calculated
	noValue  = "<no value>"
)

// CompileTemplate reads a template. A step is put into every loop and every named
// template, so that endless ones end.
func CompileTemplate(source string) (*Template, error) {
	return CompileTemplateWith(source, TemplateOptions{})
}

// CompileTemplateWith is CompileTemplate for a language with functions of its own.
func CompileTemplateWith(source string, o TemplateOptions) (*Template, error) {
	if len(source) > maxSource {
		return nil, fmt.Errorf("template: it has more than %d bytes", maxSource)
	}
	if !slices.Contains([]string{"", "default", "invalid", "zero", "error"}, o.Missing) {
		return nil, fmt.Errorf("template: missingkey=%s: it is default, invalid, zero or error", o.Missing)
	}
	t, err := template.New("template").Funcs(o.functions(newBudget(Limits{}), nil)).Parse(source)
	if err != nil {
		return nil, fmt.Errorf("template %q: %w", brief(source), err)
	}
	step, err := actionOf(stepName)
	if err != nil {
		return nil, err
	}
	show, err := shower()
	if err != nil {
		return nil, err
	}
	for _, named := range t.Templates() {
		if named.Tree == nil || named.Root == nil {
			continue
		}
		insertSteps(named.Root, step)
		insertShow(named.Root, show)
		named.Root.Nodes = append([]parse.Node{step.Copy()}, named.Root.Nodes...)
	}
	return &Template{source: source, tree: t, options: o}, nil
}

// functions are those of the language.
func (o TemplateOptions) functions(b *budget, written texts) template.FuncMap {
	all := functions(b, written)
	for _, name := range o.Without {
		delete(all, name)
	}
	maps.Copy(all, o.Functions)
	return all
}

// actionOf is the call of one of our own functions.
func actionOf(name string) (parse.Node, error) {
	t, err := template.New(name).Funcs(template.FuncMap{name: func() string { return "" }}).Parse("{{" + name + "}}")
	if err != nil {
		return nil, fmt.Errorf("template: %w", err)
	}
	return t.Root.Nodes[0], nil
}

// insertShow ends every pipeline that prints with a function that shows numbers as they are written: text/template
// prints 12345678 as 1.2345678e+07.
func insertShow(node parse.Node, show func(read bool) []*parse.CommandNode) {
	switch n := node.(type) {
	case *parse.ListNode:
		if n == nil {
			return
		}
		for _, inner := range n.Nodes {
			insertShow(inner, show)
		}
	case *parse.IfNode:
		insertShow(n.List, show)
		insertShow(n.ElseList, show)
	case *parse.WithNode:
		insertShow(n.List, show)
		insertShow(n.ElseList, show)
	case *parse.RangeNode:
		insertShow(n.List, show)
		insertShow(n.ElseList, show)
	case *parse.ActionNode:
		if n.Pipe != nil && len(n.Pipe.Decl) == 0 && !callsOwn(n.Pipe) {
			n.Pipe.Cmds = append(n.Pipe.Cmds, show(reads(n.Pipe))...)
		}
	}
}

// shower makes the calls that end pipelines.
func shower() (func(read bool) []*parse.CommandNode, error) {
	calls := map[bool]*parse.ActionNode{}
	for read, name := range map[bool]string{true: showName, false: calcName} {
		node, err := actionOf(name)
		if err != nil {
			return nil, err
		}
		action, ok := node.(*parse.ActionNode)
		if !ok {
			return nil, errors.New("template: a call is no action")
		}
		calls[read] = action
	}
	return func(read bool) []*parse.CommandNode { return calls[read].Pipe.CopyPipe().Cmds }, nil
}

// reads reports whether a pipeline only takes a value from somewhere.
func reads(p *parse.PipeNode) bool {
	if len(p.Cmds) != 1 {
		return false
	}
	args := p.Cmds[0].Args
	if name, ok := args[0].(*parse.IdentifierNode); ok {
		return name.Ident == "index" || name.Ident == "get"
	}
	return len(args) == 1
}

// callsOwn tells the steps, which print nothing.
func callsOwn(p *parse.PipeNode) bool {
	if len(p.Cmds) != 1 || len(p.Cmds[0].Args) != 1 {
		return false
	}
	name, ok := p.Cmds[0].Args[0].(*parse.IdentifierNode)
	return ok && name.Ident == stepName
}

func insertSteps(node parse.Node, step parse.Node) {
	switch n := node.(type) {
	case *parse.ListNode:
		if n == nil {
			return
		}
		for _, inner := range n.Nodes {
			insertSteps(inner, step)
		}
	case *parse.IfNode:
		insertBranch(&n.BranchNode, step)
	case *parse.WithNode:
		insertBranch(&n.BranchNode, step)
	case *parse.RangeNode:
		insertBranch(&n.BranchNode, step)
		n.List.Nodes = append([]parse.Node{step.Copy()}, n.List.Nodes...)
	}
}

func insertBranch(b *parse.BranchNode, step parse.Node) {
	insertSteps(b.List, step)
	insertSteps(b.ElseList, step)
}

// Run renders the template with data as "Input", which is of [Decode] or a text. The error wraps [ErrNothing] when
// there is no text.
func (t *Template) Run(input any, limits Limits) (string, error) {
	s, err := t.execute(limits, func(written texts) any {
		return map[string]any{"Input": written.forTemplate(input)}
	})
	if err == nil && (s == "" || s == noValue) {
		return "", fmt.Errorf("template %q: %w", brief(t.source), ErrNothing)
	}
	return s, err
}

// Execute renders the template with data as the dot. Its numbers may be of type [json.Number], its values functions,
// for the template's call. The text may be empty.
func (t *Template) Execute(data any, limits Limits) (string, error) {
	return t.execute(limits, func(written texts) any { return written.forTemplate(data) })
}

func (t *Template) execute(limits Limits, data func(texts) any) (text string, err error) {
	b := newBudget(limits)
	defer func() {
		if r := recover(); r != nil {
			text, err = "", fmt.Errorf("template %q: %v", brief(t.source), r)
		}
	}()
	own, err := t.tree.Clone()
	if err != nil {
		return "", fmt.Errorf("template %q: %w", brief(t.source), err)
	}
	if t.options.Missing != "" {
		own.Option("missingkey=" + t.options.Missing)
	}
	out, written := &boundedText{budget: b}, texts{}
	dot := data(written)
	// The others are bound since the template was compiled.
	if err := own.Funcs(ofRun(b, written)).Funcs(t.options.Functions).Execute(out, dot); err != nil {
		if b.err != nil {
			err = b.err
		}
		return "", fmt.Errorf("template %q: %w", brief(t.source), err)
	}
	return out.String(), nil
}

type boundedText struct {
	strings.Builder
	budget *budget
}

func (w *boundedText) Write(p []byte) (int, error) {
	if err := w.budget.room(len(p)); err != nil {
		return 0, err
	}
	if w.Len()+len(p) > w.budget.limits.Bytes {
		return 0, w.budget.room(w.budget.limits.Bytes + 1)
	}
	return w.Builder.Write(p)
}

// unfit are functions that a template of a manifest must not have: the environment
// and the network of this process, and what takes seconds by design.
var unfit = []string{
	"env", "expandenv", "getHostByName", "genPrivateKey", "genCA", "genCAWithKey", "genSelfSignedCert",
	"genSelfSignedCertWithKey", "genSignedCert", "genSignedCertWithKey", "derivePassword", "bcrypt", "htpasswd",
}

// plainFunctions is made once; the map is only copied afterwards.
var plainFunctions = sync.OnceValue(func() template.FuncMap {
	all := sprig.TxtFuncMap()
	for _, name := range unfit {
		delete(all, name)
	}
	return all
})

// functions are sprig's with those bounded that make much of little.
func functions(b *budget, written texts) template.FuncMap {
	all := maps.Clone(plainFunctions())
	maps.Copy(all, ofRun(b, written))
	return all
}

// ofRun are the functions that know the budget and the numbers of one run.
func ofRun(b *budget, written texts) template.FuncMap {
	own := printing(written)
	maps.Copy(own, template.FuncMap{
		stepName: func() (string, error) {
			if !b.charge(1) {
				return "", b.err
			}
			return "", nil
		},
		"repeat":    func(n int, s string) (string, error) { return repeated(b, s, n) },
		"until":     func(n int) ([]int, error) { return steps(b, 0, n, sign(n)) },
		"untilStep": func(from, to, step int) ([]int, error) { return steps(b, from, to, step) },
		"seq":       func(args ...int) (string, error) { return sequence(b, args) },
		"indent":    func(n int, s string) (string, error) { return indented(b, n, s) },
		"nindent": func(n int, s string) (string, error) {
			text, err := indented(b, n, s)
			return "\n" + text, err
		},
		"replace": func(old, fresh, s string) (string, error) {
			n := strings.Count(s, old)
			if err := b.room(len(s) + n*len(fresh)); err != nil {
				return "", err
			}
			return strings.ReplaceAll(s, old, fresh), nil
		},
	})
	for _, name := range []string{"randAlphaNum", "randAlpha", "randAscii", "randNumeric"} {
		random, ok := plainFunctions()[name].(func(int) string)
		if !ok {
			continue
		}
		own[name] = func(n int) (string, error) {
			if err := b.room(n); err != nil {
				return "", err
			}
			return random(n), nil
		}
	}
	return own
}

func repeated(b *budget, s string, n int) (string, error) {
	if n < 0 || len(s) > 0 && n > b.limits.Bytes/len(s) {
		return "", b.room(b.limits.Bytes + 1)
	}
	if err := b.room(len(s) * n); err != nil {
		return "", err
	}
	return strings.Repeat(s, n), nil
}

func indented(b *budget, n int, s string) (string, error) {
	pad, err := repeated(b, " ", n)
	if err != nil {
		return "", err
	}
	if err := b.room(len(s) + n*(strings.Count(s, "\n")+1)); err != nil {
		return "", err
	}
	return pad + strings.ReplaceAll(s, "\n", "\n"+pad), nil
}

func sign(n int) int {
	if n < 0 {
		return -1
	}
	return 1
}

func steps(b *budget, from, to, step int) ([]int, error) {
	if step == 0 || (to-from)/max(step, -step) < 0 != (step < 0) {
		return []int{}, nil
	}
	if n := math.Abs(float64(to)-float64(from)) / math.Abs(float64(step)) * 8; n > float64(b.limits.Bytes) {
		return nil, b.room(b.limits.Bytes + 1)
	}
	out := []int{}
	for i := from; (step > 0 && i < to) || (step < 0 && i > to); i += step {
		out = append(out, i)
	}
	return out, b.room(len(out) * 8)
}

// sequence is seq: last; first and last; first, step and last.
func sequence(b *budget, args []int) (string, error) {
	from, step := 1, 1
	var to int
	switch len(args) {
	case 1:
		to = args[0]
	case 2:
		from, to = args[0], args[1]
	case 3:
		from, step, to = args[0], args[1], args[2]
	default:
		return "", nil
	}
	if len(args) < 3 && to < from {
		step = -1
	}
	list, err := steps(b, from, to+sign(step), step)
	return strings.Trim(fmt.Sprint(list), "[]"), err
}

func brief(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}
