package expression_test

import (
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow/expression"
)

func env() map[string]any {
	return map[string]any{
		"about": map[string]any{"failed": int64(2), "none": nil, "at": time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
			"labels": map[string]any{"a.b/c": "x", "plain": "y-z"}},
		"now": func() time.Time { return time.Date(2026, 1, 1, 1, 0, 0, 0, time.UTC) },
	}
}

func TestConditionsWithTags(t *testing.T) {
	for condition, want := range map[string]bool{
		"":                                         true,
		"{{about.failed}} > 1":                     true,
		"{{ about.failed }} > 2":                   false,
		"{{about.labels.a.b/c}} == x":              true,
		"'{{about.labels.plain}}' == 'y-z'":        true,
		"{{=about.none == nil}}":                   true,
		"{{= (now() - about.at).Hours()}} == 1":    true,
		"'{{about.at}}' == '2026-01-01T00:00:00Z'": true,
		"{{=sprig.upper('a')}} == A":               true,
	} {
		if got, err := expression.When(condition, env()); err != nil || got != want {
			t.Errorf("%q: %v %v", condition, got, err)
		}
	}
	for condition, says := range map[string]string{
		"{{about.ghost}} == 1":          "has no value here",
		"{{ghost.x}} == 1":              "has no value here",
		"{{=about.failed +}}":           "expression",
		"{{=ghost.x.y}} == 1":           "expression",
		"{{about.failed}}":              "neither true nor false",
		"a-b == a-b":                    "when",
		"{{about.labels.plain}} == y-z": "when",
	} {
		if _, err := expression.When(condition, env()); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", condition, err)
		}
	}
}

func TestExpressionsOverGivenValues(t *testing.T) {
	for source, want := range map[string]string{
		"about.failed + 1":              "3",
		"toJson(about.labels.plain)":    `"y-z"`,
		"asInt('4') * 2":                "8",
		"[1, 2]":                        "[1,2]",
		"ghost":                         "null",
		"jsonpath('{\"a\": 1}', '$.a')": "1",
	} {
		got, err := expression.Evaluate(source, env())
		if err != nil || expression.ResultText(got) != want {
			t.Errorf("%q: %s %v", source, expression.ResultText(got), err)
		}
	}
	for _, bad := range []string{"1 +", "sprig.env('HOME')", "about.failed.x.y()", strings.Repeat("1+", 20_000) + "1"} {
		if got, err := expression.Evaluate(bad, nil); err == nil {
			t.Errorf("%.20q: %v", bad, got)
		}
	}
	if yes, err := expression.Holds("about.failed == 2", env()); !yes || err != nil {
		t.Errorf("%v %v", yes, err)
	}
	if _, err := expression.Holds("about.failed", env()); err == nil {
		t.Error("a number is taken for an answer")
	}
}
