package sensing

import (
	"fmt"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"sigs.k8s.io/yaml"
)

func specOf(t testing.TB, text string) *v1alpha1.SensorSpec {
	t.Helper()
	s := &v1alpha1.SensorSpec{}
	if err := yaml.Unmarshal([]byte(text), s); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return s
}

func eventOf(id, data string) Event {
	return Event{
		ID:          id,
		Type:        "github",
		Source:      "github",
		Subject:     "hook",
		ContentType: "application/json",
		Data:        []byte(data),
		Time:        time.Unix(0, 0).UTC(),
	}
}

func TestConditions(t *testing.T) {
	const deps = "dependencies: [{name: a, eventSourceName: s, eventName: a}, {name: b, eventSourceName: s, eventName: b}, {name: c-d, eventSourceName: s, eventName: c}]\n"
	cases := []struct{ conditions, events, fires string }{
		{"", "a b c", "3:a1+b2+c-d3"},
		{"", "a a b c", "4:a2+b3+c-d4"},
		{"a || b", "a b c", "1:a1 2:b2"},
		{"a && b", "a a b b a", "3:a2+b3 5:a5+b4"},
		{"(a || b) && c-d", "a b c", "3:a1+b2+c-d3"},
		{"(a || b) && c_d", "a b c", "3:a1+b2+c-d3"},
		{"a&&(b||c-d)", "c a", "2:a2+c-d1"},
		{"a", "b c a", "3:a3"},
		{"(a && b) || c-d", "a c b", "2:a1+c-d2"},
	}
	for _, c := range cases {
		s := specOf(t, deps+"triggers: [{template: {name: t, conditions: \""+c.conditions+"\", log: {}}}]")
		if got := drive(Compile(s, Options{}), strings.Fields(c.events)); got != c.fires {
			t.Errorf("%q over %q: got %q, want %q", c.conditions, c.events, got, c.fires)
		}
	}
	s := specOf(t, deps)
	for _, bad := range []string{
		"a &&", "(a", "a b", "x", "a || || b", ")", strings.Repeat("(", 200) + "a", strings.Repeat("a||", maxCondition),
		"c_d x",
	} {
		if _, err := conditionsOf(bad, s.Dependencies, false); err == nil {
			t.Errorf("%.40q was accepted", bad)
		}
	}
	if _, err := conditionsOf("c_d", s.Dependencies, true); err == nil {
		t.Error("c_d was taken for c-d although names are exact")
	}
}

func TestNamesThatFoldTogetherStandForEachOther(t *testing.T) {
	s := specOf(
		t,
		`dependencies: [{name: a-b, eventSourceName: s, eventName: a}, {name: a_b, eventSourceName: s, eventName: b}]
triggers: [{template: {name: t, conditions: a_b, log: {}}}]`,
	)
	if got := drive(Compile(s, Options{}), []string{"a", "b"}); got != "1:a-b1 2:a_b2" {
		t.Errorf("as upstream: %s", got)
	}
	if got := drive(Compile(s, Options{ExactNames: true}), []string{"a", "b"}); got != "2:a_b2" {
		t.Errorf("exact: %s", got)
	}
}

// drive plays events by their names and lists what fired: position:contributors.
func drive(p *Program, names []string) string {
	windows := map[int]Window{}
	var fired []string
	for i, name := range names {
		v := p.Evaluate(
			World{EventSource: "s", EventName: name, Event: eventOf(fmt.Sprint(i+1), "{}"), Windows: windows},
		)
		for _, f := range v.Firings {
			var parts []string
			for _, n := range f.Events.Names() {
				parts = append(parts, n+f.Events[n].ID)
			}
			fired = append(fired, fmt.Sprintf("%d:%s", i+1, strings.Join(parts, "+")))
		}
		maps.Copy(windows, v.Windows)
	}
	return strings.Join(fired, " ")
}

func TestWhoWaits(t *testing.T) {
	const deps = "dependencies: [{name: a, eventSourceName: s, eventName: a}, {name: b, eventSourceName: s, eventName: b}]\n"
	for conditions, want := range map[string]bool{
		"": true, "a": false, "a || b": false, "a && b": true, "a || (a && b)": true,
	} {
		p := Compile(specOf(t, deps+"triggers: [{template: {name: t, conditions: \""+conditions+"\"}}]"), Options{})
		if p.Waits(0) != want || p.AnyWaits() != want {
			t.Errorf("%q: %v", conditions, p.Waits(0))
		}
	}
}

func TestConditionsReset(t *testing.T) {
	s := specOf(t, `
dependencies: [{name: a, eventSourceName: s, eventName: a}, {name: b, eventSourceName: s, eventName: b}]
triggers: [{template: {name: t, conditions: a && b, conditionsReset: [{byTime: {cron: "59 23 * * *", timezone: America/Los_Angeles}}, {}]}}]`)
	p := Compile(s, Options{})
	if len(p.Problems()) > 0 {
		t.Fatal(p.Problems())
	}
	at := func(text string) time.Time {
		when, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	a := eventOf("a", "{}")
	for _, c := range []struct {
		a, b  string
		fires bool
	}{
		{"2026-06-01T20:00:00-07:00", "2026-06-01T23:58:59-07:00", true},
		{"2026-06-01T20:00:00-07:00", "2026-06-01T23:59:00-07:00", false},
		{"2026-06-01T23:59:00-07:00", "2026-06-02T23:58:00-07:00", true},
		{"2026-06-01T20:00:00Z", "2026-06-02T00:00:00Z", true},
	} {
		a.Arrived = at(c.a)
		v := p.Evaluate(
			World{
				EventSource: "s", EventName: "b", Event: eventOf("b", "{}"), Windows: map[int]Window{0: {"a": a}},
				Now: at(c.b),
			},
		)
		if (len(v.Firings) == 1) != c.fires {
			t.Errorf("%+v: %+v", c, v)
		}
	}
}

func TestProblems(t *testing.T) {
	for text, path := range map[string]string{
		`{dependencies: [{name: a, eventSourceName: s}]}`:                                                                          "spec.dependencies[0]",
		`{dependencies: [{eventName: a, eventSourceName: s}]}`:                                                                     "spec.dependencies[0]",
		`{dependencies: [{name: a, eventSourceName: s, eventName: e}, {name: a, eventSourceName: s, eventName: e}]}`:               "spec.dependencies[1]",
		`{dependencies: [{name: a, eventSourceName: s, eventName: e, transform: {jq: "("}}]}`:                                      "spec.dependencies[0]",
		`{dependencies: [{name: a, eventSourceName: s, eventName: e, transform: {script: "("}}]}`:                                  "spec.dependencies[0]",
		`{dependencies: [{name: a, eventSourceName: s, eventName: e, filters: {script: "("}}]}`:                                    "spec.dependencies[0]",
		`{triggers: [{template: {log: {}}}]}`:                                                                                      "spec.triggers[0].template.name",
		`{triggers: [{}]}`:                                                                                                         "spec.triggers[0].template.name",
		`{triggers: [{template: {name: x}}, {template: {name: x}}]}`:                                                               "spec.triggers[1].template.name",
		`{triggers: [{template: {name: x, conditions: y}}]}`:                                                                       "spec.triggers[0].template.conditions",
		`{triggers: [{template: {name: x, conditionsReset: [{byTime: {cron: "61 * * * *"}}]}}]}`:                                   "spec.triggers[0].template.conditionsReset[0].byTime",
		`{triggers: [{template: {name: x, conditionsReset: [{byTime: {cron: "1 * * * *", timezone: Nowhere}}]}}]}`:                 "spec.triggers[0].template.conditionsReset[0].byTime",
		`{dependencies: [{name: a, eventSourceName: s, eventName: e, filters: {cloudEvents: [{sql: "("}]}}]}`:                      "spec.dependencies[0]",
		`{dependencies: [{name: a, eventSourceName: s, eventName: e, filters: {cloudEvents: [{}]}}]}`:                              "spec.dependencies[0]",
		`{dependencies: [{name: a, eventSourceName: s, eventName: e, filters: {cloudEvents: [{exact: {type: x}, sql: "TRUE"}]}}]}`: "spec.dependencies[0]",
	} {
		p := Compile(specOf(t, text), Options{}).Problems()
		if len(p) != 1 || p[0].Path != path || !strings.HasPrefix(p[0].String(), path+": ") {
			t.Errorf("%s: %v", text, p)
		}
	}
}

func TestABrokenPartHarmsNoOther(t *testing.T) {
	p := Compile(specOf(t, `
dependencies:
- {name: bad, eventSourceName: s, eventName: e, filters: {exprs: [{expr: "a >"}]}}
- {name: good, eventSourceName: s, eventName: e}
triggers:
- {template: {name: broken, conditions: nothing}}
- {template: {name: waits, conditions: bad}}
- {template: {name: fires, conditions: good}}`), Options{})
	if len(p.Problems()) != 2 || p.Waits(0) {
		t.Errorf("%v", p.Problems())
	}
	v := p.Evaluate(World{EventSource: "s", EventName: "e", Event: eventOf("1", "{}")})
	if len(v.Firings) != 1 || v.Firings[0].Trigger != 2 || len(v.Rejected) != 1 ||
		v.Rejected[0].Filter != "dependency" {
		t.Errorf("%+v", v)
	}
	if _, err := p.Transformed("bad", eventOf("1", "{}"), nil); err == nil {
		t.Error("a broken dependency transforms")
	}
}

func TestAFiringHasOneIdentity(t *testing.T) {
	a := Firing{Events: Window{"x": eventOf("1", "{}"), "y": eventOf("2", "{}")}}
	b := Firing{Events: Window{"y": eventOf("2", "{}"), "x": eventOf("1", "{}")}}
	c := Firing{Events: Window{"x": eventOf("2", "{}"), "y": eventOf("1", "{}")}}
	if fmt.Sprint(a.Causes()) != fmt.Sprint(b.Causes()) || fmt.Sprint(a.Causes()) == fmt.Sprint(c.Causes()) {
		t.Errorf("%v %v %v", a.Causes(), b.Causes(), c.Causes())
	}
}

func TestWildcards(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"web*", "webhook", true}, {"*", "x", true}, {"w?b", "web", true}, {"[ab]x", "bx", true},
		{"web", "webhook", false}, {"[", "x", false}, {"[", "[", true}, {"a*", "b", false},
	} {
		if glob(c.pattern, c.name) != c.want {
			t.Errorf("%s over %s", c.pattern, c.name)
		}
	}
}

func TestOptions(t *testing.T) {
	o, err := ParseOptions(" not-in , or-skips-errors,exact-names,")
	if err != nil || o != (Options{NotIn: true, OrSkipsErrors: true, ExactNames: true}) {
		t.Errorf("%+v, %v", o, err)
	}
	if s, err := ParseOptions("strict"); err != nil || s != o {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := ParseOptions("loose"); err == nil {
		t.Error("a word that does not exist was taken")
	}
}

func TestTheCoreDoesNoIO(t *testing.T) {
	for _, pattern := range []string{"*.go", "*/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			f, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ImportsOnly)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range f.Imports {
				switch i.Path.Value {
				case `"context"`, `"net"`, `"net/http"`, `"os"`, `"log"`, `"log/slog"`, `"os/exec"`:
					t.Errorf("%s imports %s", name, i.Path.Value)
				}
			}
			if strings.Contains(string(text), "time.Now(") || strings.Contains(string(text), "time.Sleep(") {
				t.Errorf("%s knows the clock", name)
			}
		}
	}
}
