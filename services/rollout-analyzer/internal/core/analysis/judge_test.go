package analysis

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		success, failure string
		result           any
		want             v1alpha1.AnalysisPhase
	}{
		{"", "", 1.0, v1alpha1.AnalysisSuccessful},
		{"result > 0.9", "", 0.95, v1alpha1.AnalysisSuccessful},
		{"result > 0.9", "", 0.5, v1alpha1.AnalysisFailed},
		{"", "result > 3", 5.0, v1alpha1.AnalysisFailed},
		{"", "result > 3", 1.0, v1alpha1.AnalysisSuccessful},
		{"result < 1", "result > 3", 2.0, v1alpha1.AnalysisInconclusive},
		{"result > 1", "result > 3", 5.0, v1alpha1.AnalysisFailed},
		{"result[0] >= 0.99", "", []float64{0.999}, v1alpha1.AnalysisSuccessful},
		{"result[0] >= 0.99", "", []float64{}, v1alpha1.AnalysisError},
		{"all(result, # > 1)", "", []float64{2, 3}, v1alpha1.AnalysisSuccessful},
		{"len(result) == 0 || result[0] > 1", "", []float64{}, v1alpha1.AnalysisSuccessful},
		{"isNaN(result)", "", math.NaN(), v1alpha1.AnalysisSuccessful},
		{"isInf(result)", "", math.Inf(1), v1alpha1.AnalysisSuccessful},
		{"isNaN(result[0])", "", []float64{math.NaN()}, v1alpha1.AnalysisSuccessful},
		{"!isNaN(len(result))", "", []float64{}, v1alpha1.AnalysisSuccessful},
		{"isNaN(result)", "", []float64{math.NaN()}, v1alpha1.AnalysisError},
		{"!isNaN(result)", "", map[string]any{}, v1alpha1.AnalysisError},
		{"!isInf(result)", "", nil, v1alpha1.AnalysisError},
		{"!isInf(result)", "", "1", v1alpha1.AnalysisError},
		{"isNil(result)", "", nil, v1alpha1.AnalysisSuccessful},
		{"isNil(result)", "", []float64{}, v1alpha1.AnalysisFailed},
		{"default(result, 7) == 7", "", nil, v1alpha1.AnalysisSuccessful},
		{"default(result, 7) == 1", "", 1.0, v1alpha1.AnalysisSuccessful},
		// As upstream: both look at the whole result.
		{"isNil(result.gone)", "", map[string]any{"ok": true}, v1alpha1.AnalysisFailed},
		{"default(result.gone, 0) == 0", "", map[string]any{"ok": true}, v1alpha1.AnalysisFailed},
		{"(result?.gone ?? 0) == 0", "", map[string]any{"ok": true}, v1alpha1.AnalysisSuccessful},
		{"asInt(result) == 3", "", "3", v1alpha1.AnalysisSuccessful},
		{"asInt(result) == 3", "", 3.9, v1alpha1.AnalysisSuccessful},
		{"asInt(result) < 1", "", "0.5", v1alpha1.AnalysisError},
		{"asInt(result) < 1", "", math.NaN(), v1alpha1.AnalysisError},
		{"asFloat(result) > 1", "", "1.5", v1alpha1.AnalysisSuccessful},
		{"asFloat(result) > 1", "", "many", v1alpha1.AnalysisError},
		{"asFloat(result) > 1", "", []float64{2}, v1alpha1.AnalysisError},
		{"result.ok", "", map[string]any{"ok": true}, v1alpha1.AnalysisSuccessful},
		{"result.count", "", map[string]any{"count": 3.0}, v1alpha1.AnalysisError},
		{"result ==", "", 1.0, v1alpha1.AnalysisError},
		{"result == \"up\"", "", "up", v1alpha1.AnalysisSuccessful},
		{"mean(result) == 2", "", []float64{1, 3}, v1alpha1.AnalysisSuccessful},
		{"now().Year() == 2026", "", 1.0, v1alpha1.AnalysisSuccessful},
		{"result > 1", "", nil, v1alpha1.AnalysisError},
	} {
		m := v1alpha1.Metric{SuccessCondition: c.success, FailureCondition: c.failure}
		got, err := Judge(m, c.result, t0)
		if got != c.want || (err != nil) != (c.want == v1alpha1.AnalysisError) {
			t.Errorf("%q / %q on %v: got %s, %v; want %s", c.success, c.failure, c.result, got, err, c.want)
		}
	}
}

func TestConditionsAreBounded(t *testing.T) {
	many := make([]float64, 100_000)
	for _, condition := range []string{
		"all(result, all(result, all(result, # == 0)))",
		strings.Repeat(" ", maxSource) + "true",
		"true" + strings.Repeat(" && true", maxNodes),
		`len(repeat("0123456789", 1000000000)) > 0`,
		`len(map(1..100000, string(result))) > 0`,
		`len(flatten(map(1..100000, result))) > 0`,
	} {
		_, err := Judge(v1alpha1.Metric{SuccessCondition: condition}, many, t0)
		if err == nil {
			t.Errorf("%.60q: taken", condition)
		}
	}
	_, err := Judge(v1alpha1.Metric{SuccessCondition: "all(result, all(result, # == 0))"}, many, t0)
	if !errors.Is(err, ErrBudget) {
		t.Errorf("loops: %v", err)
	}
}

func FuzzJudge(f *testing.F) {
	for _, seed := range []string{
		"result[0] > 1", "isNaN(result)", "default(result, 1) == 1", "all(result, # > 0.5)", `result == "x"`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, condition string) {
		for _, result := range []any{1.0, []float64{1}, nil, "x", map[string]any{"a": 1.0}} {
			phase, err := Judge(v1alpha1.Metric{SuccessCondition: condition}, result, time.Unix(0, 0))
			if !phase.Completed() || (err != nil) != (phase == v1alpha1.AnalysisError) {
				t.Fatalf("%q on %v: %q, %v", condition, result, phase, err)
			}
		}
	})
}
