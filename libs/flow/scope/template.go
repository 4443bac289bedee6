package scope

import "github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"

// FillTemplate resolves all tags of a template that is about to do its work. The source of a script may have braces of
// its own: a {{item}} in it is one of the languages that have such loops.
func (s Scope) FillTemplate(t *v1alpha1.Template) error {
	var script *v1alpha1.ScriptTemplate
	source := ""
	if t.Script != nil {
		script, source = t.Script.DeepCopy(), t.Script.Source
		script.Source = ""
		t.Script = script
	}
	if err := Substitute(t, s.As(FinalTags)); err != nil {
		return err
	}
	if script == nil {
		return nil
	}
	resolved, err := s.As(codeTags).Text(source)
	t.Script.Source = resolved
	return err
}

// Inlined is a template that stands in a step or task: it sees what that sees, but where it has inputs of the same
// name. Source: Argo Workflows.
func (s Scope) Inlined(t v1alpha1.Template) (*v1alpha1.Template, error) {
	outside := s.As(LooseTags)
	outside.hidden = map[string]bool{"inputs.parameters": true, "node.name": true}
	if t.Inputs != nil {
		for _, p := range t.Inputs.Parameters {
			outside.hidden["inputs.parameters."+p.Name] = true
		}
		for _, a := range t.Inputs.Artifacts {
			outside.hidden["inputs.artifacts."+a.Name+".path"] = true
		}
	}
	return &t, Substitute(&t, outside)
}

// OfPod adds what a pod knows: its own name, and where it leaves its outputs.
func (s Scope) OfPod(t v1alpha1.Template, pod string) Scope {
	sc := s.With(map[string]string{"pod.name": pod})
	if t.Outputs == nil {
		return sc
	}
	known := sc.As(LooseTags)
	path := func(name, text string) {
		if resolved, err := known.Text(text); err == nil {
			sc.values[name+".path"] = resolved
		}
	}
	for _, p := range t.Outputs.Parameters {
		if p.ValueFrom != nil && p.ValueFrom.Path != "" {
			path("outputs.parameters."+p.Name, p.ValueFrom.Path)
		}
	}
	for _, a := range t.Outputs.Artifacts {
		path("outputs.artifacts."+a.Name, a.Path)
	}
	return sc
}
