package metric

import (
	"os"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"sigs.k8s.io/yaml"
)

// The configurations that docs/analysis.md shows are taken.
func TestConfigurationsOfTheDocs(t *testing.T) {
	text, err := os.ReadFile("../../../../docs/analysis.md")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for i, block := range strings.Split(string(text), "```yaml\n") {
		block, _, fenced := strings.Cut(block, "```")
		for document := range strings.SplitSeq(block, "\n---\n") {
			var a v1alpha1.AnalysisTemplate
			if i == 0 || !fenced || yaml.Unmarshal([]byte(document), &a) != nil {
				continue
			}
			for _, m := range a.Spec.Metrics {
				if len(m.Provider.Plugin[SequentialKey]) == 0 {
					continue
				}
				if _, tests, err := sequentialOf(m); err != nil || len(tests) == 0 {
					t.Errorf("%s: %d tests, %v", a.Name, len(tests), err)
				}
				checked++
			}
		}
	}
	if checked < 2 {
		t.Errorf("%d configurations", checked)
	}
}
