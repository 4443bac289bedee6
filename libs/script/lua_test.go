package script

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func object(t testing.TB, text string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func runLua(t testing.TB, source, event string) (string, error) {
	t.Helper()
	p, err := CompileLua(source)
	if err != nil {
		return "", err
	}
	v, err := p.Run(object(t, event), Limits{})
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(v)
	return string(text), err
}

func TestLua(t *testing.T) {
	cases := []struct{ source, want string }{
		{`return event.a`, `"b"`},
		{`return event.n + 1`, `11`},
		{`event.d.e = 'x' .. event.d.e .. 1 return event.d`, `{"e":"xz1"}`},
		{`return event.list`, `[1,2]`},
		{`return event.empty`, `[]`},
		{`return {}`, `{}`},
		{`local t = {} setmetatable(t, {__is_array = true}) return t`, `[]`},
		{`return {1, 2, 3}`, `[1,2,3]`},
		{`return event.nothing == nil`, `true`},
		{`if event.a == "b" and event.d.e == "z" then return true else return false end`, `true`},
		{`return string.rep("ab", 3)`, `"ababab"`},
		{`return string.format("%05.1f|%s|%q", 3.14159, "x", "y")`, `"003.1|x|\"y\""`},
		{`return table.concat({1,2,"c"}, "-")`, `"1-2-c"`},
		{`local t = {3,1,2} table.sort(t) table.insert(t, 9) table.insert(t, 1, 0) return t`, `[0,1,2,3,9]`},
		{`return ("refs/heads/main"):match("^refs/heads/(.+)$")`, `"main"`},
		{`local a, b = ("k=v"):match("(%w+)=(%w+)") return {a, b}`, `["k","v"]`},
		{`return ("hello world"):find("wor")`, `7`},
		{`return ("a.b"):find(".", 1, true)`, `2`},
		{`return ("abc"):find("b", -2)`, `2`},
		{`return ("abc"):find("x")`, `null`},
		{`return (("hello"):gsub("l", "L"))`, `"heLLo"`},
		{`return (("hello"):gsub("", "-"))`, `"-h-e-l-l-o-"`},
		{`return (("a b c"):gsub("%w", "%0%0", 2))`, `"aa bb c"`},
		{`return (("k=v"):gsub("(%w)=(%w)", "%2=%1"))`, `"v=k"`},
		{`return (("$name is"):gsub("%$(%w+)", {name = "lua"}))`, `"lua is"`},
		{`return (("abc"):gsub("%w", function(c) if c == "b" then return "B" end end))`, `"aBc"`},
		{`local out = {} for w in ("one two"):gmatch("%a+") do out[#out+1] = w end return out`, `["one","two"]`},
		{`return ("f(a(b)c)d"):match("%b()")`, `"(a(b)c)"`},
		{`return ("THE (quick) fox"):find("%f[%a]%a+%f[%A]", 4)`, `6`},
		{`return ("xx yy"):match("(%w)%1")`, `"x"`},
		{`return ("[x]"):match("[%[]x[]]")`, `"[x]"`},
		{`return ("a-z"):match("[a%-]+")`, `"a-"`},
		{`return ("aXb"):match("%u")`, `"X"`},
		{`return ("key: val"):match("^(%w+):%s*(%w+)$")`, `"key"`},
		{`return ("abc"):match("()b()")`, `2`},
		{`return ("aaa"):match("a-$")`, `"aaa"`},
		{`return ("ab"):match("a?b?c?")`, `"ab"`},
		{`return ("x"):upper() .. ("Y"):lower() .. #"abc" .. ("abc"):sub(2) .. ("ab"):reverse()`, `"Xy3bcba"`},
		{
			`return tostring(os) .. tostring(io) .. tostring(require) .. tostring(load) .. tostring(debug) .. tostring(coroutine)`,
			`"nilnilnilnilnilnil"`,
		},
		{`return setmetatable({}, {__concat = function() return "meta" end}) .. "x"`, `"meta"`},
	}
	for _, c := range cases {
		got, err := runLua(t, c.source, `{"a":"b","n":10,"d":{"e":"z"},"list":[1,2],"empty":[]}`)
		if err != nil || got != c.want {
			t.Errorf("%s: got %s, %v, want %s", c.source, got, err, c.want)
		}
	}
}

func TestLuaRefuses(t *testing.T) {
	for _, source := range []string{
		`return (`, `error("x")`, `return event.a.b.c`, `return {} .. "x"`, `return ("x"):match("(")`,
		`return ("x"):match("%")`, `return ("x"):match("[")`,
		`return ("x"):match("%b")`, `return ("x"):match("%1")`, `return ("x"):match(")")`, `return ("x"):match("%f")`,
		`return ("x"):gsub("x", "%5")`, `return ("x"):gsub("x", true)`,
		`return ("x"):gsub("x", function() return {} end)`, `return table.concat({{}})`,
		`return string.format("%9999d", 1)`, `return 0/0`,
		`local t = {} t.t = t return t`, `return ("x"):match(("()"):rep(40))`, strings.Repeat("x", maxSource+1),
		`local function f() return f() + 1 end return f()`,
	} {
		if got, err := runLua(t, source, `{"a":"b"}`); err == nil {
			t.Errorf("%.60s gave %s", source, got)
		}
	}
}

// endlessLua are programs that never end, or take all memory, if they may.
var endlessLua = []string{
	`while true do end`,
	`while true do pcall(function() while true do end end) end`,
	`local s = "x" while true do s = s .. s end`,
	`return string.rep("x", 1e12)`,
	`local s = "x" while true do s = string.rep(s, 2) end`,
	`local t = {} while true do t = {t, t} end`,
	`local t = {} for i = 1, 60 do t = {t, t} end return t`,
	`local t = {} for i = 1, 1e9 do t[i] = i end`,
	`local t = {} for i = 1, 1e9 do table.insert(t, 1, i) end`,
	`local s = string.rep("x", 1e6) local t = {} for i = 1, 1e4 do t[i] = s end return table.concat(t)`,
	`local s = string.rep("x", 1e6) while true do s:upper() end`,
	`return (string.rep("a", 5000)):match(string.rep("a-", 50) .. "b")`,
	`return (string.rep("a", 1e6)):gsub("a", string.rep("b", 1e6))`,
	`return (string.rep("a", 1e6)):gsub("a", "%0%0%0%0%0%0%0%0%0%0")`,
	`return (string.rep("a", 30)):match(("a?"):rep(30) .. ("a"):rep(30) .. "b")`,
	`local t = {} for i = 1, 100 do t[i] = string.rep("x", 1e6) end return string.format(("%s"):rep(100), unpack(t))`,
}

func TestEndlessLuaEnds(t *testing.T) {
	for _, source := range endlessLua {
		_, err := runLua(t, source, `{}`)
		if !errors.Is(err, ErrBudget) &&
			(err == nil || !strings.Contains(err.Error(), "over budget") && !strings.Contains(err.Error(), "nested")) {
			t.Errorf("%s: %v", source, err)
		}
	}
}

func TestAnAlarmEndsARun(t *testing.T) {
	p, err := CompileLua(`while true do end`)
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	_, err = p.Run(nil, Limits{Alarm: func() bool { asked++; return asked == 3 }})
	if !errors.Is(err, ErrBudget) || asked != 3 {
		t.Errorf("asked %d times: %v", asked, err)
	}
}

func FuzzLua(f *testing.F) {
	for _, source := range endlessLua {
		f.Add(source, `{"a":1}`)
	}
	f.Add(`return ("k=v"):gsub("(%w)=(%w)", "%2=%1")`, `{"a":[1,{"b":null}]}`)
	f.Fuzz(func(_ *testing.T, source, event string) {
		var m map[string]any
		if json.Unmarshal([]byte(event), &m) != nil {
			return
		}
		p, err := CompileLua(source)
		if err != nil {
			return
		}
		v, err := p.Run(m, Limits{Steps: 20_000, Bytes: 1 << 20})
		if err != nil {
			return
		}
		if text, err := json.Marshal(v); err != nil || len(text) > 8<<20 {
			panic("the result is no JSON, or large")
		}
	})
}
