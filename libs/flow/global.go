package flow

import (
	"maps"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/libs/flow/tag"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// publishGlobals makes the outputs that nodes have published for the whole workflow known again.
func (k *engine) publishGlobals() {
	ids := slices.Collect(maps.Keys(k.writers))
	slices.SortFunc(ids, func(a, b string) int {
		// The last writer wins; the name decides between equals.
		x, y := k.nodes[a], k.nodes[b]
		if x.FinishedAt != nil && y.FinishedAt != nil && !x.FinishedAt.Equal(y.FinishedAt) {
			return x.FinishedAt.Compare(y.FinishedAt.Time)
		}
		return compareText(x.Name, y.Name)
	})
	for _, id := range ids {
		k.publishGlobal(k.nodes[id])
	}
}

// publishGlobal makes the outputs of a node with a globalName known everywhere.
func (k *engine) publishGlobal(n v1alpha1.NodeStatus) {
	if n.Outputs == nil || !n.Phase.Fulfilled() || k.globals.values == nil {
		return
	}
	for _, p := range n.Outputs.Parameters {
		if p.GlobalName != "" && p.Value != nil {
			k.globals.values["workflow.outputs.parameters."+p.GlobalName] = p.Value.String()
			k.published.Parameters = replaceNamed(k.published.Parameters, v1alpha1.Parameter{Name: p.GlobalName, Value: p.Value}, func(x v1alpha1.Parameter) string { return x.Name })
		}
	}
	for _, a := range n.Outputs.Artifacts {
		if a.GlobalName != "" {
			k.globals.artifacts["workflow.outputs.artifacts."+a.GlobalName] = a
			named := a
			named.Name, named.GlobalName = a.GlobalName, ""
			k.published.Artifacts = replaceNamed(k.published.Artifacts, named, func(x v1alpha1.Artifact) string { return x.Name })
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

// globalOutputs are the outputs of the run.
func (k *engine) globalOutputs() *v1alpha1.Outputs {
	if k.published.Parameters == nil && k.published.Artifacts == nil {
		return nil
	}
	return &k.published
}

// outputDefaults are the outputs of a node that does not run: those that have a default.
func (k *engine) outputDefaults(c call) *v1alpha1.Outputs {
	t, _, err := k.load(c)
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
		value, err := k.globals.as(looseTags).text(p.ValueFrom.Default.String())
		if err != nil || strings.Contains(value, "{{inputs.") {
			continue // what does not run has no inputs
		}
		out.Parameters = append(out.Parameters, v1alpha1.Parameter{Name: p.Name, Value: v1alpha1.AnyStringPtr(value)})
	}
	return out
}

// dropAbsent takes away arguments that are nothing but the output of a unit that did not run: the input's own default
// then counts.
func (s scope) dropAbsent(args *v1alpha1.Arguments) {
	if args == nil {
		return
	}
	for i, p := range args.Parameters {
		if p.Value == nil {
			continue
		}
		name := tag.Name(p.Value.String())
		if _, known := s.value(name); !known && p.Value.String() != name && s.skipped(name) {
			args.Parameters[i].Value = nil
		}
	}
}
