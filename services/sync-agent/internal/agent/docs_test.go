package agent

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/project"
	"sigs.k8s.io/yaml"
)

var example = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// documents are those of all examples of a page.
func documents(page string) (out []string) {
	for _, block := range example.FindAllStringSubmatch(page, -1) {
		out = append(out, strings.Split(block[1], "\n---\n")...)
	}
	return out
}

// What the pages about Applications and projects show is taken without a warning.
func TestExamplesOfTheDocs(t *testing.T) {
	seen := map[string]int{}
	for _, page := range []string{"application.md", "project.md", "clusters.md", "hydrator.md"} {
		text, err := os.ReadFile("../../../../docs/" + page)
		if err != nil {
			t.Fatal(err)
		}
		for _, document := range documents(string(text)) {
			var o map[string]any
			if err := yaml.Unmarshal([]byte(document), &o); err != nil {
				t.Fatalf("%s: %v", page, err)
			}
			kind, _ := o["kind"].(string)
			seen[kind]++
			var warnings []v1alpha1.FieldWarning
			switch kind {
			case "Application":
				_, warnings, err = v1alpha1.DecodeTolerant[v1alpha1.Application](o)
			case "AppProject":
				var p *v1alpha1.AppProject
				if p, warnings, err = v1alpha1.DecodeTolerant[v1alpha1.AppProject](o); err == nil {
					if _, problems := project.New("p", p.Spec); len(problems) > 0 {
						t.Errorf("%s: %v", page, problems)
					}
				}
			}
			if err != nil || len(warnings) > 0 {
				t.Errorf("%s: %s: %v %v", page, kind, err, warnings)
			}
		}
	}
	if seen["Application"] < 1 || seen["AppProject"] < 2 {
		t.Errorf("examples: %v", seen)
	}
}
