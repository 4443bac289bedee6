package flow_test

import (
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

func env() map[string]any {
	return map[string]any{
		"about": map[string]any{"failed": int64(2), "none": nil, "at": time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), "labels": map[string]any{"a.b/c": "x", "plain": "y-z"}},
		"now":   func() time.Time { return time.Date(2026, 1, 1, 1, 0, 0, 0, time.UTC) },
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
		if got, err := flow.When(condition, env()); err != nil || got != want {
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
		if _, err := flow.When(condition, env()); err == nil || !strings.Contains(err.Error(), says) {
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
		got, err := flow.Evaluate(source, env())
		if err != nil || flow.ResultText(got) != want {
			t.Errorf("%q: %s %v", source, flow.ResultText(got), err)
		}
	}
	for _, bad := range []string{"1 +", "sprig.env('HOME')", "about.failed.x.y()", strings.Repeat("1+", 20_000) + "1"} {
		if got, err := flow.Evaluate(bad, nil); err == nil {
			t.Errorf("%.20q: %v", bad, got)
		}
	}
	if yes, err := flow.Holds("about.failed == 2", env()); !yes || err != nil {
		t.Errorf("%v %v", yes, err)
	}
	if _, err := flow.Holds("about.failed", env()); err == nil {
		t.Error("a number is taken for an answer")
	}
}

func waiting() flow.Run {
	return flow.Run{Phase: v1alpha1.WorkflowRunning, Nodes: map[string]v1alpha1.NodeStatus{
		"w": {ID: "w", Name: "wf.w", Type: v1alpha1.NodeTypeSuspend, Phase: v1alpha1.NodeRunning, Outputs: &v1alpha1.Outputs{Parameters: []v1alpha1.Parameter{{Name: "p"}}}},
		"v": {ID: "v", Name: "wf.v", Type: v1alpha1.NodeTypeSuspend, Phase: v1alpha1.NodeRunning},
		"d": {ID: "d", Name: "wf.d", Type: v1alpha1.NodeTypeSuspend, Phase: v1alpha1.NodeSucceeded},
	}}
}

func TestNodesAreSet(t *testing.T) {
	only := func(name string) func(v1alpha1.NodeStatus) bool {
		return func(n v1alpha1.NodeStatus) bool { return n.Name == name }
	}
	changed, err := flow.Set(waiting(), only("wf.w"), map[string]string{"p": "1"}, "", "seen")
	if err != nil || len(changed) != 1 || changed[0].Message != "seen" || changed[0].Phase != v1alpha1.NodeRunning || changed[0].Outputs.Parameters[0].Value.String() != "1" {
		t.Errorf("%+v %v", changed, err)
	}
	changed, err = flow.Set(waiting(), func(v1alpha1.NodeStatus) bool { return true }, nil, v1alpha1.NodeFailed, "")
	if err != nil || len(changed) != 2 || changed[0].Name != "wf.v" || changed[1].Phase != v1alpha1.NodeFailed {
		t.Errorf("%+v %v", changed, err)
	}
	for name, outputs := range map[string]map[string]string{"wf.w": {"ghost": "1"}, "wf.v": {"p": "1"}, "wf.d": nil} {
		if changed, err := flow.Set(waiting(), only(name), outputs, "", ""); err == nil {
			t.Errorf("%s: %+v", name, changed)
		}
	}
}

func TestOnlyWhatEndedIsRetried(t *testing.T) {
	for _, phase := range []v1alpha1.WorkflowPhase{"", v1alpha1.WorkflowRunning, v1alpha1.WorkflowSucceeded} {
		run := waiting()
		run.Phase = phase
		if again, err := flow.Retry(flow.World{Name: "wf", Run: run}, false, nil); err == nil {
			t.Errorf("%s: %+v", phase, again)
		}
	}
}
