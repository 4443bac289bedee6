package scope

import (
	"fmt"
	"maps"
	"slices"

	"github.com/argosy-mesh/argosy/libs/flow/expression"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// Outputs resolves the outputs of a steps or dag template from what its children
// left behind.
func (s Scope) Outputs(declared *v1alpha1.Outputs) (*v1alpha1.Outputs, error) {
	if declared == nil {
		return nil, nil
	}
	out := &v1alpha1.Outputs{}
	for _, p := range declared.Parameters {
		value, err := s.outputParameter(p)
		if err != nil {
			return nil, err
		}
		global, err := s.Text(p.GlobalName)
		if err != nil {
			return nil, fmt.Errorf("output parameter %q: globalName: %w", p.Name, err)
		}
		out.Parameters = append(out.Parameters,
			v1alpha1.Parameter{Name: p.Name, GlobalName: global, Value: v1alpha1.AnyStringPtr(value)})
	}
	artifacts := declared.DeepCopy().Artifacts
	if err := SubstituteArtifacts(artifacts, s); err != nil {
		return nil, fmt.Errorf("output artifacts: %w", err)
	}
	artifacts, missing, err := s.Follow(artifacts)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(missing)) {
		if missing[name] != "" {
			return nil, fmt.Errorf("output artifact %q: %s", name, missing[name])
		}
	}
	out.Artifacts = artifacts
	return out, nil
}

func (s Scope) outputParameter(p v1alpha1.Parameter) (string, error) {
	if p.ValueFrom == nil {
		if value, ok := ParameterValue(p); ok {
			return s.Text(value)
		}
		return "", fmt.Errorf("output parameter %q has neither value nor valueFrom", p.Name)
	}
	value, err := s.outputSource(*p.ValueFrom)
	if (err != nil || value == "") && p.ValueFrom.Default != nil {
		value, err = s.Text(p.ValueFrom.Default.String())
	}
	if err != nil {
		return "", fmt.Errorf("output parameter %q: %w", p.Name, err)
	}
	return value, nil
}

// outputSource is what the expression or the reference of an output gives.
func (s Scope) outputSource(from v1alpha1.ValueFrom) (string, error) {
	if from.Expression == "" {
		return s.Text(from.Parameter)
	}
	source, err := s.Text(from.Expression)
	if err != nil {
		return "", err
	}
	result, err := s.Evaluate(source)
	if err != nil {
		return "", err
	}
	if result == nil {
		return "", fmt.Errorf("expression %q gives nothing", source)
	}
	return expression.ResultText(result), nil
}
