package sensing

import (
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// judge evaluates one dependency with the given filters: "pass", or the filter that
// rejects, with "!" where it could not be evaluated; "broken" when it does not compile.
func judge(t testing.TB, rest, data string, o Options) string {
	t.Helper()
	s := specOf(t, "dependencies: [{name: d, eventSourceName: github, eventName: hook, "+rest+"}]")
	p := Compile(s, o)
	if len(p.Problems()) > 0 {
		return "broken"
	}
	e := eventOf("1", data)
	e.Time = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	e.Extensions = map[string]string{"partitionkey": "k1"}
	_, err := p.dependencies[0].take(World{EventSource: "github", EventName: "hook", Event: e})
	switch {
	case err == nil:
		return "pass"
	case isWrong(err):
		return rejection("d", err).Filter + "!"
	}
	return rejection("d", err).Filter
}

const sample = `{"s":"hello world","num":5,"b":true,"list":[1,2],"deep":{"x":"y"},"text":"5"}`

func TestFilters(t *testing.T) {
	cases := []struct{ filters, want string }{
		{`{data: [{path: s, type: string, value: ["^hello"]}]}`, "pass"},
		{`{data: [{path: s, type: string, value: ["no", "wor"]}]}`, "pass"},
		{`{data: [{path: s, type: string, value: ["hello"], comparator: "!="}]}`, "data"},
		{`{data: [{path: s, type: string, value: ["hello", "no"], comparator: "!="}]}`, "pass"},
		{`{data: [{path: s, type: string, value: ["("]}]}`, "broken"},
		{`{data: [{path: s, type: string, value: ["hello"], comparator: ">"}]}`, "broken"},
		{`{data: [{path: s, type: string, value: [hello], comparator: exact}]}`, "data"},
		{`{data: [{path: s, type: string, value: ["hello world"], comparator: exact}]}`, "pass"},
		// a list in flow style without quotes is a list of filters
		{`[{path: s, type: exact, value: hello world}]`, "broken"},
		{`{data: [{path: num, type: number, value: ["4"], comparator: ">"}]}`, "pass"},
		{`{data: [{path: num, type: number, value: ["5"], comparator: ">="}]}`, "pass"},
		{`{data: [{path: num, type: number, value: ["5"], comparator: "<"}]}`, "data"},
		{`{data: [{path: num, type: number, value: ["5"], comparator: "<="}]}`, "pass"},
		{`{data: [{path: num, type: number, value: ["5"], comparator: "=="}]}`, "pass"},
		{`{data: [{path: num, type: number, value: ["5", "6"], comparator: "!="}]}`, "pass"},
		{`{data: [{path: num, type: number, value: [5]}]}`, "pass"},
		{`{data: [{path: text, type: number, value: [5]}]}`, "pass"},
		{`{data: [{path: num, type: number, value: ["x"]}]}`, "broken"},
		{`{data: [{path: num, type: number, value: ["5"], comparator: "~"}]}`, "broken"},
		{`{data: [{path: s, type: number, value: ["5"]}]}`, "data!"},
		{`{data: [{path: b, type: bool, value: ["true"]}]}`, "pass"},
		{`{data: [{path: b, type: bool, value: ["false"], comparator: "!="}]}`, "pass"},
		{`{data: [{path: b, type: bool, value: ["false"]}]}`, "data"},
		{`{data: [{path: s, type: bool, value: ["true"]}]}`, "data!"},
		{`{data: [{path: b, type: bool, value: ["maybe"]}]}`, "broken"},
		{`{data: [{path: missing, type: string, value: ["."]}]}`, "data!"},
		{`{data: [{path: s, type: string, value: []}]}`, "broken"},
		{`{data: [{path: s, type: strange, value: ["."]}]}`, "broken"},
		{`{data: [{path: "list.#(==2)", type: number, value: [2]}]}`, "pass"},
		{`{data: [{path: "list.#", type: number, value: [2]}]}`, "pass"},
		{
			`{data: [{path: s, type: string, value: ["^HELLO$"], template: '{{ (split " " .Input)._0 | upper }}'}]}`,
			"pass",
		},
		{`{data: [{path: num, type: number, value: [10], template: '{{ mul 2 .Input }}'}]}`, "pass"},
		{`{data: [{path: s, type: string, value: ["."], template: '{{ "" }}'}]}`, "data!"},
		{
			`{data: [{path: s, type: string, value: ["."], template: '{{ range until 10000 }}{{ range until 10000 }}{{ end }}{{ end }}'}]}`,
			"data!",
		},
		{`{data: [{path: s, type: string, value: ["."], template: '{{'}]}`, "broken"},
		{`{data: [{path: s, type: string, value: [no]}, {path: num, type: number, value: [5]}]}`, "data"},
		{
			`{dataLogicalOperator: or, data: [{path: s, type: string, value: [no]}, {path: num, type: number, value: [5]}]}`,
			"pass",
		},
		{
			`{dataLogicalOperator: or, data: [{path: gone, type: string, value: [no]}, {path: num, type: number, value: [5]}]}`,
			"pass",
		},
		{
			`{dataLogicalOperator: or, data: [{path: s, type: string, value: [no]}, {path: gone, type: number, value: [5]}]}`,
			"data!",
		},
		{`{exprs: [{expr: "a == 5 && x == 'y'", fields: [{name: a, path: num}, {name: x, path: deep.x}]}]}`, "pass"},
		{`{exprs: [{expr: "a =~ '^h'", fields: [{name: a, path: s}]}]}`, "pass"},
		{`{exprs: [{expr: "a > 5", fields: [{name: a, path: num}]}]}`, "exprs"},
		{`{exprs: [{expr: "a + 5", fields: [{name: a, path: num}]}]}`, "exprs!"},
		{`{exprs: [{expr: "a >", fields: [{name: a, path: num}]}]}`, "broken"},
		{`{exprs: [{expr: "a > b", fields: [{name: a, path: num}]}]}`, "exprs!"},
		{`{exprs: [{expr: "a", fields: [{name: a, path: gone}]}]}`, "exprs!"},
		{
			`{exprLogicalOperator: or, exprs: [{expr: "a", fields: [{name: a, path: gone}]}, {expr: "b", fields: [{name: b, path: b}]}]}`,
			"pass",
		},
		{`{context: {type: github}}`, "pass"},
		{`{context: {type: github, subject: hook, source: github, datacontenttype: application/json}}`, "pass"},
		{`{context: {type: github, subject: other}}`, "context"},
		{`{time: {start: "11:00:00", stop: "13:00:00"}}`, "pass"},
		{`{time: {start: "12:00:00", stop: "12:00:01"}}`, "pass"},
		{`{time: {start: "11:00:00", stop: "12:00:00"}}`, "time"},
		{`{time: {start: "22:00:00", stop: "06:00:00"}}`, "time"},
		{`{time: {start: "22:00:00", stop: "12:30:00"}}`, "pass"},
		{`{time: {start: "13:30:00", stop: "14:30:00", timezone: Europe/Berlin}}`, "time"},
		{`{time: {start: "12:30:00", stop: "13:30:00", timezone: Europe/Berlin}}`, "pass"},
		{`{time: {start: noon, stop: "13:30:00"}}`, "broken"},
		{`{time: {start: "12:00:00", stop: later}}`, "broken"},
		{`{time: {start: "12:00:00", stop: "13:00:00", timezone: Nowhere}}`, "broken"},
		{`{script: "return true"}`, "pass"},
		{`{script: "return event.num == 5 and event.deep.x == 'y'"}`, "pass"},
		{`{script: "return false"}`, "script"},
		{`{script: "return 1"}`, "script!"},
		{`{script: "return 'x'"}`, "script!"},
		{`{script: "return {}"}`, "script!"},
		{`{script: "local x = 1"}`, "script!"},
		{`{script: "while true do end"}`, "script!"},
		{`{script: "return ("}`, "broken"},
		{`{cloudEvents: [{exact: {type: github, partitionkey: k1}}]}`, "pass"},
		{`{cloudEvents: [{exact: {type: git}}]}`, "cloudEvents"},
		{`{cloudEvents: [{prefix: {type: git}}, {suffix: {type: hub}}]}`, "pass"},
		{`{cloudEvents: [{prefix: {nothing: x}}]}`, "cloudEvents"},
		{`{cloudEvents: [{not: {exact: {type: git}}}]}`, "pass"},
		{`{cloudEvents: [{all: [{exact: {type: github}}, {exact: {source: x}}]}]}`, "cloudEvents"},
		{`{cloudEvents: [{any: [{exact: {type: github}}, {exact: {source: x}}]}]}`, "pass"},
		{`{cloudEvents: [{any: [{exact: {type: x}}]}]}`, "cloudEvents"},
		{`{cloudEvents: [{sql: "type = 'github' AND EXISTS partitionkey"}]}`, "pass"},
		{`{cloudEvents: [{sql: "partitionkey = 'other'"}]}`, "cloudEvents"},
		{`{cloudEvents: [{sql: "1 / 0 = 1"}]}`, "cloudEvents"},
		{`{cloudEvents: [{sql: "time = '2026-01-01T12:00:00Z'"}]}`, "pass"},
		{
			`{cloudEvents: [{any: [{sql: "("}]}]}`, "broken",
		},
		{`{cloudEvents: [{all: [{}]}]}`, "broken"},
		{`{cloudEvents: [{not: {}}]}`, "broken"},
		{`{}`, "pass"},
	}
	for _, c := range cases {
		if strings.HasPrefix(c.filters, "[") {
			continue
		}
		if got := judge(t, "filters: "+c.filters, sample, Options{}); got != c.want {
			t.Errorf("%s: got %s, want %s", c.filters, got, c.want)
		}
	}
}

func TestOperatorsBetweenFilters(t *testing.T) {
	const (
		yes   = `context: {type: github}`
		never = `time: {start: "01:00:00", stop: "02:00:00"}`
		wrong = `data: [{path: gone, type: string, value: [x]}]`
	)
	cases := []struct{ filters, operator, want, strict string }{
		{yes + ", " + never, "and", "time", "time"},
		{yes + ", " + never, "or", "pass", "pass"},
		{never + ", " + wrong, "or", "data!", "time"},
		{yes + ", " + wrong, "or", "data!", "pass"}, // as upstream: an error rejects what another filter accepts
		{yes + ", " + wrong, "and", "data!", "data!"},
		{never, "or", "time", "time"},
	}
	for _, c := range cases {
		rest := "filtersLogicalOperator: " + c.operator + ", filters: {" + c.filters + "}"
		if got := judge(t, rest, sample, Options{}); got != c.want {
			t.Errorf("%s: got %s, want %s", rest, got, c.want)
		}
		if got := judge(t, rest, sample, Options{OrSkipsErrors: true}); c.want == "pass" && got != "pass" ||
			c.strict == "pass" && got != "pass" {
			t.Errorf("%s, errors skipped: got %s, want %s", rest, got, c.strict)
		}
	}
}

func TestNotIn(t *testing.T) {
	for _, c := range []struct{ filter, loose, strict string }{
		{`{path: s, type: string, value: [hello, no], comparator: "!="}`, "pass", "data"},
		{`{path: s, type: string, value: [nope, no], comparator: "!="}`, "pass", "pass"},
		{`{path: num, type: number, value: [5, 6], comparator: "!="}`, "pass", "data"},
		{`{path: s, type: number, value: [5, 6], comparator: "!="}`, "data!", "data!"},
		{`{path: num, type: number, value: [4, 5]}`, "pass", "pass"},
	} {
		if got := judge(t, "filters: {data: ["+c.filter+"]}", sample, Options{}); got != c.loose {
			t.Errorf("%s: got %s, want %s", c.filter, got, c.loose)
		}
		if got := judge(t, "filters: {data: ["+c.filter+"]}", sample, Options{NotIn: true}); got != c.strict {
			t.Errorf("%s under not-in: got %s, want %s", c.filter, got, c.strict)
		}
	}
}

func TestTransformsComeBeforeFilters(t *testing.T) {
	for _, c := range []struct{ transform, filter, want string }{
		{`{jq: ".s = \"new\""}`, `{path: s, type: string, value: ["^new$"]}`, "pass"},
		{`{script: "event.s = 'new' return event"}`, `{path: s, type: string, value: ["^new$"]}`, "pass"},
		// jq wins
		{
			`{jq: ".s = \"jq\"", script: "event.s = 'lua' return event"}`, `{path: s, type: string, value: ["^jq$"]}`,
			"pass",
		},
		// the first output counts
		{`{jq: "{a: 1}, {b: 2}"}`, `{path: a, type: number, value: [1]}`, "pass"},
		{`{jq: ".list"}`, `{path: s, type: string, value: ["."]}`, "transform!"},
		{`{jq: "empty"}`, `{path: s, type: string, value: ["."]}`, "transform!"},
		{`{jq: "def f: f; f"}`, `{path: s, type: string, value: ["."]}`, "transform!"},
		{`{script: "return 1"}`, `{path: s, type: string, value: ["."]}`, "transform!"},
		{`{script: "return event.list"}`, `{path: "0", type: number, value: [1]}`, "pass"},
		{`{script: "while true do end"}`, `{path: s, type: string, value: ["."]}`, "transform!"},
		{`{}`, `{path: s, type: string, value: ["hello"]}`, "pass"},
	} {
		if got := judge(
			t, "transform: "+c.transform+", filters: {data: ["+c.filter+"]}", sample, Options{},
		); got != c.want {
			t.Errorf("%s: got %s, want %s", c.transform, got, c.want)
		}
	}
	for _, data := range []string{
		``, `[]`, `null`, `not json`, `{"a":` + strings.Repeat("[", 20000) + `}`,
		`{"x":"` + strings.Repeat("x", maxTransform) + `"}`,
	} {
		if got := judge(t, "transform: {jq: .}", data, Options{}); got != "transform!" {
			t.Errorf("%.30s: %s", data, got)
		}
		if got := judge(t, "filters: {script: 'return true'}", data, Options{}); len(data) < maxTransform &&
			got != "script!" {
			t.Errorf("%.30s: %s", data, got)
		}
	}
}

func TestBadDataIsRejectedNotFatal(t *testing.T) {
	for _, data := range []string{
		``, `{`, `null`, "\xff\xfe", `{"s":1,"s":2}`, strings.Repeat("[", 100000),
		`{"s":"` + strings.Repeat("a", 1<<20) + `"}`,
	} {
		got := judge(
			t,
			`filters: {data: [{path: s.t, type: string, value: ["(a+)+$"]}], exprs: [{expr: "a == 1", fields: [{name: a, path: s}]}]}`,
			data, Options{},
		)
		if !strings.HasSuffix(got, "!") && got != "exprs" {
			t.Errorf("%.20q: %s", data, got)
		}
	}
	if got := judge(
		t, `filters: {data: [{path: s, type: string, value: ["(a+)+$"]}]}`, `{"s":"`+strings.Repeat("a", 1<<20)+`b"}`,
		Options{},
	); got != "data" {
		t.Errorf("a runaway regular expression: %s", got)
	}
}

func TestDialectsAreBounded(t *testing.T) {
	f := &v1alpha1.CloudEventsFilter{Exact: map[string]string{"type": "x"}}
	for range 30 {
		f = &v1alpha1.CloudEventsFilter{Not: f}
	}
	if _, err := compileDialect(f, 0); err == nil {
		t.Error("thirty nested filters were taken")
	}
	if _, err := compileSQL(strings.Repeat("x", maxExpression+1)); err == nil {
		t.Error("a huge expression was taken")
	}
	if _, err := compileExpr(v1alpha1.ExprFilter{Expr: strings.Repeat("1", maxExpression+1)}); err == nil {
		t.Error("a huge expression was taken")
	}
	if _, err := textMatcher(v1alpha1.DataFilter{}, strings.Repeat("x", maxExpression+1)); err == nil {
		t.Error("a huge regular expression was taken")
	}
}
