package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/scope"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// ErrPending means that a Need is open: the node must wait.
var ErrPending = errors.New("waiting for an answer")

// Find returns the answer to a question, or errPending after asking it.
func (s *State) Find(n flow.Lookup) (json.RawMessage, error) {
	answer, ok := s.World.Answers[n]
	if !ok {
		if !slices.Contains(s.Lookups, n) {
			s.Lookups = append(s.Lookups, n)
		}
		s.Memory.WaitForAnswer()
		return nil, ErrPending
	}
	if answer.Missing != "" {
		return nil, fmt.Errorf("%s %q: %s", n.Kind, n.Name, answer.Missing)
	}
	return answer.Value, nil
}

// ConfigValue reads one key of a ConfigMap.
func (s *State) ConfigValue(name, key string) (string, error) {
	raw, err := s.Find(flow.Lookup{Kind: flow.LookupConfigMap, Name: name, Key: key})
	if err != nil {
		return "", err
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return "", fmt.Errorf("ConfigMap %q: key %q: %w", name, key, err)
	}
	return text, nil
}

// Parameter returns the value that a parameter has by itself: its value, its default, or what a ConfigMap says.
func (s *State) Parameter(p v1alpha1.Parameter) (value string, ok bool, err error) {
	if p.Value == nil && p.ValueFrom != nil && p.ValueFrom.ConfigMapKeyRef != nil {
		ref := p.ValueFrom.ConfigMapKeyRef
		value, err = s.ConfigValue(ref.Name, ref.Key)
		if err != nil && !errors.Is(err, ErrPending) && p.ValueFrom.Default != nil {
			return p.ValueFrom.Default.String(), true, nil
		}
		return value, err == nil, err
	}
	value, ok = scope.ParameterValue(p)
	return value, ok, nil
}
