package script

import (
	"fmt"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// bound replaces the functions of the libraries with which one instruction could
// take any time or memory.
func bound(state *lua.LState, b *budget) {
	l := &library{budget: b}
	state.SetGlobal(concatName, state.NewFunction(l.concat))
	text := state.GetGlobal(lua.StringLibName).(*lua.LTable)
	for name, f := range map[string]lua.LGFunction{
		"rep": l.rep, "find": l.find, "match": l.match, "gmatch": l.gmatch, "gsub": l.gsub,
	} {
		text.RawSetString(name, state.NewFunction(f))
	}
	text.RawSetString("gfind", lua.LNil)
	text.RawSetString("dump", lua.LNil)
	for _, name := range []string{"upper", "lower", "reverse", "len", "sub", "byte"} {
		l.charged(state, text, name)
	}
	text.RawSetString("format", state.NewFunction(l.format(text.RawGetString("format"))))
	table := state.GetGlobal(lua.TabLibName).(*lua.LTable)
	table.RawSetString("concat", state.NewFunction(l.join))
	for _, name := range []string{"insert", "remove", "sort"} {
		l.charged(state, table, name)
	}
}

type library struct{ budget *budget }

// check ends the run when there is an error.
func (l *library) check(state *lua.LState, err error) {
	if err != nil {
		state.RaiseError("%s", err.Error())
	}
}

// charged makes a function cost what its first argument is long.
func (l *library) charged(state *lua.LState, lib *lua.LTable, name string) {
	plain := lib.RawGetString(name)
	lib.RawSetString(name, state.NewFunction(func(state *lua.LState) int {
		n := 0
		switch v := state.Get(1).(type) {
		case lua.LString:
			n = len(v)
		case *lua.LTable:
			n = v.Len() * 4
		}
		l.check(state, l.budget.room(n))
		args := make([]lua.LValue, state.GetTop())
		for i := range args {
			args[i] = state.Get(i + 1)
		}
		top := state.GetTop()
		state.Push(plain)
		for _, a := range args {
			state.Push(a)
		}
		state.Call(len(args), lua.MultRet)
		return state.GetTop() - top
	}))
}

// concat is the operator "..", with its metamethod.
func (l *library) concat(state *lua.LState) int {
	a, b := state.Get(1), state.Get(2)
	if lua.LVCanConvToString(a) && lua.LVCanConvToString(b) {
		left, right := lua.LVAsString(a), lua.LVAsString(b)
		l.check(state, l.budget.room(len(left)+len(right)))
		state.Push(lua.LString(left + right))
		return 1
	}
	for _, v := range []lua.LValue{a, b} {
		if f := state.GetMetaField(v, "__concat"); f != lua.LNil {
			state.Push(f)
			state.Push(a)
			state.Push(b)
			state.Call(2, 1)
			return 1
		}
	}
	state.RaiseError("cannot concatenate %s and %s", a.Type(), b.Type())
	return 0
}

func (l *library) rep(state *lua.LState) int {
	s, n := state.CheckString(1), max(state.CheckInt(2), 0)
	if len(s) > 0 && n > l.budget.limits.Bytes/len(s) {
		l.check(state, l.budget.room(l.budget.limits.Bytes+1))
	}
	l.check(state, l.budget.room(len(s)*n))
	state.Push(lua.LString(strings.Repeat(s, n)))
	return 1
}

// maxWidth is the widest field of a format; Lua itself allows two digits.
const maxWidth = 99

func (l *library) format(plain lua.LValue) lua.LGFunction {
	return func(state *lua.LState) int {
		layout, size := state.CheckString(1), 0
		for i := 0; i < len(layout); i++ {
			start := i
			for i < len(layout) && isDigit(layout[i]) {
				i++
			}
			if n, err := strconv.Atoi(layout[start:i]); i-start > 2 && (err != nil || n > maxWidth) &&
				strings.Contains(layout[:start], "%") {
				state.RaiseError("invalid format (width or precision too long)")
			}
		}
		args := make([]lua.LValue, state.GetTop())
		for i := range args {
			args[i] = state.Get(i + 1)
			size += maxWidth
			if s, ok := args[i].(lua.LString); ok {
				size += 4 * len(s) // %q may escape every character
			}
		}
		l.check(state, l.budget.room(size))
		state.Push(plain)
		for _, a := range args {
			state.Push(a)
		}
		state.Call(len(args), 1)
		return 1
	}
}

// join is table.concat.
func (l *library) join(state *lua.LState) int {
	t, sep := state.CheckTable(1), state.OptString(2, "")
	from, to := state.OptInt(3, 1), state.OptInt(4, t.Len())
	var out strings.Builder
	for i := from; i <= to; i++ {
		v := t.RawGetInt(i)
		if !lua.LVCanConvToString(v) {
			state.RaiseError("invalid value (%s) at index %d in table for concat", v.Type(), i)
		}
		if i > from {
			out.WriteString(sep)
		}
		l.check(state, l.budget.room(out.Len()+len(sep)+len(lua.LVAsString(v))-out.Len()/2))
		out.WriteString(lua.LVAsString(v))
	}
	state.Push(lua.LString(out.String()))
	return 1
}

func (l *library) matcher(state *lua.LState) *matcher {
	m := &matcher{src: state.CheckString(1), pat: state.CheckString(2), budget: l.budget}
	l.check(state, l.budget.room(len(m.pat)))
	return m
}

// begin turns Lua's start position into an index.
func begin(init, length int) int {
	if init < 0 {
		init = max(length+init+1, 1)
	}
	return max(init-1, 0)
}

func (l *library) find(state *lua.LState) int {
	m := l.matcher(state)
	init := begin(state.OptInt(3, 1), len(m.src))
	if init > len(m.src) {
		state.Push(lua.LNil)
		return 1
	}
	if state.OptBool(4, false) || !strings.ContainsAny(m.pat, "^$*+?.([%-") {
		l.check(state, l.budget.room(len(m.src)))
		i := strings.Index(m.src[init:], m.pat)
		if i < 0 {
			state.Push(lua.LNil)
			return 1
		}
		state.Push(lua.LNumber(init + i + 1))
		state.Push(lua.LNumber(init + i + len(m.pat)))
		return 2
	}
	start, end := m.find(init)
	l.check(state, m.err)
	if start < 0 {
		state.Push(lua.LNil)
		return 1
	}
	state.Push(lua.LNumber(start + 1))
	state.Push(lua.LNumber(end))
	return 2 + pushCaptures(state, m, -1, -1)
}

func (l *library) match(state *lua.LState) int {
	m := l.matcher(state)
	init := begin(state.OptInt(3, 1), len(m.src))
	start, end := -1, -1
	if init <= len(m.src) {
		start, end = m.find(init)
	}
	l.check(state, m.err)
	if start < 0 {
		state.Push(lua.LNil)
		return 1
	}
	return pushCaptures(state, m, start, end)
}

// pushCaptures pushes the captures, or the whole match where there are none and its
// bounds are given.
func pushCaptures(state *lua.LState, m *matcher, start, end int) int {
	if len(m.caps) == 0 && start >= 0 {
		state.Push(lua.LString(m.src[start:end]))
		return 1
	}
	for i := range m.caps {
		state.Push(captured(m, i))
	}
	return len(m.caps)
}

func captured(m *matcher, i int) lua.LValue {
	c := m.caps[i]
	if c.length == capturePosition {
		return lua.LNumber(c.start + 1)
	}
	return lua.LString(m.src[c.start : c.start+max(c.length, 0)])
}

func (l *library) gmatch(state *lua.LState) int {
	m := l.matcher(state)
	at := 0
	state.Push(state.NewFunction(func(state *lua.LState) int {
		if at > len(m.src) {
			state.Push(lua.LNil)
			return 1
		}
		start, end := m.find(at)
		l.check(state, m.err)
		if start < 0 {
			state.Push(lua.LNil)
			return 1
		}
		if at = end; end == start {
			at++
		}
		return pushCaptures(state, m, start, end)
	}))
	return 1
}

func (l *library) gsub(state *lua.LState) int {
	m := l.matcher(state)
	limit := state.OptInt(4, len(m.src)+1)
	replacement := state.Get(3)
	var out strings.Builder
	at, count := 0, 0
	for count < limit && at <= len(m.src) {
		start, end := m.find(at)
		l.check(state, m.err)
		if start < 0 {
			break
		}
		count++
		text, err := l.replaced(state, m, replacement, start, end)
		l.check(state, err)
		l.check(state, l.budget.room(len(text)+start-at))
		if out.Len()+len(text)+start-at > l.budget.limits.Bytes {
			l.check(state, l.budget.room(l.budget.limits.Bytes+1))
		}
		out.WriteString(m.src[at:start])
		out.WriteString(text)
		if at = end; end == start {
			if start < len(m.src) {
				out.WriteByte(m.src[start])
			}
			at++
		}
		if strings.HasPrefix(m.pat, "^") {
			break
		}
	}
	if at < len(m.src) {
		out.WriteString(m.src[at:])
	}
	state.Push(lua.LString(out.String()))
	state.Push(lua.LNumber(count))
	return 2
}

// replaced is what one match becomes: by string, table or function.
func (l *library) replaced(state *lua.LState, m *matcher, replacement lua.LValue, start, end int) (string, error) {
	whole := m.src[start:end]
	var v lua.LValue
	switch r := replacement.(type) {
	case *lua.LTable:
		v = state.GetTable(r, first(m, whole))
	case *lua.LFunction:
		state.Push(r)
		n := pushCaptures(state, m, start, end)
		state.Call(n, 1)
		v = state.Get(-1)
		state.Pop(1)
	default:
		if !lua.LVCanConvToString(r) {
			return "", fmt.Errorf("bad argument #3 to gsub (%s)", r.Type())
		}
		return l.expand(m, lua.LVAsString(r), whole)
	}
	if lua.LVIsFalse(v) {
		return whole, nil
	}
	if !lua.LVCanConvToString(v) {
		return "", fmt.Errorf("invalid replacement value (a %s)", v.Type())
	}
	return lua.LVAsString(v), nil
}

func first(m *matcher, whole string) lua.LValue {
	if len(m.caps) == 0 {
		return lua.LString(whole)
	}
	return captured(m, 0)
}

// expand fills %0 to %9 of a replacement in.
func (l *library) expand(m *matcher, text, whole string) (string, error) {
	if !strings.Contains(text, "%") {
		return text, nil
	}
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '%' || i+1 >= len(text) {
			out.WriteByte(text[i])
			continue
		}
		i++
		part := string(text[i])
		switch n := int(text[i] - '1'); {
		case text[i] == '0', n == 0 && len(m.caps) == 0:
			part = whole
		case isDigit(text[i]) && n < len(m.caps):
			part = captured(m, n).String()
		case isDigit(text[i]):
			return "", fmt.Errorf("invalid capture index %%%d", n+1)
		}
		if err := l.budget.room(len(part)); err != nil {
			return "", err
		}
		if out.Len()+len(part) > l.budget.limits.Bytes {
			return "", l.budget.room(l.budget.limits.Bytes + 1)
		}
		out.WriteString(part)
	}
	return out.String(), nil
}
