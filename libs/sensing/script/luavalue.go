package script

import (
	"fmt"
	"math"

	lua "github.com/yuin/gopher-lua"
)

// arrayMark is the metatable field that makes an empty table a list. Source: Argo
// Events; scripts use it.
const arrayMark = "__is_array"

func toLua(state *lua.LState, v any) lua.LValue {
	switch v := v.(type) {
	case map[string]any:
		t := state.CreateTable(0, len(v))
		for key, value := range v {
			t.RawSetString(key, toLua(state, value))
		}
		return t
	case []any:
		t := state.CreateTable(len(v), 0)
		for _, value := range v {
			t.Append(toLua(state, value))
		}
		if len(v) == 0 {
			// A list that comes and goes untouched stays a list.
			meta := state.CreateTable(0, 1)
			meta.RawSetString(arrayMark, lua.LTrue)
			t.Metatable = meta
		}
		return t
	case string:
		return lua.LString(v)
	case float64:
		return lua.LNumber(v)
	case bool:
		return lua.LBool(v)
	}
	return lua.LNil
}

// maxDepth bounds nesting, where a table may hold itself.
const maxDepth = 200

// sizer walks a value that comes back, at a cost: one table may stand in many places,
// and a tree of them may be larger than any memory.
type sizer struct {
	budget *budget
	depth  int
	bytes  int
}

func (s *sizer) add(n int) error {
	if s.bytes += n; s.bytes > s.budget.limits.Bytes {
		return fmt.Errorf("%w: the result has more than %d bytes", ErrBudget, s.budget.limits.Bytes)
	}
	if !s.budget.charge(1) {
		return s.budget.err
	}
	return nil
}

func fromLua(v lua.LValue, s *sizer) (any, error) {
	switch v := v.(type) {
	case lua.LBool:
		return bool(v), s.add(8)
	case lua.LString:
		return string(v), s.add(len(v))
	case lua.LNumber:
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, fmt.Errorf("%v is no number of JSON", f)
		}
		return float64(v), s.add(8)
	case *lua.LTable:
		if s.depth++; s.depth > maxDepth {
			return nil, fmt.Errorf("tables are nested more than %d deep", maxDepth)
		}
		defer func() { s.depth-- }()
		if err := s.add(8); err != nil {
			return nil, err
		}
		if isArray(v) {
			return listOf(v, s)
		}
		return objectOf(v, s)
	}
	return nil, s.add(8)
}

func isArray(t *lua.LTable) bool {
	if t.MaxN() > 0 {
		return true
	}
	meta, ok := t.Metatable.(*lua.LTable)
	key, _ := t.Next(lua.LNil)
	return ok && lua.LVAsBool(meta.RawGetString(arrayMark)) && key == lua.LNil
}

func listOf(t *lua.LTable, s *sizer) (any, error) {
	n := t.MaxN()
	out := make([]any, 0, n)
	for i := 1; i <= n; i++ {
		v, err := fromLua(t.RawGetInt(i), s)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

func objectOf(t *lua.LTable, s *sizer) (any, error) {
	out := map[string]any{}
	for key, value := t.Next(lua.LNil); key != lua.LNil; key, value = t.Next(key) {
		name := key.String()
		if err := s.add(len(name)); err != nil {
			return nil, err
		}
		v, err := fromLua(value, s)
		if err != nil {
			return nil, err
		}
		out[name] = v
	}
	return out, nil
}
