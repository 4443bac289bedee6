package eventsource

import (
	"strings"
	"testing"
)

func TestFilters(t *testing.T) {
	data := `{"big":9007199254740993,"huge":12345678901234567890123,"header":{"X-Kind":["push"]},"body":{"n":5,"text":"7","list":[1,2,3],"nested":{"a-b":1}},"content-type":"x"}`
	cases := []struct {
		expression string
		keep, fail bool
	}{
		{``, true, false},
		{`body.n == 5`, true, false},
		{`body.n > 5`, false, false},
		{`big == 9007199254740993`, true, false},
		{`big == 9007199254740992`, false, false},
		{`asInt(big) == 9007199254740993`, true, false},
		{`big > body.n`, true, false},
		{`huge != nil`, true, false},
		{`body.n / 2 == 2.5`, true, false},
		{`header["X-Kind"][0] == "push"`, true, false},
		{`content_type == "x"`, true, false},
		{`asInt(body.text) + 1 == 8 && asFloat(body.text) == 7.0`, true, false},
		{`sprig.trim(" a ") == "a"`, true, false},
		{`all(body.list, # > 0)`, true, false},
		{`body.missing == nil`, true, false},
		{`body.missing.more == 1`, false, true},
		{`body.n`, false, true},
		{`body.text matches "^[0-9]+$"`, true, false},
		{`body.text > 3`, false, true},
		{`asInt("x") == 1`, false, true},
		{`sprig.env("HOME") == ""`, false, true},
		{`all(1..900, all(1..900, all(1..900, # > 0)))`, false, true},
		{`sum(map(1..99999999, #)) > 0`, false, true},
		{`body["text"] matches ("(" + "a*)*b")`, false, false},
	}
	for _, c := range cases {
		f, err := NewFilter(c.expression)
		if err != nil {
			t.Errorf("%s: %v", c.expression, err)
			continue
		}
		keep, err := f.Keep([]byte(data))
		if keep != c.keep || (err != nil) != c.fail {
			t.Errorf("%s: %v, %v", c.expression, keep, err)
		}
	}
	for _, text := range []string{`body.`, `a b`, strings.Repeat("1+", maxNodes) + "1"} {
		if _, err := NewFilter(text); err == nil {
			t.Errorf("%.20s: not refused", text)
		}
	}
	f, err := NewFilter("true")
	if err != nil {
		t.Fatal(err)
	}
	if keep, err := f.Keep([]byte("[1]")); keep || err == nil {
		t.Error("data that is no object has no names")
	}
}

func FuzzFilter(f *testing.F) {
	f.Add(`body.n == 5`, `{"body":{"n":5}}`)
	f.Add(`all(1..900, # > 0)`, `{}`)
	f.Add(`sprig.trim(body)`, `{"body":1}`)
	f.Fuzz(func(_ *testing.T, expression, data string) {
		if filter, err := NewFilter(expression); err == nil {
			_, _ = filter.Keep([]byte(data))
		}
	})
}
