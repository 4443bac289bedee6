package flow

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/argosy-mesh/argosy/libs/flow/scope"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// errPending means that a Need is open: the node must wait.
var errPending = errors.New("waiting for an answer")

// find returns the answer to a question, or errPending after asking it.
func (s *state) find(n Lookup) (json.RawMessage, error) {
	answer, ok := s.w.Answers[n]
	if !ok {
		if !slices.Contains(s.lookups, n) {
			s.lookups = append(s.lookups, n)
		}
		s.memory.WaitForAnswer()
		return nil, errPending
	}
	if answer.Missing != "" {
		return nil, fmt.Errorf("%s %q: %s", n.Kind, n.Name, answer.Missing)
	}
	return answer.Value, nil
}

// configValue reads one key of a ConfigMap.
func (s *state) configValue(name, key string) (string, error) {
	raw, err := s.find(Lookup{Kind: LookupConfigMap, Name: name, Key: key})
	if err != nil {
		return "", err
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return "", fmt.Errorf("ConfigMap %q: key %q: %w", name, key, err)
	}
	return text, nil
}

// parameter returns the value that a parameter has by itself: its value, its default, or what a ConfigMap says.
func (s *state) parameter(p v1alpha1.Parameter) (value string, ok bool, err error) {
	if p.Value == nil && p.ValueFrom != nil && p.ValueFrom.ConfigMapKeyRef != nil {
		ref := p.ValueFrom.ConfigMapKeyRef
		value, err = s.configValue(ref.Name, ref.Key)
		if err != nil && !errors.Is(err, errPending) && p.ValueFrom.Default != nil {
			return p.ValueFrom.Default.String(), true, nil
		}
		return value, err == nil, err
	}
	value, ok = scope.ParameterValue(p)
	return value, ok, nil
}
