package state

import (
	"github.com/argosy-mesh/argosy/libs/flow/library"
	"github.com/argosy-mesh/argosy/libs/flow/scope"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// Call is one invocation of a template: a node to be.
type Call struct {
	Name     string // of the node
	Display  string
	Template string
	Ref      *v1alpha1.TemplateRef
	Library  library.Ref // of the caller: where template is looked up
	Inline   *v1alpha1.Template
	Args     v1alpha1.Arguments // substituted with the caller's values
	// artifacts that args name and that are not there, with the reason; "": they are optional
	Missing  map[string]string
	Caller   *scope.Scope // of the template that calls; nil: the workflow
	Boundary string       // id of the enclosing steps or dag node
	Attempt  bool         // one try of a Retry node
	Hooked   bool         // a hook or an exit handler
	Retry    int
	Extra    map[string]string // further values: retries, lastRetry
}

// RefTemplate is the template that a reference names, "" without one.
func RefTemplate(ref *v1alpha1.TemplateRef) string {
	if ref == nil {
		return ""
	}
	return ref.Template
}

// Load finds the template of a call, and the library that its own calls are looked up in.
func (s *State) Load(c Call) (v1alpha1.Template, library.Ref, error) {
	if c.Inline != nil {
		return library.WithDefaults(*c.Inline, s.World.Spec.TemplateDefaults), c.Library, nil
	}
	from, name := c.Library, c.Template
	if c.Ref != nil {
		from, name = library.Ref{Name: c.Ref.Name, Cluster: c.Ref.ClusterScope}, c.Ref.Template
	}
	t, err := s.templates.Load(s.World.Spec, from, name, s.Find)
	return t, from, err
}
