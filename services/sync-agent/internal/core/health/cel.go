package health

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/ext"
	"sigs.k8s.io/yaml"
)

// Bounds of one customization in CEL.
const (
	maxExpression = 4 << 10
	maxCost       = 1_000_000 // units of CEL: about one for each value that is looked at
	maxMessage    = 4 << 10
)

// expressions is a customization in CEL: conditions over the object, which is obj, and an expression for the message.
type expressions struct {
	Suspended   string `json:"suspended"`
	Degraded    string `json:"degraded"`
	Progressing string `json:"progressing"`
	Healthy     string `json:"healthy"`
	Message     string `json:"message"`
}

// celCheck is one state and what must be true for it.
type celCheck struct {
	state   string
	program cel.Program
}

// celOf compiles expressions. They are asked in the order of expressions; where none holds the object is Progressing.
// A field that is not there makes an expression false.
func celOf(text string) (*customization, error) {
	var e expressions
	if err := yaml.UnmarshalStrict([]byte(text), &e); err != nil {
		return nil, fmt.Errorf("cel: it is no list of suspended, degraded, progressing, healthy, message: %w", err)
	}
	env, err := cel.NewEnv(cel.Variable("obj", cel.DynType), ext.Strings(), cel.OptionalTypes())
	if err != nil {
		return nil, fmt.Errorf("cel: %w", err)
	}
	var checks []celCheck
	for _, c := range []struct{ state, text string }{
		{Suspended, e.Suspended}, {Degraded, e.Degraded}, {Progressing, e.Progressing}, {Healthy, e.Healthy},
	} {
		if c.text == "" {
			continue
		}
		program, err := celProgram(env, c.text, cel.BoolType)
		if err != nil {
			return nil, fmt.Errorf("cel: %s: %w", strings.ToLower(c.state), err)
		}
		checks = append(checks, celCheck{c.state, program})
	}
	if len(checks) == 0 {
		return nil, errors.New("cel: there is no expression; give at least healthy")
	}
	var message cel.Program
	if e.Message != "" {
		if message, err = celProgram(env, e.Message, cel.StringType); err != nil {
			return nil, fmt.Errorf("cel: message: %w", err)
		}
	}
	custom := &customization{}
	custom.judge = func(object map[string]any, _ func() time.Time) *Health {
		state, err := celState(checks, object)
		if err != nil {
			return &Health{Unknown, custom.key + ": cel: " + err.Error()}
		}
		return &Health{state, celMessage(message, object)}
	}
	return custom, nil
}

func celProgram(env *cel.Env, text string, want *cel.Type) (cel.Program, error) {
	if len(text) > maxExpression {
		return nil, fmt.Errorf("it has more than %d bytes", maxExpression)
	}
	ast, issues := env.Compile(text)
	if err := issues.Err(); err != nil {
		return nil, err
	}
	if got := ast.OutputType(); !got.IsExactType(want) && !got.IsExactType(cel.DynType) {
		return nil, fmt.Errorf("it gives a %s, not a %s", got, want)
	}
	return env.Program(ast, cel.CostLimit(maxCost))
}

// celState is the state whose expression holds first.
func celState(checks []celCheck, object map[string]any) (string, error) {
	for _, c := range checks {
		got, _, err := c.program.Eval(map[string]any{"obj": object})
		switch {
		case err != nil && absent(err):
		case err != nil:
			return "", fmt.Errorf("%s: %w", strings.ToLower(c.state), err)
		case got.Value() == true:
			return c.state, nil
		}
	}
	return Progressing, nil
}

// absent holds for errors of a field or an entry that is not there.
func absent(err error) bool {
	text := err.Error()
	return strings.Contains(text, "no such key") || strings.Contains(text, "index out of bounds")
}

func celMessage(program cel.Program, object map[string]any) string {
	if program == nil {
		return ""
	}
	got, _, err := program.Eval(map[string]any{"obj": object})
	if err != nil {
		return ""
	}
	text, _ := got.Value().(string)
	if len(text) > maxMessage {
		text = text[:maxMessage]
	}
	return text
}
