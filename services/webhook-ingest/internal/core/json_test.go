package core

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestInspect(t *testing.T) {
	many := make([]string, 0, 60)
	for i := range 60 {
		many = append(many, fmt.Sprintf(`"k%d":1`, i))
	}
	cases := []struct {
		name, text string
		good, odd  bool
	}{
		{"object", `{"a":{"a":1},"b":[{"a":1},{"a":1}]}`, true, false},
		{
			"empty", `{}`, true, false,
		},
		{"list", `[ ]`, true, false},
		{"word", `null`, true, false},
		{"number", `-0.5e+3`, true, false},
		{"twice", `{"a":1,"b":2,"a":3}`, true, true},
		{"twice inside", `{"x":[{"a":1,"a":3}]}`, true, true},
		{"twice by escape", `{"a":1,"\u0061":3}`, true, true},
		{"many", "{" + strings.Join(many, ",") + "}", true, false},
		{"many and twice", "{" + strings.Join(many, ",") + `,"k7":1}`, true, true},
		{"reserved", `{"no":1}`, true, true},
		{"reserved inside", `{"a":{"no":1}}`, true, false},
		{"space around", " {}", true, true},
		{"newline after", "{}\n", true, true},
		{"not UTF-8", "\"\xff\"", true, true},
		{
			"nothing", ``, false, false,
		},
		{"only space", ` `, false, false},
		{"two", `{}{}`, false, false},
		{"open", `{"a":1`, false, false},
		{
			"no colon", `{"a" 1}`, false, false,
		},
		{"comma", `[1,]`, false, false},
		{"key", `{1:1}`, false, false},
		{"word", `nul`, false, false},
		{
			"leading zero", `01`, false, false,
		},
		{"dot", `1.`, false, false},
		{"exponent", `1e`, false, false},
		{"minus", `-`, false, false},
		{
			"control", "\"\n\"", false, false,
		},
		{"escape", `"\x"`, false, false},
		{"short escape", `"\u12"`, false, false},
		{"hex", `"\u12g4"`, false, false},
		{"open string", `"a`, false, false},
		{"deep", strings.Repeat("[", maxDepth+2) + strings.Repeat("]", maxDepth+2), false, false},
	}
	for _, c := range cases {
		got, err := inspect([]byte(c.text), "no")
		if (err == nil) != c.good || c.good && got.Odd != c.odd {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
}

// Text is written as encoding/json writes it, whatever it holds.
func FuzzText(f *testing.F) {
	for _, s := range []string{"", "plain", "a\"b", `a\b`, "<&>", "\x00", "\x7f", "\u2028", "ü", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want, err := json.Marshal(s)
		if got := appendText(nil, s); err != nil || string(got) != string(want) {
			t.Errorf("%s, want %s, %v", got, want, err)
		}
		h := http.Header{"B": {s, "x"}, "A": nil, s: {}}
		want, err = json.Marshal(h)
		if got := presented(h); utf8.ValidString(s) && (err != nil || string(got) != string(want)) {
			t.Errorf("%s, want %s, %v", got, want, err)
		}
	})
}

// The end of a string is found wherever it stands.
func TestUnescaped(t *testing.T) {
	for n := range 40 {
		for _, end := range []string{"\"", "\\", "\x00", "\x1f", ""} {
			text := strings.Repeat("\x7f \xff\x80!#[]", 5)[:n] + end + strings.Repeat("\"", 10*len(end))
			if got := unescaped([]byte(text)); got != n {
				t.Errorf("%q: %d, want %d", text, got, n)
			}
		}
	}
}

func FuzzInspect(f *testing.F) {
	for _, s := range []string{`{"a":[1,2,{"b":null}]}`, `"\ud800"`, `{"a":1,"a":2}`, `-1.5e3`, string(pushBody)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := inspect(text)
		if err != nil {
			// The library also refuses what is too deep, only later.
			if json.Valid(text) && !strings.Contains(err.Error(), "nested") {
				t.Fatalf("valid, but %v", err)
			}
			return
		}
		if !json.Valid(text) {
			t.Fatalf("taken, but not valid: %q", text)
		}
		if !got.Odd {
			return
		}
		again, err := rewritten(text)
		if err != nil {
			t.Fatal(err)
		}
		if known, err := inspect(again); err != nil || known.Odd || !utf8.Valid(again) {
			t.Fatalf("written anew it is still odd: %s, %v", again, err)
		}
	})
}
