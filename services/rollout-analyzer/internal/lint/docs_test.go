package lint

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core"
	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/router"
)

func guide(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../../../docs/rollout.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The examples of docs/rollout.md have nothing wrong, and all that they name beside them.
func TestExamplesOfTheDocs(t *testing.T) {
	rollouts := 0
	for i, block := range strings.Split(guide(t), "```yaml\n") {
		block, _, fenced := strings.Cut(block, "```")
		if i == 0 || !fenced {
			continue
		}
		for _, f := range Check("docs/rollout.md", []byte(block)) {
			t.Errorf("%s %s: %s: %s", f.Kind, f.Name, f.Field, f.Reason)
		}
		objects, err := split([]byte(block))
		if err != nil {
			t.Fatal(err)
		}
		there := map[string]bool{}
		for _, o := range objects {
			there[o.GetKind()+"/"+o.GetName()] = true
		}
		for _, o := range objects {
			if o.GetKind() != "Rollout" {
				continue
			}
			rollouts++
			ro, _, err := v1alpha1.DecodeTolerant[v1alpha1.Rollout](o.Object)
			if err != nil {
				t.Errorf("%s: %v", o.GetName(), err)
			}
			var wants []string
			for _, name := range core.ServiceNames(ro) {
				wants = append(wants, "Service/"+name)
			}
			for _, refs := range router.Read(ro).Refs {
				for _, ref := range refs {
					wants = append(wants, ref.Kind+"/"+ref.Name)
				}
			}
			for _, want := range wants {
				if !there[want] {
					t.Errorf("%s is named and not shown", want)
				}
			}
		}
	}
	if rollouts < 2 {
		t.Errorf("%d examples of Rollouts", rollouts)
	}
}

// The merge patches of docs/rollout.md set fields that there are.
func TestPatchesOfTheDocs(t *testing.T) {
	found := regexp.MustCompile(`--type=merge -p '([^']*)'`).FindAllStringSubmatch(guide(t), -1)
	for _, m := range found {
		var tree map[string]any
		if err := json.Unmarshal([]byte(m[1]), &tree); err != nil {
			t.Errorf("%s: %v", m[1], err)
			continue
		}
		_, warnings, err := v1alpha1.DecodeTolerant[v1alpha1.Rollout](tree)
		if err != nil || len(warnings) > 0 {
			t.Errorf("%s: %v %v", m[1], warnings, err)
		}
	}
	if len(found) < 6 {
		t.Errorf("%d patches", len(found))
	}
}
