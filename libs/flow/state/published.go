package state

import (
	"cmp"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/libs/flow/scope"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// PublishGlobals makes the outputs that nodes have published for the whole workflow known again.
func (s *State) PublishGlobals() {
	ids := s.Nodes.Writers()
	slices.SortFunc(ids, func(a, b string) int {
		// The last writer wins; the name decides between equals.
		x, y := s.Nodes.At(a), s.Nodes.At(b)
		if x.FinishedAt != nil && y.FinishedAt != nil && !x.FinishedAt.Equal(y.FinishedAt) {
			return x.FinishedAt.Compare(y.FinishedAt.Time)
		}
		return cmp.Compare(x.Name, y.Name)
	})
	for _, id := range ids {
		s.publishGlobal(s.Nodes.At(id))
	}
}

// publishGlobal makes the outputs of a node with a globalName known everywhere.
func (s *State) publishGlobal(n v1alpha1.NodeStatus) {
	if n.Outputs == nil || !n.Phase.Fulfilled() {
		return
	}
	for _, p := range n.Outputs.Parameters {
		if p.GlobalName != "" && p.Value != nil {
			s.Globals.Set("workflow.outputs.parameters."+p.GlobalName, p.Value.String())
			s.published.Parameters = replaceNamed(s.published.Parameters,
				v1alpha1.Parameter{Name: p.GlobalName, Value: p.Value},
				func(x v1alpha1.Parameter) string { return x.Name })
		}
	}
	for _, a := range n.Outputs.Artifacts {
		if a.GlobalName != "" {
			s.Globals.SetArtifact("workflow.outputs.artifacts."+a.GlobalName, a)
			named := a
			named.Name, named.GlobalName = a.GlobalName, ""
			s.published.Artifacts = replaceNamed(s.published.Artifacts, named,
				func(x v1alpha1.Artifact) string { return x.Name })
		}
	}
}

func replaceNamed[T any](list []T, x T, name func(T) string) []T {
	for i := range list {
		if name(list[i]) == name(x) {
			list[i] = x
			return list
		}
	}
	return append(list, x)
}

// GlobalOutputs are the outputs of the run.
func (s *State) GlobalOutputs() *v1alpha1.Outputs {
	if s.published.Parameters == nil && s.published.Artifacts == nil {
		return nil
	}
	return &s.published
}

// OutputDefaults are the outputs of a node that does not run: those that have a default.
func (s *State) OutputDefaults(c Call) *v1alpha1.Outputs {
	t, _, err := s.Load(c)
	if err != nil || t.Outputs == nil {
		return nil
	}
	var out *v1alpha1.Outputs
	for _, p := range t.Outputs.Parameters {
		if p.ValueFrom == nil || p.ValueFrom.Default == nil {
			continue
		}
		if out == nil {
			out = &v1alpha1.Outputs{}
		}
		value, err := s.Globals.As(scope.LooseTags).Text(p.ValueFrom.Default.String())
		if err != nil || strings.Contains(value, "{{inputs.") {
			continue // what does not run has no inputs
		}
		out.Parameters = append(out.Parameters, v1alpha1.Parameter{Name: p.Name, Value: v1alpha1.AnyStringPtr(value)})
	}
	return out
}

// OutputNames are the output parameters that the template of a call promises; none when it is only known by its item.
func (s *State) OutputNames(c Call) []string {
	t, _, err := s.Load(c)
	if err != nil || t.Outputs == nil {
		return nil
	}
	var names []string
	for _, p := range t.Outputs.Parameters {
		names = append(names, p.Name)
	}
	return names
}
