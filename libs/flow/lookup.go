package flow

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/argosy-mesh/argosy/libs/flow/scope"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// LookupKind is a kind of thing outside of the run.
type LookupKind string

// What a decision may need to know.
const (
	LookupConfigMap       LookupKind = "ConfigMap"               // the value of a key
	LookupTemplate        LookupKind = "WorkflowTemplate"        // its spec
	LookupClusterTemplate LookupKind = "ClusterWorkflowTemplate" // its spec
	LookupMemo            LookupKind = "Memo"                    // the entry of a cache
)

// Lookup is a question to the shell. Its answer is recorded with the run, so that what is edited or removed meanwhile
// changes nothing for a run at work.
type Lookup struct {
	Kind LookupKind `json:"kind"`
	Name string     `json:"name"`
	Key  string     `json:"key,omitempty"`
	Node string     `json:"node,omitempty"` // of NeedMemo: who asks; each node asks anew
}

// Answer is what was found.
type Answer struct {
	Value   json.RawMessage `json:"value,omitempty"`
	Missing string          `json:"missing,omitempty"` // why there is nothing; empty when there is
}

// errPending means that a Need is open: the node must wait.
var errPending = errors.New("waiting for an answer")

// find returns the answer to a question, or errPending after asking it.
func (k *engine) find(n Lookup) (json.RawMessage, error) {
	answer, ok := k.w.Answers[n]
	if !ok {
		if !slices.Contains(k.lookups, n) {
			k.lookups = append(k.lookups, n)
		}
		k.memory.WaitForAnswer()
		return nil, errPending
	}
	if answer.Missing != "" {
		return nil, fmt.Errorf("%s %q: %s", n.Kind, n.Name, answer.Missing)
	}
	return answer.Value, nil
}

// configValue reads one key of a ConfigMap.
func (k *engine) configValue(name, key string) (string, error) {
	raw, err := k.find(Lookup{Kind: LookupConfigMap, Name: name, Key: key})
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
func (k *engine) parameter(p v1alpha1.Parameter) (value string, ok bool, err error) {
	if p.Value == nil && p.ValueFrom != nil && p.ValueFrom.ConfigMapKeyRef != nil {
		ref := p.ValueFrom.ConfigMapKeyRef
		value, err = k.configValue(ref.Name, ref.Key)
		if err != nil && !errors.Is(err, errPending) && p.ValueFrom.Default != nil {
			return p.ValueFrom.Default.String(), true, nil
		}
		return value, err == nil, err
	}
	value, ok = scope.ParameterValue(p)
	return value, ok, nil
}
