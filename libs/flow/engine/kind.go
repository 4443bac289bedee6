package engine

import (
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/libs/flow/kind/dag"
	"github.com/argosy-mesh/argosy/libs/flow/kind/pod"
	"github.com/argosy-mesh/argosy/libs/flow/kind/steps"
	"github.com/argosy-mesh/argosy/libs/flow/kind/suspend"
	"github.com/argosy-mesh/argosy/libs/flow/kind/task"
	"github.com/argosy-mesh/argosy/libs/flow/scope"
	"github.com/argosy-mesh/argosy/libs/flow/state"
	"github.com/argosy-mesh/argosy/libs/flow/unit"
	"github.com/argosy-mesh/argosy/libs/flow/work"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// worker makes or advances the node of a call of a template.
type worker interface {
	Do(c state.Call, t v1alpha1.Template, sc scope.Scope) v1alpha1.NodeStatus
}

// workerOf does the work of a kind. What has no case here is a task: a worker of workflow-runner does it.
func workerOf(kind work.Kind, k *engine) worker {
	switch kind.Name {
	case "container", "containerSet", "script":
		return pod.Kind{State: k.State}
	case "steps":
		return steps.Kind{Runner: unit.Runner{Runner: k.Runner}}
	case "dag":
		return dag.Kind{Runner: unit.Runner{Runner: k.Runner}}
	case "suspend":
		return suspend.Kind{State: k.State}
	}
	return task.Kind{State: k.State, Node: kind.Node}
}

// kindOf is the kind of work of a template; a template of several does the first that composes others, then the first
// of the rest.
func kindOf(t *v1alpha1.Template) (work.Kind, bool) {
	var found *work.Kind
	for i, k := range work.Kinds() {
		switch {
		case !k.Asked(t):
		case k.Name == "suspend":
			return k, true
		case found == nil, composes(k) && !composes(*found):
			found = &work.Kinds()[i]
		}
	}
	if found == nil {
		return work.Kind{Node: v1alpha1.NodeTypePod}, false
	}
	return *found, true
}

func composes(k work.Kind) bool { return k.Name == "steps" || k.Name == "dag" }

// KindOf names the kind of work that is done of a template, "" when it asks for none.
func KindOf(t *v1alpha1.Template) string {
	k, _ := kindOf(t)
	return k.Name
}

// KindsOf names the kinds of work that a template asks for, by their fields.
func KindsOf(t *v1alpha1.Template) []string {
	var out []string
	for _, k := range work.Kinds() {
		if k.Asked(t) {
			out = append(out, k.Name)
		}
	}
	slices.Sort(out)
	return out
}

// KindNames lists all kinds, for messages.
func KindNames() string {
	var names []string
	for _, k := range work.Kinds() {
		names = append(names, k.Name)
	}
	return strings.Join(names, ", ")
}
