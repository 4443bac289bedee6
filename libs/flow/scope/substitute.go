package scope

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/argosy-mesh/argosy/libs/flow/exactjson"
	"github.com/argosy-mesh/argosy/libs/flow/tag"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// Substitute replaces the tags in every string of v, which must be a pointer, by
// way of its JSON text.
func Substitute[T any](v *T, s Scope) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode for substitution: %w", err)
	}
	if !bytes.Contains(text, []byte("{{")) {
		return nil
	}
	replaced, err := s.replace(string(text), exactjson.Escape)
	if err != nil {
		return err
	}
	var out T
	if err := json.Unmarshal([]byte(replaced), &out); err != nil {
		return fmt.Errorf("after substitution: %w", err)
	}
	*v = out
	return nil
}

// Text replaces the tags in a plain string.
func (s Scope) Text(in string) (string, error) {
	return s.replace(in, func(v string) string { return v })
}

func (s Scope) replace(in string, escape func(string) string) (string, error) {
	return tag.Replace(in, func(tag string) (string, bool, error) {
		value, found, err := s.resolve(tag)
		return escape(value), found, err
	})
}

func (s Scope) resolve(tag string) (string, bool, error) {
	if source, ok := strings.CutPrefix(strings.TrimSpace(tag), "="); ok {
		value, found, err := s.expression(exactjson.Unescape(source))
		if err != nil && s.mode == LooseTags {
			return "", false, nil
		}
		return value, found, err
	}
	name := strings.TrimSpace(tag)
	if value, ok := s.Value(name); ok {
		return value, true, nil
	}
	if s.mode == LooseTags {
		return "", false, nil
	}
	if name == "item" || strings.HasPrefix(name, "item.") {
		return "", false, s.itemError(name)
	}
	for _, prefix := range strict {
		if strings.HasPrefix(name, prefix) {
			if _, artifact := s.Artifact(name); artifact {
				return "", false, nil
			}
			if s.skipped(name) {
				return "", false, fmt.Errorf("{{%s}} has no value: what it names did not run and has no default", name)
			}
			return "", false, fmt.Errorf("{{%s}} has no value here", name)
		}
	}
	return "", false, nil
}

// itemError says why a tag of a loop has no value, nil when it may get one later.
func (s Scope) itemError(name string) error {
	switch {
	case s.knows("item"):
		return fmt.Errorf("{{%s}} names no field of the item; of what lies deeper {{=jsonpath(item.FIELD, '$.deeper')}} gives the value", name)
	case s.mode == FinalTags, s.mode == codeTags && name != "item":
		return fmt.Errorf("{{%s}} has no value here: the items of a loop are known to the step or task that loops; pass them on as arguments", name)
	}
	return nil
}

// strict are the prefixes whose tags must resolve; others may be meant for the
// program in the pod and stay as they are.
var strict = []string{"inputs.", "steps.", "tasks.", "workflow.parameters."}

// ResolveSpec resolves the tags of a spec that name what is known everywhere; what has no value yet stays. Templates,
// arguments, hooks, metadata and metrics are resolved where they are used, with more or later values.
func (s Scope) ResolveSpec(spec v1alpha1.WorkflowSpec) (v1alpha1.WorkflowSpec, error) {
	own := spec
	own.Templates, own.TemplateDefaults, own.Arguments, own.Hooks, own.WorkflowMetadata, own.Metrics = nil, nil, nil,
		nil,
		nil, nil
	if !strings.Contains(exactjson.Text(own), "{{") {
		return spec, nil
	}
	if err := Substitute(&own, s.As(LooseTags)); err != nil {
		return spec, err
	}
	own.Templates, own.TemplateDefaults, own.Arguments, own.Hooks, own.WorkflowMetadata, own.Metrics = spec.Templates,
		spec.TemplateDefaults, spec.Arguments,
		spec.Hooks, spec.WorkflowMetadata, spec.Metrics
	return own, nil
}
