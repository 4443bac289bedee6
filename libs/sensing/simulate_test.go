package sensing

import (
	"fmt"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

func TestSimulationDoesWhatTheServiceWould(t *testing.T) {
	p := Compile(specOf(t, `
dependencies:
- {name: a, eventSourceName: s, eventName: a, filters: {data: [{path: ok, type: bool, value: [true]}]}}
- {name: b, eventSourceName: s, eventName: b}
triggers:
- {template: {name: both, conditions: a && b, conditionsReset: [{byTime: {cron: "0 0 * * *"}}]}}
- {template: {name: one, conditions: b}}`), Options{})
	var arrivals []Arrival
	for i, e := range []struct{ name, data string }{
		{"a", `{"ok":false}`}, {"a", `{"ok":true}`}, {"c", `{}`}, {"b", `{}`}, {"a", `{"ok":true}`}, {"b", `{}`},
	} {
		event := eventOf(fmt.Sprint(i), e.data)
		event.Arrived = time.Date(2026, 1, 1, i*5, 0, 0, 0, time.UTC)
		arrivals = append(arrivals, Arrival{EventSource: "s", EventName: e.name, Event: event})
	}
	asked := 0
	steps := p.Simulate(arrivals, func() func() bool { asked++; return func() bool { return false } })
	if asked != len(arrivals) || len(steps) != len(arrivals) {
		t.Fatalf("%d steps", len(steps))
	}
	var got []string
	for _, s := range steps {
		got = append(got, fmt.Sprintf("%v/%d/%d/%v", s.Matched, len(s.Rejected), len(s.Firings), s.Waiting))
	}
	// The last a came at 20:00, the last b at 01:00 of the next day, after the reset.
	want := []string{
		"[]/1/0/map[]", "[a]/0/0/map[0:[a]]", "[]/0/0/map[]", "[b]/0/2/map[]", "[a]/0/0/map[0:[a]]",
		"[b]/0/1/map[0:[b]]",
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("step %d: got %s, want %s", i, got[i], want[i])
		}
	}
	if steps[0].Rejected[0].Filter != "data" || steps[2].Relevant() || !steps[0].Relevant() {
		t.Errorf("%+v", steps[:3])
	}
}

func TestSimulateWithoutAlarm(t *testing.T) {
	p := Compile(
		specOf(t, `{dependencies: [{name: a, eventSourceName: s, eventName: "*"}], triggers: [{template: {name: t}}]}`),
		Options{},
	)
	if s := p.Simulate(
		[]Arrival{{EventSource: "s", EventName: "x", Event: eventOf("1", "{}")}}, nil,
	); len(s[0].Firings) != 1 {
		t.Errorf("%+v", s)
	}
}

func TestEventsShowTheirContext(t *testing.T) {
	e := eventOf("1", `{"a":1}`)
	if got := string(
		e.Whole(),
	); got != `{"context":{"datacontenttype":"application/json","id":"1","source":"github","specversion":"1.0","subject":"hook","time":"1970-01-01T00:00:00Z","type":"github"},"data":"eyJhIjoxfQ=="}` {
		t.Error(got)
	}
}

func FuzzEvaluate(f *testing.F) {
	f.Add("body.ref", "x", "a && b", "a > 1", "type = 'x'", `{"body":{"ref":"x"}}`)
	f.Add("#.x", "(a+)+", "(a||b", "a =~ '('", "1/0", `[{"x":1}]`)
	f.Fuzz(func(_ *testing.T, path, value, conditions, expr, sql, data string) {
		for _, filters := range []*v1alpha1.EventDependencyFilter{
			{
				Data: []v1alpha1.DataFilter{
					{Path: path, Type: "string", Value: []v1alpha1.AnyString{v1alpha1.AnyString(value)}},
				},
			},
			{Exprs: []v1alpha1.ExprFilter{{Expr: expr, Fields: []v1alpha1.PayloadField{{Name: "a", Path: path}}}}},
			{CloudEvents: []v1alpha1.CloudEventsFilter{{SQL: sql}}},
			{Time: &v1alpha1.TimeFilter{Start: path, Stop: value, Timezone: expr}},
		} {
			p := Compile(&v1alpha1.SensorSpec{
				Dependencies: []v1alpha1.EventDependency{
					{Name: "a", EventSourceName: "s", EventName: "e", Filters: filters},
					{Name: "b", EventSourceName: value, EventName: path},
				},
				Triggers: []v1alpha1.Trigger{
					{Template: &v1alpha1.TriggerTemplate{Name: "t", Conditions: conditions}},
				},
			}, Options{})
			p.Evaluate(World{EventSource: "s", EventName: "e", Event: eventOf("1", data)})
		}
	})
}
