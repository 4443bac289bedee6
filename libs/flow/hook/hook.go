// Package hook runs what is to run beside nodes and after them: named hooks, exit hooks, the exit handler. It is told
// how a call is executed.
package hook

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/argosy-mesh/argosy/libs/flow/library"
	"github.com/argosy-mesh/argosy/libs/flow/scope"
	"github.com/argosy-mesh/argosy/libs/flow/state"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// Runner runs what is to run beside nodes and after them.
type Runner struct {
	*state.State
	Execute func(state.Call) v1alpha1.NodeStatus // makes or advances the node of a call
}

// Exit is the name of the hook that runs after a node. Source: Argo Workflows, ExitLifecycleEvent.
const Exit = "exit"

// ExitSuffix ends the names of the nodes of exit hooks and handlers. Source: Argo Workflows.
const ExitSuffix = ".onExit"

// CallOf is the call of one hook; its own arguments win over those it gets otherwise.
func CallOf(name, display string, h v1alpha1.LifecycleHook, args v1alpha1.Arguments) state.Call {
	if h.Arguments != nil {
		args = *h.Arguments
	}
	return state.Call{Name: name, Display: display, Template: h.Template, Ref: h.TemplateRef, Args: args, Hooked: true}
}

// ExecuteExit makes or advances the node of an exit hook or handler: what it holds goes on when the run is stopped.
func (k Runner) ExecuteExit(c state.Call) v1alpha1.NodeStatus {
	k.Exits++
	defer func() { k.Exits-- }()
	return k.Execute(c)
}

// Prepare resolves the tags of a hook: those of its arguments, and of what it calls.
func (k Runner) Prepare(c *state.Call, sc scope.Scope) (err error) {
	c.Caller = &sc
	if c.Args, c.Missing, err = scope.SubstituteArguments(c.Args, sc); err != nil {
		return err
	}
	if c.Ref != nil {
		ref := *c.Ref
		c.Ref = &ref
		return scope.Substitute(c.Ref, sc)
	}
	c.Template, err = sc.Text(c.Template)
	return err
}

// Place is what the hooks of one node see.
type Place struct {
	Scope    scope.Scope
	Args     v1alpha1.Arguments
	Boundary string
	Library  library.Ref
}

// NamedHooks starts hooks whose expression is true, once each, and says whether none is at work.
func (k Runner) NamedHooks(node, display string, hooks map[string]v1alpha1.LifecycleHook, at Place) bool {
	done := true
	for _, name := range slices.Sorted(maps.Keys(hooks)) {
		h := hooks[name]
		if name == Exit {
			continue
		}
		c := CallOf(node+".hooks."+name, display+".hooks."+name, h, at.Args)
		c.Boundary, c.Library = at.Boundary, at.Library
		if _, started := k.Nodes.Named(c.Name); !started {
			run, err := at.Scope.Condition(h.Expression)
			if err != nil {
				k.Fail(c, v1alpha1.NodeTypeSkipped, fmt.Errorf("hook %q: %w", name, err))
				continue
			}
			if !run {
				continue
			}
		}
		if n, ok := k.Nodes.Named(c.Name); ok && n.Phase.Fulfilled() {
			continue
		}
		if err := k.Prepare(&c, at.Scope); err != nil {
			k.FailOrWait(c, v1alpha1.NodeTypeSkipped, err)
			continue
		}
		n := k.Execute(c)
		if n.ID != "" {
			k.Nodes.Link(k.Nodes.ID(node), n.ID)
		}
		done = done && n.Phase.Fulfilled()
	}
	return done
}

// ExitOf runs the exit hook of a node that has ended.
func (k Runner) ExitOf(n v1alpha1.NodeStatus, display string, h v1alpha1.LifecycleHook, at Place) bool {
	c := CallOf(n.Name+ExitSuffix, display+ExitSuffix, h, v1alpha1.Arguments{})
	c.Boundary, c.Library = at.Boundary, at.Library
	if existing, ok := k.Nodes.Named(c.Name); ok && existing.Phase.Fulfilled() {
		return true
	}
	if h.Expression != "" {
		run, err := at.Scope.Condition(h.Expression)
		if err != nil {
			k.Fail(c, v1alpha1.NodeTypeSkipped, fmt.Errorf("exit hook: %w", err))
			return true
		}
		if !run {
			return true
		}
	}
	if err := k.Prepare(&c, at.Scope); err != nil {
		k.FailOrWait(c, v1alpha1.NodeTypeSkipped, err)
		return !errors.Is(err, state.ErrPending)
	}
	exit := k.ExecuteExit(c)
	if exit.ID != "" {
		k.Nodes.Link(n.ID, exit.ID)
	}
	return exit.Phase.Fulfilled()
}
