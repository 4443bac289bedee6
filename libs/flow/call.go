package flow

import (
	"github.com/argosy-mesh/argosy/libs/flow/scope"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// call is one invocation of a template: a node to be.
type call struct {
	name     string // of the node
	display  string
	template string
	ref      *v1alpha1.TemplateRef
	library  library // of the caller: where template is looked up
	inline   *v1alpha1.Template
	args     v1alpha1.Arguments // substituted with the caller's values
	missing  map[string]string  // artifacts that args name and that are not there, with the reason; "": they are optional
	caller   *scope.Scope       // of the template that calls; nil: the workflow
	boundary string             // id of the enclosing steps or dag node
	attempt  bool               // one try of a Retry node
	hooked   bool               // a hook or an exit handler
	retry    int
	extra    map[string]string // further values: retries, lastRetry
}

// refTemplate is the template that a reference names, "" without one.
func refTemplate(ref *v1alpha1.TemplateRef) string {
	if ref == nil {
		return ""
	}
	return ref.Template
}

// load finds the template of a call, and the library that its own calls are looked up in.
func (s *state) load(c call) (v1alpha1.Template, library, error) {
	if c.inline != nil {
		return withDefaults(*c.inline, s.w.Spec.TemplateDefaults), c.library, nil
	}
	from, name := c.library, c.template
	if c.ref != nil {
		from, name = library{name: c.ref.Name, cluster: c.ref.ClusterScope}, c.ref.Template
	}
	t, err := s.templates.load(s.w.Spec, from, name, s.find)
	return t, from, err
}
