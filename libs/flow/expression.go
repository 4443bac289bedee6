package flow

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/Masterminds/sprig/v3"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/builtin"
	"github.com/expr-lang/expr/parser"
	"github.com/theory/jsonpath"
)

// Bounds of an expression: manifests are untrusted.
const (
	maxExpressionNodes = 10_000
)

// later are names whose value a template's tag may have to wait for. Source: Argo Workflows leaves an expression that
// mentions one of them as it is while the name is unknown.
var later = []string{"item", "retries", "lastRetry", "workflow.status", "workflow.failures"}

// evaluate runs an expression and returns its result as the text that replaces the tag.
func (s scope) evaluate(source string) (string, bool, error) {
	for _, name := range mentioned(source) {
		if !s.knows(name) {
			if name == "item" && s.mode == finalTags {
				return "", false, s.itemError(name)
			}
			return "", false, nil
		}
	}
	if len(s.hidden) > 0 && slices.ContainsFunc(parametersOf(source), func(name string) bool { return s.hidden[name] }) {
		return "", false, nil
	}
	result, err := s.run(source)
	if err != nil || result == nil && s.mode == looseTags {
		return "", false, err
	}
	return resultText(result), true, nil
}

// mentioned are those of the later names that an expression refers to: by its identifiers, not by its text.
func mentioned(source string) []string {
	if !slices.ContainsFunc(later, func(name string) bool { return strings.Contains(source, name[strings.LastIndex(name, ".")+1:]) }) {
		return nil
	}
	tree, err := parser.Parse(source)
	if err != nil {
		return nil // evaluating it says what is wrong
	}
	found := &references{declared: map[string]bool{}}
	ast.Walk(&tree.Node, found)
	return slices.DeleteFunc(found.names, func(name string) bool {
		root, _, _ := strings.Cut(name, ".")
		return found.declared[root] || !slices.Contains(later, name)
	})
}

// parametersOf are the names of parameters that an expression refers to, with what they begin with: inputs.parameters.x.
func parametersOf(source string) []string {
	tree, err := parser.Parse(source)
	if err != nil {
		return nil // evaluating it says what is wrong
	}
	found := &references{declared: map[string]bool{}}
	ast.Walk(&tree.Node, found)
	return found.parameters
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

// knows reports whether name, or something below it, has a value.
func (s scope) knows(name string) bool {
	for at := &s; at != nil; at = at.outer {
		for key := range at.values {
			if key == name || strings.HasPrefix(key, name+".") {
				return true
			}
		}
	}
	return false
}

// run evaluates an expression over all values as nested maps.
func (s scope) run(source string) (any, error) { return evaluate(source, s.environment()) }

// condition evaluates an expression that must be true or false.
func (s scope) condition(source string) (bool, error) {
	result, err := s.run(source)
	if err != nil {
		return false, err
	}
	return truth(source, result)
}

// artifactOf evaluates an expression that must give an artifact.
func (s scope) artifactOf(source string) (v1alpha1.Artifact, error) {
	result, err := s.run(source)
	if err != nil {
		return v1alpha1.Artifact{}, err
	}
	a, ok := result.(artifactValue)
	if !ok {
		return v1alpha1.Artifact{}, fmt.Errorf("expression %q: gives no artifact", source)
	}
	return a.whole, nil
}

// artifactValue is an artifact in an expression: it can be chosen as a whole, and asked for its name and path.
type artifactValue struct {
	Name string `expr:"name"`
	Path string `expr:"path"`

	whole v1alpha1.Artifact
}

func (s scope) environment() map[string]any {
	env := map[string]any{}
	for at := &s; at != nil; at = at.outer {
		// Artifacts go first: the path of one is a value below its name.
		for key, a := range at.artifacts {
			nest(env, key, artifactValue{Name: a.Name, Path: a.Path, whole: a})
		}
		for key, value := range at.values {
			nest(env, key, value)
		}
		for prefix := range at.absent {
			// What did not run has outputs without values, so that "?? default" works.
			nest(env, prefix+".outputs.parameters", map[string]any{})
		}
	}
	maps.Copy(env, functions())
	return env
}

// functions are those that upstream adds to the language. Numbers of JSON keep their value: where upstream reads them as
// floats, ids beyond 2^53 change.
func functions() map[string]any {
	library := sprig.GenericFuncMap()
	for _, unsafe := range []string{"env", "expandenv", "getHostByName"} {
		delete(library, unsafe)
	}
	library["mustFromJson"] = exactJSON
	library["fromJson"] = func(text string) any {
		value, err := exactJSON(text)
		if err != nil {
			return "" // as the library does
		}
		return value
	}
	return map[string]any{
		"asInt":    func(v any) (int, error) { return converted[int](builtin.Int, v) },
		"asFloat":  func(v any) (float64, error) { return converted[float64](builtin.Float, v) },
		"toJson":   jsonText,
		"fromJSON": exactJSON,
		"jsonpath": selectJSON,
		"sprig":    library,
	}
}

// converted is v as a number, by the rules of the language itself: a fraction is cut off, text must be that number.
func converted[T any](convert func(any) any, v any) (out T, err error) {
	defer func() {
		if failure := recover(); failure != nil {
			err = fmt.Errorf("%v of type %T cannot be made a number", v, v)
		}
	}()
	if n, ok := v.(json.Number); ok {
		v = n.String()
	}
	out, ok := convert(v).(T)
	if !ok {
		return out, fmt.Errorf("%v of type %T cannot be made a number", v, v)
	}
	return out, nil
}

// exactJSON reads JSON text. Whole numbers are exact: an int where they fit into one, else their text.
func exactJSON(text string) (any, error) {
	value, err := numbersAsText([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("%q is not JSON: %w", abbreviate(text), err)
	}
	return exact(value), nil
}

// ReadJSON reads JSON for expressions: whole numbers are exact.
func ReadJSON(text []byte) (any, error) { return exactJSON(string(text)) }

// numbersAsText reads one JSON value; its numbers are of type json.Number.
func numbersAsText(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the value")
	}
	return value, nil
}

func exact(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key := range v {
			v[key] = exact(v[key])
		}
	case []any:
		for i := range v {
			v[i] = exact(v[i])
		}
	case json.Number:
		if n, err := strconv.Atoi(v.String()); err == nil {
			return n
		}
		f, err := v.Float64()
		if whole := !strings.ContainsAny(v.String(), ".eE"); err != nil || whole {
			return v
		}
		return f
	}
	return value
}

// selectJSON returns what a JSONPath finds in JSON text: the value when the path can find no more than one, else a list.
func selectJSON(document, path string) (any, error) {
	value, err := exactJSON(document)
	if err != nil {
		return nil, fmt.Errorf("jsonpath: %w", err)
	}
	p, err := jsonpath.Parse(path)
	if err != nil {
		return nil, fmt.Errorf("jsonpath %q: %w", path, err)
	}
	found := slices.Collect(p.Select(value).All())
	switch {
	case p.Query().Singular() == nil && found == nil:
		return []any{}, nil
	case p.Query().Singular() == nil:
		return found, nil
	case len(found) == 0:
		return nil, fmt.Errorf("jsonpath %q: finds nothing", path)
	}
	return found[0], nil
}

// nest puts a value at a dotted name, unless an inner scope has put one there.
func nest(root map[string]any, name string, value any) {
	at := root
	parts := strings.Split(name, ".")
	for _, part := range parts[:len(parts)-1] {
		if _, whole := at[part].(artifactValue); whole {
			return // it has its path
		}
		next, ok := at[part].(map[string]any)
		if !ok {
			next = map[string]any{}
			at[part] = next
		}
		at = next
	}
	last := parts[len(parts)-1]
	if _, taken := at[last]; !taken {
		at[last] = value
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
