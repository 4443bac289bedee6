package eventsource

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/Masterminds/sprig/v3"
	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/vm"
)

// Filter is the expression of an EventSource that says which events are kept.
// Source: Argo Events, filter.expression: the top-level keys of the data are the
// variables, with "-" written as "_"; asInt, asFloat, string and sprig are there.
// Safe for concurrent use.
type Filter struct {
	program *vm.Program
	sprig   map[string]any
}

// The bounds of a filter: nodes of its program, and rounds of its loops.
const (
	maxNodes  = 2000
	maxRounds = 100_000
)

// unfit are functions of sprig that could take all memory or time, that reach
// outside, or that differ from call to call: an event must be judged alike twice.
var unfit = []string{
	"env", "expandenv", "getHostByName", "now", "ago", "randAlphaNum", "randAlpha", "randAscii", "randNumeric",
	"randInt", "randBytes", "uuidv4", "shuffle", "genPrivateKey", "genSelfSignedCert", "genSelfSignedCertWithKey",
	"genCA", "genCAWithKey", "genSignedCert", "genSignedCertWithKey", "derivePassword", "bcrypt", "htpasswd",
	"encryptAES", "decryptAES", "until", "untilStep", "seq", "repeat", "indent", "nindent",
}

// NewFilter reads an expression; the empty one keeps everything and gives nil.
func NewFilter(expression string) (*Filter, error) {
	if strings.TrimSpace(expression) == "" {
		return nil, nil
	}
	program, err := expr.Compile(
		expression, expr.AllowUndefinedVariables(), expr.MaxNodes(maxNodes), expr.Patch(counted{}),
	)
	if err != nil {
		return nil, fmt.Errorf("read the filter: %w", err)
	}
	functions := sprig.GenericFuncMap()
	for _, name := range unfit {
		delete(functions, name)
	}
	return &Filter{program: program, sprig: functions}, nil
}

// Keep says whether an event with this data is kept. An error means that the
// expression could not be evaluated; upstream drops such an event.
func (f *Filter) Keep(data []byte) (bool, error) {
	if f == nil {
		return true, nil
	}
	var object map[string]any
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&object); err != nil {
		return false, fmt.Errorf("read the data of the event: %w", err)
	}
	numbers(object)
	out, err := vm.Run(f.program, f.environment(object))
	if err != nil {
		return false, fmt.Errorf("evaluate the filter: %w", err)
	}
	keep, ok := out.(bool)
	if !ok {
		return false, fmt.Errorf("the filter gives %T, not a yes or no", out)
	}
	return keep, nil
}

// exact is the largest whole number up to which floating point has all of them.
const exact = 1 << 53

// numbers makes numbers of what was read: floating point, as upstream has it, and whole
// ones where that would change their digits.
func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil && (n > exact || n < -exact) {
			return n
		}
		f, err := v.Float64()
		if err != nil {
			return v.String() // out of all bounds
		}
		return f
	case map[string]any:
		for key, value := range v {
			v[key] = numbers(value)
		}
	case []any:
		for i, value := range v {
			v[i] = numbers(value)
		}
	}
	return v
}

// environment is what an expression can name.
func (f *Filter) environment(object map[string]any) map[string]any {
	env := make(map[string]any, len(object)+4)
	for key, value := range object {
		env[strings.ReplaceAll(key, "-", "_")] = value
	}
	env["sprig"], env["asInt"], env["asFloat"] = f.sprig, asInt, asFloat
	left := maxRounds
	env[roundName] = func() (bool, error) {
		if left--; left < 0 {
			return false, fmt.Errorf("its loops take over %d rounds", maxRounds)
		}
		return true, nil
	}
	return env
}

// asInt reads a number or the text of one.
func asInt(v any) (int64, error) {
	switch v := v.(type) {
	case float64:
		return int64(v), nil
	case int:
		return int64(v), nil
	case int64:
		return v, nil
	case string:
		return strconv.ParseInt(v, 10, 64)
	default:
		return 0, fmt.Errorf("%T is not a number", v)
	}
}

// asFloat reads a number or the text of one.
func asFloat(v any) (float64, error) {
	switch v := v.(type) {
	case float64:
		return v, nil
	case int:
		return float64(v), nil
	case int64:
		return float64(v), nil
	case string:
		return strconv.ParseFloat(v, 64)
	default:
		return 0, fmt.Errorf("%T is not a number", v)
	}
}

// roundName is called before each round of a loop, so that loops in loops end.
const roundName = "argosy_round"

// counted puts the count in front of each body of a loop.
type counted struct{}

// Visit changes the bodies of loops.
func (counted) Visit(node *ast.Node) {
	body, ok := (*node).(*ast.PredicateNode)
	if !ok {
		return
	}
	count := &ast.CallNode{Callee: &ast.IdentifierNode{Value: roundName}}
	body.Node = &ast.SequenceNode{Nodes: []ast.Node{count, body.Node}}
}
