package pods

import (
	"strings"
	"sync"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
)

// resultWanted reports whether anyone refers to the standard output of the node's
// step: capturing it costs the executor. Source: Argo Workflows captures only
// what is referenced.
func (p *Pods) resultWanted(a flow.CreatePod) bool {
	text := p.specs.of(a.Spec)
	if a.Template.Script != nil && a.Template.Outputs == nil && !strings.Contains(text, ".outputs.result") {
		return false
	}
	step := stepName(a.NodeName)
	return strings.Contains(text, "steps."+step+".outputs.result") ||
		strings.Contains(text, "tasks."+step+".outputs.result") ||
		strings.Contains(text, "steps['"+step+"'].outputs.result") ||
		strings.Contains(text, "tasks['"+step+"'].outputs.result")
}

// textsKept bounds the specs whose texts are kept: those of runs that make pods now.
const textsKept = 16

// specTexts are the texts of the specs of runs: encoding one for each of its pods would grow with the square of a run.
type specTexts struct {
	mu   sync.Mutex
	kept []specText // the last one first
}

// specText is known by the templates of a run, which all its pods share.
type specText struct {
	templates *v1alpha1.Template
	text      string
}

func (s *specTexts) of(spec *v1alpha1.WorkflowSpec) string {
	if len(spec.Templates) == 0 {
		return string(object.JSON(spec))
	}
	key := &spec.Templates[0]
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.kept {
		if t.templates == key {
			return t.text
		}
	}
	found := specText{templates: key, text: string(object.JSON(spec))}
	s.kept = append([]specText{found}, s.kept[:min(len(s.kept), textsKept-1)]...)
	return found.text
}
