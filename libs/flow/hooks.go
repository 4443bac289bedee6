package flow

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/argosy-mesh/argosy/libs/flow/scope"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// hooks run what is to run beside nodes and after them.
type hooks struct {
	*state
	execute func(call) v1alpha1.NodeStatus // makes or advances the node of a call
}

// exitHook is the name of the hook that runs after a node. Source: Argo Workflows, ExitLifecycleEvent.
const exitHook = "exit"

// exitSuffix ends the names of the nodes of exit hooks and handlers. Source: Argo Workflows.
const exitSuffix = ".onExit"

// hookCall is the call of one hook; its own arguments win over those it gets otherwise.
func hookCall(name, display string, h v1alpha1.LifecycleHook, args v1alpha1.Arguments) call {
	if h.Arguments != nil {
		args = *h.Arguments
	}
	return call{name: name, display: display, template: h.Template, ref: h.TemplateRef, args: args, hooked: true}
}

// executeExit makes or advances the node of an exit hook or handler: what it holds goes on when the run is stopped.
func (k hooks) executeExit(c call) v1alpha1.NodeStatus {
	k.exits++
	defer func() { k.exits-- }()
	return k.execute(c)
}

// prepare resolves the tags of a hook: those of its arguments, and of what it calls.
func (k hooks) prepare(c *call, sc scope.Scope) (err error) {
	c.caller = &sc
	if c.args, c.missing, err = scope.SubstituteArguments(c.args, sc); err != nil {
		return err
	}
	if c.ref != nil {
		ref := *c.ref
		c.ref = &ref
		return scope.Substitute(c.ref, sc)
	}
	c.template, err = sc.Text(c.template)
	return err
}

// hookPlace is what the hooks of one node see.
type hookPlace struct {
	scope    scope.Scope
	args     v1alpha1.Arguments
	boundary string
	library  library
}

// namedHooks starts hooks whose expression is true, once each, and says whether none is at work.
func (k hooks) namedHooks(node, display string, hooks map[string]v1alpha1.LifecycleHook, at hookPlace) bool {
	done := true
	for _, name := range slices.Sorted(maps.Keys(hooks)) {
		h := hooks[name]
		if name == exitHook {
			continue
		}
		c := hookCall(node+".hooks."+name, display+".hooks."+name, h, at.args)
		c.boundary, c.library = at.boundary, at.library
		if _, started := k.nodes.Named(c.name); !started {
			run, err := at.scope.Condition(h.Expression)
			if err != nil {
				k.fail(c, v1alpha1.NodeTypeSkipped, fmt.Errorf("hook %q: %w", name, err))
				continue
			}
			if !run {
				continue
			}
		}
		if n, ok := k.nodes.Named(c.name); ok && n.Phase.Fulfilled() {
			continue
		}
		if err := k.prepare(&c, at.scope); err != nil {
			k.failOrWait(c, v1alpha1.NodeTypeSkipped, err)
			continue
		}
		n := k.execute(c)
		if n.ID != "" {
			k.nodes.Link(k.nodes.ID(node), n.ID)
		}
		done = done && n.Phase.Fulfilled()
	}
	return done
}

// exitOf runs the exit hook of a node that has ended.
func (k hooks) exitOf(n v1alpha1.NodeStatus, display string, h v1alpha1.LifecycleHook, at hookPlace) bool {
	c := hookCall(n.Name+exitSuffix, display+exitSuffix, h, v1alpha1.Arguments{})
	c.boundary, c.library = at.boundary, at.library
	if existing, ok := k.nodes.Named(c.name); ok && existing.Phase.Fulfilled() {
		return true
	}
	if h.Expression != "" {
		run, err := at.scope.Condition(h.Expression)
		if err != nil {
			k.fail(c, v1alpha1.NodeTypeSkipped, fmt.Errorf("exit hook: %w", err))
			return true
		}
		if !run {
			return true
		}
	}
	if err := k.prepare(&c, at.scope); err != nil {
		k.failOrWait(c, v1alpha1.NodeTypeSkipped, err)
		return !errors.Is(err, errPending)
	}
	exit := k.executeExit(c)
	if exit.ID != "" {
		k.nodes.Link(n.ID, exit.ID)
	}
	return exit.Phase.Fulfilled()
}
