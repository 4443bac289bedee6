package analysis

import (
	"os"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"sigs.k8s.io/yaml"
)

// The examples of docs/analysis.md are manifests that work.
func TestExamplesOfTheDocs(t *testing.T) {
	text, err := os.ReadFile("../../../../../docs/analysis.md")
	if err != nil {
		t.Fatal(err)
	}
	templates := 0
	for i, block := range strings.Split(string(text), "```yaml\n") {
		block, _, fenced := strings.Cut(block, "```")
		if i == 0 || !fenced {
			continue
		}
		for document := range strings.SplitSeq(block, "\n---\n") {
			if !strings.Contains(document, "kind: AnalysisTemplate") {
				continue
			}
			var a v1alpha1.AnalysisTemplate
			if err := yaml.UnmarshalStrict([]byte(document), &a); err != nil {
				t.Errorf("%v in\n%s", err, document)
			}
			if found := LintTemplate(a.Spec); len(found) > 0 {
				t.Errorf("%s: %v", a.Name, found)
			}
			templates++
		}
	}
	if templates == 0 {
		t.Error("there are no examples")
	}
}
