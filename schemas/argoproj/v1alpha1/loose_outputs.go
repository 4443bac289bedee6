package v1alpha1

import (
	"bytes"
	"encoding/json"
	"slices"
)

// UnmarshalJSON gives outputs that a task or step names to the template that it calls.
func (s *WorkflowSpec) UnmarshalJSON(data []byte) error {
	type plain WorkflowSpec
	if err := json.Unmarshal(data, (*plain)(s)); err != nil {
		return err
	}
	if !bytes.Contains(data, []byte(`"outputs"`)) {
		return nil
	}
	var shape struct {
		Templates []callingTemplate `json:"templates"`
	}
	if err := json.Unmarshal(data, &shape); err != nil {
		return err
	}
	for _, t := range shape.Templates {
		for _, c := range t.calls() {
			s.adopt(c)
		}
	}
	return nil
}

func (WorkflowSpec) looseKeys() map[string]string { return nil }

// callingTemplate is a template of which only the calls matter.
type callingTemplate struct {
	DAG struct {
		Tasks []call `json:"tasks"`
	} `json:"dag"`
	Steps []callGroup `json:"steps"`
}

// call is a task or a step, with the outputs that the API does not know on it.
type call struct {
	Template string   `json:"template"`
	Outputs  *Outputs `json:"outputs"`
}

// callGroup is a group of steps, or the single step that may stand for it.
type callGroup []call

// UnmarshalJSON takes what ParallelSteps takes.
func (g *callGroup) UnmarshalJSON(data []byte) error {
	if data = bytes.TrimSpace(data); len(data) > 0 && data[0] == '{' {
		*g = make(callGroup, 1)
		return json.Unmarshal(data, &(*g)[0])
	}
	return json.Unmarshal(data, (*[]call)(g))
}

func (t callingTemplate) calls() []call {
	return append(slices.Clone(t.DAG.Tasks), slices.Concat(t.Steps...)...)
}

// adopt adds artifacts of a call to the template of that name. They are optional, for
// no other caller may expect them, and one that the template has itself stays as it is.
func (s *WorkflowSpec) adopt(c call) {
	at := slices.IndexFunc(s.Templates, func(t Template) bool { return t.Name == c.Template && c.Template != "" })
	if at < 0 || c.Outputs == nil {
		return
	}
	t := &s.Templates[at]
	for _, a := range c.Outputs.Artifacts {
		if t.Outputs == nil {
			t.Outputs = &Outputs{}
		}
		if a.Path == "" || slices.ContainsFunc(t.Outputs.Artifacts, func(b Artifact) bool { return b.Name == a.Name }) {
			continue
		}
		a.Optional = true
		t.Outputs.Artifacts = append(t.Outputs.Artifacts, a)
	}
}
