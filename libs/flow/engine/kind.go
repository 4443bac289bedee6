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
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// kind is a kind of work that a template may do: all that the rest of the engine needs to know of it.
type kind struct {
	name string                        // the field of the template that asks for it
	set  func(*v1alpha1.Template) bool // whether a template asks for it
	node v1alpha1.NodeType             // of the nodes that do it
	of   func(*engine) worker
}

// worker makes or advances the node of a call of a template.
type worker interface {
	Do(c state.Call, t v1alpha1.Template, sc scope.Scope) v1alpha1.NodeStatus
}

// kinds are all of them. A new one is a field of [v1alpha1.Template], its file, and an entry here; one that works
// without a pod is a worker of workflow-runner too.
func kinds() []kind {
	return []kind{
		{"container", func(t *v1alpha1.Template) bool { return t.Container != nil }, v1alpha1.NodeTypePod, pods},
		{"containerSet", func(t *v1alpha1.Template) bool { return t.ContainerSet != nil }, v1alpha1.NodeTypePod, pods},
		{"script", func(t *v1alpha1.Template) bool { return t.Script != nil }, v1alpha1.NodeTypePod, pods},
		{"steps", func(t *v1alpha1.Template) bool { return t.Steps != nil }, v1alpha1.NodeTypeSteps,
			func(k *engine) worker { return steps.Kind{Runner: unit.Runner{Runner: k.Runner}} }},
		{"dag", func(t *v1alpha1.Template) bool { return t.DAG != nil }, v1alpha1.NodeTypeDAG,
			func(k *engine) worker { return dag.Kind{Runner: unit.Runner{Runner: k.Runner}} }},
		{"suspend", func(t *v1alpha1.Template) bool { return t.Suspend != nil }, v1alpha1.NodeTypeSuspend,
			func(k *engine) worker { return suspend.Kind{State: k.State} }},
		{"resource", func(t *v1alpha1.Template) bool { return t.Resource != nil }, v1alpha1.NodeTypePod,
			tasks(v1alpha1.NodeTypePod)},
		{"http", func(t *v1alpha1.Template) bool { return t.HTTP != nil }, v1alpha1.NodeTypeHTTP,
			tasks(v1alpha1.NodeTypeHTTP)},
		{"data", func(t *v1alpha1.Template) bool { return t.Data != nil }, v1alpha1.NodeTypePod,
			tasks(v1alpha1.NodeTypePod)},
		{"plugin", func(t *v1alpha1.Template) bool { return t.Plugin != nil }, v1alpha1.NodeTypePlugin,
			tasks(v1alpha1.NodeTypePlugin)},
	}
}

func pods(k *engine) worker { return pod.Kind{State: k.State} }

func tasks(node v1alpha1.NodeType) func(*engine) worker {
	return func(k *engine) worker { return task.Kind{State: k.State, Node: node} }
}

// kindOf is the kind of work of a template; a template of several does the first that composes others, then the first
// of the rest.
func kindOf(t *v1alpha1.Template) (kind, bool) {
	all := kinds()
	for _, first := range []string{"suspend", "steps", "dag"} {
		if i := slices.IndexFunc(all, func(k kind) bool { return k.name == first }); all[i].set(t) {
			return all[i], true
		}
	}
	for _, k := range all {
		if k.set(t) {
			return k, true
		}
	}
	return kind{node: v1alpha1.NodeTypePod}, false
}

// KindOf names the kind of work that is done of a template, "" when it asks for none.
func KindOf(t *v1alpha1.Template) string {
	k, _ := kindOf(t)
	return k.name
}

// KindsOf names the kinds of work that a template asks for, by their fields.
func KindsOf(t *v1alpha1.Template) []string {
	var out []string
	for _, k := range kinds() {
		if k.set(t) {
			out = append(out, k.name)
		}
	}
	slices.Sort(out)
	return out
}

// KindNames lists all kinds, for messages.
func KindNames() string {
	var names []string
	for _, k := range kinds() {
		names = append(names, k.name)
	}
	return strings.Join(names, ", ")
}
