package engine

import (
	"fmt"
	"strings"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/exactjson"
	"github.com/argosy-mesh/argosy/libs/flow/scope"
	"github.com/argosy-mesh/argosy/libs/flow/state"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// execute makes or advances the node of a call. A node without id is one that may
// not start yet.
func (k *engine) execute(c state.Call) v1alpha1.NodeStatus {
	id := k.Nodes.ID(c.Name)
	before := k.Nodes.At(id)
	existed := before.ID != ""
	if existed && (before.Phase.Fulfilled() || k.Clean(id)) {
		return before
	}
	if !existed && k.Closed() {
		return v1alpha1.NodeStatus{}
	}
	k.Memory.Enter(id)
	n := k.work(c, existed)
	k.Memory.Leave(n.ID != "")
	if n.Phase.Fulfilled() {
		k.Forget(id)
	}
	return n
}

// work makes or advances the node of a call that is not at its end.
func (k *engine) work(c state.Call, existed bool) v1alpha1.NodeStatus {
	k.depth++
	defer func() { k.depth-- }()
	if k.depth > maxDepth {
		return k.Fail(c, v1alpha1.NodeTypeSkipped, fmt.Errorf("templates call each other more than %d deep", maxDepth))
	}
	t, lib, err := k.Load(c)
	if err != nil {
		return k.FailOrWait(c, v1alpha1.NodeTypeSkipped, err)
	}
	if strategy := k.retryStrategy(t); strategy != nil && !c.Attempt {
		resolved, err := k.resolveStrategy(c, t, *strategy)
		if err != nil {
			return k.FailOrWait(c, v1alpha1.NodeTypeRetry, err)
		}
		n := k.retry(c, resolved)
		k.measureRetry(c, t, n)
		return n
	}
	sc, inputs, err := k.inputs(c, t)
	if err != nil {
		return k.FailOrWait(c, typeOf(t), err)
	}
	within := c
	within.Library = lib
	if name := displayName(t, sc); name != "" && !c.Attempt {
		within.Display = name
	}
	bare := t
	bare.Metrics = nil // their tags are resolved when the node has ended
	n := k.guarded(within, bare, sc)
	if n.ID != "" && n.Inputs == nil && inputs != nil {
		n.Inputs = inputs
		n = k.Put(n)
	}
	k.measureNode(t, sc, n, !existed)
	return n
}

// displayAnnotation names a node for people. Source: Argo Workflows.
const displayAnnotation = "workflows.argoproj.io/display-name"

// displayName is what a template wants its nodes to be shown as, "" when that is not said or not known.
func displayName(t v1alpha1.Template, sc scope.Scope) string {
	name, err := sc.Text(t.Annotations[displayAnnotation])
	if err != nil || strings.Contains(name, "{{") {
		return ""
	}
	return name
}

// guarded lets a template do its work once its locks are held, unless a cache has its outputs.
func (k *engine) guarded(c state.Call, t v1alpha1.Template, sc scope.Scope) v1alpha1.NodeStatus {
	id := k.Nodes.ID(c.Name)
	if k.lockedOut(id, t.Synchronization, sc) {
		n := k.Begin(c, typeOf(t), v1alpha1.NodePending)
		shown := t.Synchronization.DeepCopy()
		if err := scope.Substitute(shown, sc.As(scope.LooseTags)); err != nil {
			shown = t.Synchronization
		}
		return k.waiting(n, shown)
	}
	n, done := k.remembered(c, t, sc)
	if !done {
		n = k.dispatch(c, t, sc)
	}
	if t.Synchronization != nil && n.Phase.Fulfilled() {
		k.Actions = append(k.Actions, flow.Release{Holder: id})
	}
	return n
}

func (k *engine) dispatch(c state.Call, t v1alpha1.Template, sc scope.Scope) v1alpha1.NodeStatus {
	kind, ok := kindOf(&t)
	if !ok {
		return k.Fail(c, kind.Node, fmt.Errorf("template %q: it names no work; one of %s is needed", c.Template,
			KindNames()))
	}
	return workerOf(kind, k).Do(c, t, sc)
}

func typeOf(t v1alpha1.Template) v1alpha1.NodeType {
	kind, _ := kindOf(&t)
	return kind.Node
}

func (k *engine) retryStrategy(t v1alpha1.Template) *v1alpha1.RetryStrategy {
	if t.RetryStrategy != nil {
		return t.RetryStrategy
	}
	return k.World.Spec.RetryStrategy
}

// resolveStrategy resolves the tags of how a template is tried again. Those about the last attempt stay: their values
// come with each attempt.
func (k *engine) resolveStrategy(c state.Call, t v1alpha1.Template, s v1alpha1.RetryStrategy) (v1alpha1.RetryStrategy,
	error) {
	if !strings.Contains(exactjson.Text(s), "{{") {
		return s, nil
	}
	sc, _, err := k.inputs(c, t)
	if err != nil {
		return s, err
	}
	s = *s.DeepCopy()
	if err := scope.Substitute(&s, sc); err != nil {
		return s, fmt.Errorf("template %q: retryStrategy: %w", c.Template, err)
	}
	return s, nil
}
