package flow

import (
	"fmt"
	"slices"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow/scope"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// suspend makes or advances a node that waits for a person or for time to pass.
func (k *engine) suspend(c call, t v1alpha1.Template, sc scope.Scope) v1alpha1.NodeStatus {
	if err := scope.Substitute(&t, sc.As(scope.FinalTags)); err != nil {
		return k.fail(c, v1alpha1.NodeTypeSuspend, fmt.Errorf("template %q: %w", c.template, err))
	}
	n := k.begin(c, v1alpha1.NodeTypeSuspend, v1alpha1.NodeRunning)
	if n.Outputs == nil && t.Outputs != nil {
		n.Outputs = t.Outputs.DeepCopy()
		n = k.put(n)
	}
	if t.Suspend.Duration == "" {
		return n
	}
	limit, err := parseDuration(t.Suspend.Duration.String())
	if err != nil {
		return k.finish(n, v1alpha1.NodeError, fmt.Sprintf("suspend.duration: %v", err))
	}
	if end := n.StartedAt.Add(limit); k.w.Now.Before(end) {
		k.memory.WakeAt(end)
		return n
	}
	resumed, err := resumeNode(n, nil)
	if err != nil {
		return k.finish(n, v1alpha1.NodeError, err.Error())
	}
	return k.finish(resumed, v1alpha1.NodeSucceeded, "")
}

// Resume ends suspended nodes: all of a run, or those that pick chooses. Outputs are values that a person supplies.
// An error says which output is missing, and nothing is resumed then.
func Resume(run Run, pick func(v1alpha1.NodeStatus) bool, outputs map[string]string, now time.Time) ([]v1alpha1.NodeStatus, error) {
	var changed []v1alpha1.NodeStatus
	for _, n := range run.Nodes {
		if n.Type != v1alpha1.NodeTypeSuspend || n.Phase != v1alpha1.NodeRunning || !pick(n) {
			continue
		}
		resumed, err := resumeNode(n, outputs)
		if err != nil {
			return nil, err
		}
		at := metav1.NewTime(now)
		resumed.Phase, resumed.FinishedAt = v1alpha1.NodeSucceeded, &at
		changed = append(changed, resumed)
	}
	slices.SortFunc(changed, func(a, b v1alpha1.NodeStatus) int { return compareText(a.Name, b.Name) })
	return changed, nil
}

func compareText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// resumeNode gives each supplied output its value: what a person said, else its default, else the value of the input
// of the same name.
func resumeNode(n v1alpha1.NodeStatus, supplied map[string]string) (v1alpha1.NodeStatus, error) {
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
				return n, fmt.Errorf("output parameter %q of node %s is not supplied and has no default", p.Name, n.Name)
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
