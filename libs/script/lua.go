package script

import (
	"errors"
	"fmt"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"
	"github.com/yuin/gopher-lua/parse"
)

// maxSource bounds the text of a program.
const maxSource = 64 << 10

// Lua is a compiled program.
type Lua struct {
	proto *lua.FunctionProto
}

// concatName is what the operator .. becomes. No program can write it, since it is
// no identifier.
const concatName = "concat of a budget"

// CompileLua reads a program. The operator .. is replaced by a call that knows the
// budget: doubling a string is one instruction, and thirty of them are a gigabyte.
func CompileLua(source string) (*Lua, error) {
	if len(source) > maxSource {
		return nil, fmt.Errorf("lua: the program has more than %d bytes", maxSource)
	}
	chunk, err := parseLua(source)
	if err != nil {
		return nil, fmt.Errorf("lua: %s", strings.TrimSpace(err.Error()))
	}
	// A local that programs cannot name is one that they cannot change.
	guard := &ast.LocalAssignStmt{Names: []string{concatName}, Exprs: []ast.Expr{&ast.IdentExpr{Value: concatName}}}
	rewrite(&chunk, replaceConcat)
	proto, err := lua.Compile(append([]ast.Stmt{guard}, chunk...), "script")
	if err != nil {
		return nil, fmt.Errorf("lua: %w", err)
	}
	return &Lua{proto: proto}, nil
}

// parseLua turns the parser's panics into errors; it has some for odd input.
func parseLua(source string) (chunk []ast.Stmt, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the program cannot be read: %v", p)
		}
	}()
	return parse.Parse(strings.NewReader(source), "script")
}

func replaceConcat(node any) any {
	c, ok := node.(*ast.StringConcatOpExpr)
	if !ok {
		return node
	}
	call := &ast.FuncCallExpr{Func: &ast.IdentExpr{Value: concatName}, Args: []ast.Expr{c.Lhs, c.Rhs}}
	call.SetLine(c.Line())
	call.SetLastLine(c.LastLine())
	call.Func.SetLine(c.Line())
	call.Func.SetLastLine(c.LastLine())
	return call
}

// Env is what a program finds when it runs.
type Env struct {
	Global string // name of the variable that holds Value
	Value  map[string]any
	// Clock tells "os.time" and "os.date" the time; nil means that there is no "os".
	Clock func() time.Time
}

// Run evaluates the program with the global "event" and returns what it returns: nil, bool, float64, string,
// map[string]any or []any; [json.Number] for what the event holds, as it is written there.
func (p *Lua) Run(event map[string]any, limits Limits) (result any, err error) {
	return p.Eval(Env{Global: "event", Value: event}, limits)
}

// Eval evaluates the program in env, as [Lua.Run] does.
func (p *Lua) Eval(env Env, limits Limits) (result any, err error) {
	b := newBudget(limits)
	defer func() {
		if r := recover(); r != nil {
			// The interpreter panics where its stacks are full.
			result, err = nil, fmt.Errorf("lua: %v", r)
		}
	}()
	state := newState(b)
	defer state.Close()
	if env.Clock != nil {
		openClock(state, b, env.Clock)
	}
	l := &lender{state: state, lent: map[*lua.LTable]*origin{}, texts: texts{}, named: map[keyed]string{}}
	state.SetGlobal(env.Global, l.toLua(env.Value))
	state.SetContext(b)
	state.Push(state.NewFunctionFromProto(p.proto))
	if err := state.PCall(0, 1, nil); err != nil {
		return nil, luaError(b, err)
	}
	v, err := fromLua(state.Get(-1), &sizer{lender: l, budget: b}, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("lua: %w", err)
	}
	return v, nil
}

// luaError keeps the first line: the rest is a trace of the interpreter.
func luaError(b *budget, err error) error {
	if b.err != nil {
		return fmt.Errorf("lua: %w", b.err)
	}
	if api, ok := errors.AsType[*lua.ApiError](err); ok && api.Object != nil {
		return fmt.Errorf("lua: %s", api.Object.String())
	}
	return fmt.Errorf("lua: %w", err)
}

// newState opens the libraries that only compute.
func newState(b *budget) *lua.LState {
	state := lua.NewState(
		lua.Options{
			SkipOpenLibs: true, CallStackSize: 200, RegistrySize: 1024, RegistryMaxSize: 256 << 10,
			MinimizeStackMemory: true,
		},
	)
	for name, open := range map[string]lua.LGFunction{
		lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable, lua.StringLibName: lua.OpenString,
		lua.MathLibName: lua.OpenMath,
	} {
		state.Push(state.NewFunction(open))
		state.Push(lua.LString(name))
		state.Call(1, 0)
	}
	for _, name := range []string{
		"dofile", "loadfile", "load", "loadstring", "require", "module", "print", "collectgarbage", "newproxy",
		"_printregs",
	} {
		state.SetGlobal(name, lua.LNil)
	}
	bound(state, b)
	return state
}
