package analysis

import (
	"math"
	"testing"

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
		{"isNil(result)", "", nil, v1alpha1.AnalysisSuccessful},
		{"default(result, 7) == 7", "", nil, v1alpha1.AnalysisSuccessful},
		{"asInt(result) == 3", "", "3", v1alpha1.AnalysisSuccessful},
		{"asFloat(result) > 1", "", "many", v1alpha1.AnalysisError},
		{"result.ok", "", map[string]any{"ok": true}, v1alpha1.AnalysisSuccessful},
		{"result.count", "", map[string]any{"count": 3.0}, v1alpha1.AnalysisError},
		{"result ==", "", 1.0, v1alpha1.AnalysisError},
		{"result == \"up\"", "", "up", v1alpha1.AnalysisSuccessful},
	} {
		got, err := Judge(v1alpha1.Metric{SuccessCondition: c.success, FailureCondition: c.failure}, c.result)
		if got != c.want || (err != nil) != (c.want == v1alpha1.AnalysisError) {
			t.Errorf("%q / %q on %v: got %s, %v; want %s", c.success, c.failure, c.result, got, err, c.want)
		}
	}
}
