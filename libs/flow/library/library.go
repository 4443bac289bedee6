// Package library finds templates: those of the workflow itself, and those of the objects that a templateRef names.
package library

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/exactjson"
	"github.com/argosy-mesh/argosy/libs/flow/work"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// Ref is where a template's neighbours are looked up: the workflow itself, or the object that a templateRef named.
// Source: Argo Workflows, TemplateContext.
type Ref struct {
	Name    string // empty: the workflow
	Cluster bool
}

// Text is the library as status.nodes shows it.
func (l Ref) Text(workflow string) string {
	switch {
	case l.Name == "":
		return "local/" + workflow
	case l.Cluster:
		return "cluster/" + l.Name
	}
	return "namespaced/" + l.Name
}

// Of is the library that status.nodes shows so.
func Of(scope string) Ref {
	kind, name, _ := strings.Cut(scope, "/")
	switch kind {
	case "cluster":
		return Ref{Name: name, Cluster: true}
	case "namespaced":
		return Ref{Name: name}
	}
	return Ref{}
}

// Templates are those of libraries that were read.
type Templates map[Ref][]v1alpha1.Template

// Load finds the template of a name in a library. The workflow's own are in its spec; those of others are found by
// find.
func (ts Templates) Load(spec v1alpha1.WorkflowSpec, from Ref, name string,
	find func(flow.Lookup) (json.RawMessage, error)) (v1alpha1.Template, error) {
	all, err := ts.of(spec, from, find)
	if err != nil {
		return v1alpha1.Template{}, err
	}
	for i := range all {
		if all[i].Name == name && name != "" {
			return WithDefaults(all[i], spec.TemplateDefaults), nil
		}
	}
	if from.Name == "" {
		return v1alpha1.Template{}, fmt.Errorf("no template is named %q", name)
	}
	return v1alpha1.Template{}, fmt.Errorf("%s has no template %q", from.Text(""), name)
}

func (ts Templates) of(spec v1alpha1.WorkflowSpec, l Ref,
	find func(flow.Lookup) (json.RawMessage, error)) ([]v1alpha1.Template, error) {
	if l.Name == "" {
		return spec.Templates, nil
	}
	if known, ok := ts[l]; ok {
		return known, nil
	}
	kind := flow.LookupTemplate
	if l.Cluster {
		kind = flow.LookupClusterTemplate
	}
	raw, err := find(flow.Lookup{Kind: kind, Name: l.Name})
	if err != nil {
		return nil, err
	}
	var other v1alpha1.WorkflowSpec
	if err := json.Unmarshal(raw, &other); err != nil {
		return nil, fmt.Errorf("%s %q: %w", kind, l.Name, err)
	}
	ts[l] = other.Templates
	return other.Templates, nil
}

// WithDefaults puts spec.templateDefaults under a template. Source: Argo Workflows merges them under every template,
// but for the kinds of work that the template does not do.
func WithDefaults(t v1alpha1.Template, defaults *v1alpha1.Template) v1alpha1.Template {
	if defaults == nil {
		return t
	}
	under := defaults.DeepCopy()
	work.ClearDefaults(under, &t)
	merged, err := mergeUnder(under, &t)
	if err != nil {
		return t
	}
	return *merged
}

// mergeUnder fills what over leaves open with what under says: objects field by field, lists and values whole.
func mergeUnder[T any](under, over *T) (*T, error) {
	var low, high map[string]any
	for v, into := range map[*T]*map[string]any{under: &low, over: &high} {
		text, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		value, err := exactjson.Decode(text)
		if err != nil {
			return nil, err
		}
		*into, _ = value.(map[string]any)
	}
	text, err := json.Marshal(mergeJSON(low, high))
	if err != nil {
		return nil, err
	}
	out := new(T)
	return out, json.Unmarshal(text, out)
}

func mergeJSON(low, high map[string]any) map[string]any {
	for key, value := range high {
		below, nested := low[key].(map[string]any)
		above, too := value.(map[string]any)
		if nested && too {
			low[key] = mergeJSON(below, above)
			continue
		}
		low[key] = value
	}
	return low
}

// MergeSpec is the spec of a workflow that runs a template: what the workflow says wins over the template.
// Parameters and artifacts of arguments are taken one by one. Source: Argo Workflows, JoinWorkflowSpec.
func MergeSpec(workflow, template v1alpha1.WorkflowSpec) (v1alpha1.WorkflowSpec, error) {
	merged, err := mergeUnder(&template, &workflow)
	if err != nil {
		return workflow, fmt.Errorf("merge workflowTemplateRef: %w", err)
	}
	if template.Arguments != nil && workflow.Arguments != nil {
		merged.Arguments = joinArguments(*workflow.Arguments, *template.Arguments)
	}
	merged.Templates = template.Templates
	return *merged, nil
}

func joinArguments(over, under v1alpha1.Arguments) *v1alpha1.Arguments {
	out := over.DeepCopy()
	for _, p := range under.Parameters {
		if !has(out.Parameters, p.Name, func(x v1alpha1.Parameter) string { return x.Name }) {
			out.Parameters = append(out.Parameters, p)
		}
	}
	for _, a := range under.Artifacts {
		if !has(out.Artifacts, a.Name, func(x v1alpha1.Artifact) string { return x.Name }) {
			out.Artifacts = append(out.Artifacts, a)
		}
	}
	return out
}

func has[T any](list []T, name string, of func(T) string) bool {
	for _, x := range list {
		if of(x) == name {
			return true
		}
	}
	return false
}
