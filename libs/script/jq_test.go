package script

import (
	"encoding/json"
	"errors"
	"testing"
)

func runJQ(t testing.TB, source, input string) (string, error) {
	t.Helper()
	q, err := CompileJQ(source)
	if err != nil {
		return "", err
	}
	v, err := q.Run(object(t, input), Limits{})
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(v)
	return string(text), err
}

func TestJQ(t *testing.T) {
	cases := []struct{ source, want string }{
		{`.`, `{"body":{"list":[1,2],"message":4,"s":"ab"}}`},
		{`.body.message *= 2`, `{"body":{"list":[1,2],"message":8,"s":"ab"}}`},
		{`.body.message += 1 | .body.message`, `5`},
		{`(.body.message, .body.s) += .body.message`, "error"},
		{`.body.list += [3] | .body.list`, `[1,2,3]`},
		{`{a: .body.s, b: (.body.message + 1)}`, `{"a":"ab","b":5}`},
		{`"\(.body.s)-\(.body.message)"`, `"ab-4"`},
		{`.body.list | map(. * 10)`, `[10,20]`},
		{`.body.list | add`, `3`},
		{`.body.list[]`, `1`},
		{`[.body.list[] | select(. > 1)]`, `[2]`},
		{`.body.s | test("^a")`, `true`},
		{`.body.s | gsub("a"; "z")`, `"zb"`},
		{`.body.s * 3`, `"ababab"`},
		{`3 * .body.s`, `"ababab"`},
		{`{a:{b:1}} * {a:{c:2}}`, `{"a":{"b":1,"c":2}}`},
		{`.body.list | join("-")`, `"1-2"`},
		{`.body.s = "new" | .body.s`, `"new"`},
		{`.body.list |= map(. + 1) | .body.list`, `[2,3]`},
		{`.body | @json`, `"{\"list\":[1,2],\"message\":4,\"s\":\"ab\"}"`},
		{`def f(x): x + 1; f(.body.message)`, `5`},
		{`del(.body.list, .body.s) | .body`, `{"message":4}`},
		{`[limit(3; repeat(1))]`, `[1,1,1]`},
		{`reduce .body.list[] as $x (0; . + $x)`, `3`},
		{`.body as {s: $s} | $s`, `"ab"`},
		{`(.body.list | .[0]) as $x | [$x, 1] | add`, `2`},
		{
			`empty`, "error",
		},
		{`error("x")`, "error"},
		{`.body.s.x`, "error"},
		{`.[`, "error"},
		{`import "a" as a; .`, "error"},
		{`env.HOME`, `null`},
		{`$ENV.HOME`, `null`},
		{`input`, "error"},
		{`$__budget`, "error"},
		{`.body.s |= . + "x" | .body.s`, `"abx"`},
	}
	for _, c := range cases {
		got, err := runJQ(t, c.source, `{"body":{"message":4,"s":"ab","list":[1,2]}}`)
		if err != nil {
			got = "error"
		}
		if got != c.want {
			t.Errorf("%s: got %s, %v, want %s", c.source, got, err, c.want)
		}
	}
}

var endlessJQ = []string{
	`def f: f; f`,
	`[range(1e12)]`,
	`last(range(1e12))`,
	`"x" * 1000000000000`,
	`1000000000000 * "x"`,
	`reduce range(100) as $i ("x"; . + .)`,
	`reduce range(100) as $i ([1]; . + .)`,
	`reduce range(100) as $i ([1]; . += .)`,
	`reduce range(100) as $i (1; [., .])`,
	`reduce range(100) as $i (1; {a: ., b: .})`,
	`reduce range(100) as $i ({}; .a = . | .b = .)`,
	`reduce range(100) as $i ("\""; tojson)`,
	`reduce range(100) as $i ("\""; @json)`,
	`reduce range(100) as $i ("\""; "\(.)\(.)")`,
	`reduce range(100) as $i ([1]; [., .] | add)`,
	`[range(100000) | "x"] | join("y" * 100000)`,
	`("x" * 1000000) | gsub(""; "y" * 1000000)`,
	`reduce range(100) as $i (1; [., .] | flatten(0))`,
	`[repeat("x")]`,
	`until(false; .)`,
	`[while(true; .)]`,
	`recurse`,
}

func TestEndlessJQEnds(t *testing.T) {
	for _, source := range endlessJQ[:len(endlessJQ)-1] {
		if _, err := runJQ(t, source, `{}`); !errors.Is(err, ErrBudget) {
			t.Errorf("%s: %v", source, err)
		}
	}
}

func FuzzJQ(f *testing.F) {
	for _, source := range endlessJQ {
		f.Add(source, `{"a":1}`)
	}
	f.Add(`.a += 1 | .b *= 2`, `{"a":1,"b":[2]}`)
	f.Fuzz(func(_ *testing.T, source, input string) {
		var v any
		if json.Unmarshal([]byte(input), &v) != nil {
			return
		}
		q, err := CompileJQ(source)
		if err != nil {
			return
		}
		out, err := q.Run(v, Limits{Steps: 20_000, Bytes: 1 << 20})
		if err != nil {
			return
		}
		if text, err := json.Marshal(out); err == nil && len(text) > 32<<20 {
			panic("the result is large")
		}
	})
}
