package workflowtest

import (
	"encoding/json"
	"fmt"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// show writes what the work of a node is made of, when the script asks to see that: the template with every tag
// resolved, and of a pod what it gets of the workflow's spec.
func (p *play) show(node string, t v1alpha1.Template, spec *v1alpha1.WorkflowSpec) {
	if !p.shown[node] {
		return
	}
	fmt.Fprintf(&p.log, "  template %s\n", jsonOf(t))
	if spec == nil {
		return
	}
	rest := *spec
	rest.Templates, rest.TemplateDefaults, rest.Entrypoint, rest.Arguments = nil, nil, "", nil
	fmt.Fprintf(&p.log, "  spec %s\n", jsonOf(rest))
}

func jsonOf(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

// locked writes that a lock was granted.
func (p *play) locked(l flow.Lock, a flow.Acquire) {
	fmt.Fprintf(&p.log, "lock %s for %s", l.Name, p.w.Run.Nodes[a.Holder].Name)
	if a.Priority != 0 {
		fmt.Fprintf(&p.log, " with priority %d", a.Priority)
	}
	p.log.WriteByte('\n')
}
