package script

import (
	"encoding/json"
	"fmt"
	"math"

	lua "github.com/yuin/gopher-lua"
)

// arrayMark is the metatable field that makes an empty table a list. Source: Argo
// Events; scripts use it.
const arrayMark = "__is_array"

// origin is what a table cannot hold of the value that it was made of.
type origin struct {
	list    bool
	size    int                 // of a list, without its nulls
	gaps    []int               // of a list: where nulls stood, in order
	nulls   []string            // of an object: whose values were null
	numbers map[any]json.Number // by key or by index from 1: how they are written
}

// lender hands values to a program, and takes them back: what it did not change comes back as it was. Scripts see
// numbers as float64 and no nulls. Source: Argo Events; scripts rely on both.
type lender struct {
	state *lua.LState
	lent  map[*lua.LTable]*origin
	texts texts
	named map[keyed]string // the text of a number under a key, "" where several are written differently
}

// keyed is a number as a script sees it, and where.
type keyed struct {
	key   string
	value float64
}

func (l *lender) toLua(v any) lua.LValue {
	switch v := v.(type) {
	case map[string]any:
		return l.object(v)
	case []any:
		return l.list(v)
	case string:
		return lua.LString(v)
	case float64:
		return lua.LNumber(v)
	case int64:
		return lua.LNumber(v)
	case json.Number:
		return lua.LNumber(l.texts.learn(v))
	case bool:
		return lua.LBool(v)
	}
	return lua.LNil
}

func (l *lender) object(v map[string]any) lua.LValue {
	t := l.state.CreateTable(0, len(v))
	from := &origin{numbers: map[any]json.Number{}}
	l.lent[t] = from
	for key, value := range v {
		switch n := value.(type) {
		case nil:
			from.nulls = append(from.nulls, key)
		case json.Number:
			from.numbers[key] = n
			f, _ := n.Float64()
			if known, twice := l.named[keyed{key, f}]; twice && known != string(n) {
				n = ""
			}
			l.named[keyed{key, f}] = string(n)
		}
		t.RawSetString(key, l.toLua(value))
	}
	return t
}

func (l *lender) list(v []any) lua.LValue {
	t := l.state.CreateTable(len(v), 0)
	from := &origin{list: true, numbers: map[any]json.Number{}}
	l.lent[t] = from
	for i, value := range v {
		if value == nil {
			from.gaps = append(from.gaps, i)
			continue
		}
		from.size++
		if n, ok := value.(json.Number); ok {
			from.numbers[from.size] = n
		}
		t.Append(l.toLua(value))
	}
	if from.size == 0 {
		// A list that comes and goes untouched stays a list.
		meta := l.state.CreateTable(0, 1)
		meta.RawSetString(arrayMark, lua.LTrue)
		t.Metatable = meta
	}
	return t
}

// written is a number of a table as it was written, if it is still the same.
func (l *lender) written(from *origin, key any, f float64) any {
	if from != nil {
		if n, ok := from.numbers[key]; ok {
			if was, _ := n.Float64(); was == f {
				return n
			}
		}
	}
	text := l.texts[f]
	if name, ok := key.(string); ok && text == "" {
		text = l.named[keyed{name, f}]
	}
	if text != "" {
		return json.Number(text)
	}
	return f
}

// maxDepth bounds nesting, where a table may hold itself.
const maxDepth = 200

// sizer walks a value that comes back, at a cost: one table may stand in many places,
// and a tree of them may be larger than any memory.
type sizer struct {
	*lender

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

// fromLua takes a value back that stands in a table at a key, or nowhere.
func fromLua(v lua.LValue, s *sizer, from *origin, key any) (any, error) {
	switch v := v.(type) {
	case lua.LBool:
		return bool(v), s.add(8)
	case lua.LString:
		return string(v), s.add(len(v))
	case lua.LNumber:
		n := s.written(from, key, float64(v))
		if f := float64(v); n == any(f) && (math.IsNaN(f) || math.IsInf(f, 0)) || math.IsNaN(f) {
			return nil, fmt.Errorf("%v is no number of JSON", f)
		}
		return n, s.add(8)
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

// listOf puts the nulls of a list back that is as long as it was.
func listOf(t *lua.LTable, s *sizer) (any, error) {
	n := t.MaxN()
	from := s.lent[t]
	var gaps []int
	if from != nil && from.list && from.size == n {
		gaps = from.gaps
	}
	out := make([]any, 0, n+len(gaps))
	fill := func() {
		for len(gaps) > 0 && gaps[0] == len(out) {
			out, gaps = append(out, nil), gaps[1:]
		}
	}
	for i := 1; i <= n; i++ {
		fill()
		v, err := fromLua(t.RawGetInt(i), s, from, i)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	fill()
	return out, s.add(8 * (len(out) - n))
}

func objectOf(t *lua.LTable, s *sizer) (any, error) {
	out := map[string]any{}
	from := s.lent[t]
	for key, value := t.Next(lua.LNil); key != lua.LNil; key, value = t.Next(key) {
		name := key.String()
		if err := s.add(len(name)); err != nil {
			return nil, err
		}
		v, err := fromLua(value, s, from, name)
		if err != nil {
			return nil, err
		}
		out[name] = v
	}
	if from != nil {
		for _, name := range from.nulls {
			if _, set := out[name]; !set {
				out[name] = nil
			}
		}
		return out, s.add(8 * len(from.nulls))
	}
	return out, nil
}
