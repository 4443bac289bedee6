// Package operation says what of a run changes when a person resumes, sets or retries it.
package operation

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/scope"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Resume ends suspended nodes: all of a run, or those that pick chooses. Outputs are values that a person supplies.
// An error says which output is missing, and nothing is resumed then.
func Resume(run flow.Run, pick func(v1alpha1.NodeStatus) bool, outputs map[string]string,
	now time.Time) ([]v1alpha1.NodeStatus, error) {
	var changed []v1alpha1.NodeStatus
	for _, n := range run.Nodes {
		if n.Type != v1alpha1.NodeTypeSuspend || n.Phase != v1alpha1.NodeRunning || !pick(n) {
			continue
		}
		resumed, err := Resumed(n, outputs)
		if err != nil {
			return nil, err
		}
		at := metav1.NewTime(now)
		resumed.Phase, resumed.FinishedAt = v1alpha1.NodeSucceeded, &at
		changed = append(changed, resumed)
	}
	slices.SortFunc(changed, func(a, b v1alpha1.NodeStatus) int { return cmp.Compare(a.Name, b.Name) })
	return changed, nil
}

// Resumed gives each supplied output its value: what a person said, else its default, else the value of the input
// of the same name.
func Resumed(n v1alpha1.NodeStatus, supplied map[string]string) (v1alpha1.NodeStatus, error) {
	if n.Outputs == nil {
		return n, nil
	}
	n.Outputs = n.Outputs.DeepCopy()
	for i := range n.Outputs.Parameters {
		p := &n.Outputs.Parameters[i]
		value, ok := supplied[p.Name]
		switch {
		case ok:
		case p.Value != nil:
			continue
		case p.Default != nil:
			value = p.Default.String()
		case p.ValueFrom != nil && p.ValueFrom.Default != nil:
			value = p.ValueFrom.Default.String()
		default:
			if value, ok = inputDefault(n.Inputs, p.Name); !ok {
				return n, fmt.Errorf("output parameter %q of node %s is not supplied and has no default", p.Name,
					n.Name)
			}
		}
		p.Value = v1alpha1.AnyStringPtr(value)
	}
	return n, nil
}

func inputDefault(inputs *v1alpha1.Inputs, name string) (string, bool) {
	if inputs == nil {
		return "", false
	}
	for _, p := range inputs.Parameters {
		if p.Name == name {
			return scope.ParameterValue(p)
		}
	}
	return "", false
}

// Set gives a suspended node a message, outputs and an end, as a person asks: phase "" leaves it waiting. Source: Argo
// Workflows, node set.
func Set(run flow.Run, pick func(v1alpha1.NodeStatus) bool, outputs map[string]string, phase v1alpha1.NodePhase,
	message string) ([]v1alpha1.NodeStatus, error) {
	var changed []v1alpha1.NodeStatus
	for _, n := range run.Nodes {
		if n.Type != v1alpha1.NodeTypeSuspend || n.Phase != v1alpha1.NodeRunning || !pick(n) {
			continue
		}
		set, err := setOutputs(n, outputs)
		if err != nil {
			return nil, err
		}
		if message != "" {
			set.Message = message
		}
		if phase != "" {
			set.Phase = phase
		}
		changed = append(changed, set)
	}
	if len(changed) == 0 {
		return nil, errors.New("no suspended node is selected")
	}
	slices.SortFunc(changed, func(a, b v1alpha1.NodeStatus) int { return cmp.Compare(a.Name, b.Name) })
	return changed, nil
}

func setOutputs(n v1alpha1.NodeStatus, outputs map[string]string) (v1alpha1.NodeStatus, error) {
	if len(outputs) == 0 {
		return n, nil
	}
	if n.Outputs == nil {
		return n, fmt.Errorf("node %s has no outputs", n.Name)
	}
	n.Outputs = n.Outputs.DeepCopy()
	for _, name := range slices.Sorted(maps.Keys(outputs)) {
		at := slices.IndexFunc(n.Outputs.Parameters, func(p v1alpha1.Parameter) bool { return p.Name == name })
		if at < 0 {
			return n, fmt.Errorf("node %s has no output parameter %q", n.Name, name)
		}
		n.Outputs.Parameters[at].Value = v1alpha1.AnyStringPtr(outputs[name])
	}
	return n, nil
}
