package expression_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/libs/flow/expression"
)

func TestWhatCostsTooMuchIsRefused(t *testing.T) {
	double := "let a0 = 'xxxxxxxx'; "
	for i := range 40 {
		double += "let a" + strings.Repeat("x", i+1) + " = " + last(i) + " + " + last(i) + "; "
	}
	deep := map[string]any{"deep": strings.Repeat("[", 4000) + strings.Repeat("]", 4000),
		"big": strings.Repeat("x", 1<<20)}
	for name, source := range map[string]string{
		"loops within loops":        "let r = 1..900; all(r, all(r, all(r, true)))",
		"texts that double":         double + "len(" + last(40) + ")",
		"repeat":                    "repeat(big, 1000000)",
		"sprig repeat":              "sprig.repeat(1000000000, 'x')",
		"sprig until":               "sprig.until(1000000000)",
		"sprig untilStep":           "sprig.untilStep(0, 1000000000, 1)",
		"sprig seq":                 "sprig.seq(0, 1000000000)",
		"indent":                    "sprig.indent(1000000000, 'x')",
		"nindent":                   "sprig.nindent(1000000000, 'x')",
		"replace":                   "replace(big, 'x', big)",
		"sprig replace":             "sprig.replace('x', big, big)",
		"join":                      "join(map(1..100000, 'x'), big)",
		"sprig join":                "sprig.join(big, sprig.until(1000))",
		"join of a large text":      "join(map(1..1000, big))",
		"wrap":                      "sprig.wrapWith(1, big, big)",
		"pattern":                   "sprig.regexReplaceAll('x', big, big)",
		"pattern that repeats":      "sprig.regexReplaceAll('.*', big, sprig.repeat(1000, '$0'))",
		"concatenation":             "sprig.cat(" + strings.Repeat("big, ", 200) + "'x')",
		"a large text in each turn": "map(1..1000, upper(big))",
		"a list in itself":          "let d = sprig.dict('a', 1); let e = sprig.set(d, 'a', d); toJson(e)",
		"a path that looks again":   "jsonpath(deep, '$..*..*..*')",
		"a long expression":         "1" + strings.Repeat(" ", 200_000),
	} {
		got, err := expression.Evaluate(source, deep)
		if !errors.Is(err, expression.ErrBudget) {
			text := expression.ResultText(got)
			t.Errorf("%s: %.40q, %v", name, text, err)
		}
	}
}

func last(i int) string {
	if i == 0 {
		return "a0"
	}
	return "a" + strings.Repeat("x", i)
}

func TestParenthesesWithoutEnd(t *testing.T) {
	if got, err := expression.Evaluate(strings.Repeat("(", 120_000), nil); err == nil {
		t.Errorf("%v", got)
	}
}

func TestNothingIsDrawnByLot(t *testing.T) {
	for _, source := range []string{"sprig.randAlphaNum(5)", "sprig.uuidv4()", "sprig.shuffle('abc')",
		"sprig.genPrivateKey('rsa')", "sprig.env('HOME')"} {
		if got, err := expression.Evaluate(source, nil); err == nil {
			t.Errorf("%s: %v", source, got)
		}
	}
}

func TestWhatIsUsualIsNot(t *testing.T) {
	env := map[string]any{"list": "[1, 2, 3]", "name": "a", "big": strings.Repeat("x", 1<<20), "n": 2}
	for source, want := range map[string]string{
		"name + '-' + name":                               "a-a",
		"1 + 2 == 3 && n + 1 > 2":                         "true",
		"[1] + [2]":                                       "",
		"map(fromJson(list), # * 2)":                      "",
		"map(fromJSON(list), # * 2)":                      "[2,4,6]",
		"filter(1..10, # % 2 == 0)":                       "[2,4,6,8,10]",
		"sum(map(1..100000, #)) ":                         "5000050000",
		"join(['a', name], ',')":                          "a,a",
		"replace('aXb', 'X', '-')":                        "a-b",
		"repeat('ab', 2)":                                 "abab",
		"sprig.repeat(3, name)":                           "aaa",
		"sprig.replace('a', 'b', 'aa')":                   "bb",
		"sprig.join('-', sprig.until(3))":                 "0-1-2",
		"sprig.seq(1, 3)":                                 "1 2 3",
		"sprig.indent(2, 'x')":                            "  x",
		"sprig.regexReplaceAll('a(.)', 'ab', '$1')":       "b",
		"sprig.trim(' x ')":                               "x",
		"len(big)":                                        "1048576",
		"jsonpath('{\"a\": {\"b\": [1, 2]}}', '$..b[0]')": "[1]",
		"let x = 3; x ?? 4":                               "3",
		"{'a': name}.a":                                   "a",
		"groupBy(1..4, # % 2 == 0 ? 'even' : 'odd').even": "[2,4]",
		"reduce(1..4, #acc + #)":                          "10",
		"sortBy([{'v': 2}, {'v': 1}], .v)[0].v":           "1",
		"ghost ?? 'none'":                                 "none",
		"name in ['a', 'b']":                              "true",
		"toJson({'a': [1, name]})":                        `{"a":[1,"a"]}`,
	} {
		got, err := expression.Evaluate(source, env)
		if want == "" {
			continue // what the language refuses
		}
		if err != nil || expression.ResultText(got) != want {
			t.Errorf("%s: %s %v", source, expression.ResultText(got), err)
		}
	}
}

func TestConditionsAreBounded(t *testing.T) {
	for _, condition := range []string{strings.Repeat("(", 1<<20) + "1 == 1" + strings.Repeat(")", 1<<20),
		"1 == 1" + strings.Repeat(")", 10), "'a' > 1 =~ ((("} {
		if got, err := expression.Condition(condition); err == nil {
			t.Errorf("%.20s: %v", condition, got)
		}
	}
	if got, err := expression.Condition("'" + strings.Repeat("x", 1<<20) + "' == 'y'"); got || err != nil {
		t.Errorf("a large value: %v, %.100v", got, err)
	}
	if err := expression.Check(strings.Repeat("(", 1<<20)); !errors.Is(err, expression.ErrBudget) {
		t.Errorf("%.100v", err)
	}
	if names := expression.Names(strings.Repeat("(", 1<<20)); len(names) > 0 {
		t.Error(names)
	}
}
