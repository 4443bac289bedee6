package flow

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/argosy-mesh/argosy/libs/flow/scope"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// exitHook is the name of the hook that runs after a node. Source: Argo Workflows, ExitLifecycleEvent.
const exitHook = "exit"

// exitSuffix ends the names of the nodes of exit hooks and handlers. Source: Argo Workflows.
const exitSuffix = ".onExit"

// afterRun reports whether a node belongs to the exit handler or a hook of the whole run.
func (k *engine) afterRun(name string) bool {
	return strings.HasPrefix(name, k.w.Name+exitSuffix) || strings.HasPrefix(name, k.w.Name+".hooks.")
}

// hookCall is the call of one hook; its own arguments win over those it gets otherwise.
func hookCall(name, display string, h v1alpha1.LifecycleHook, args v1alpha1.Arguments) call {
	if h.Arguments != nil {
		args = *h.Arguments
	}
	return call{name: name, display: display, template: h.Template, ref: h.TemplateRef, args: args, hooked: true}
}

// exitHandler runs the exit handler of the workflow, if it has one, and says whether it is done.
func (k *engine) exitHandler(phase v1alpha1.WorkflowPhase) (v1alpha1.NodeStatus, bool) {
	h, has := k.w.Spec.Hooks[exitHook]
	if !has {
		h = v1alpha1.LifecycleHook{Template: k.w.Spec.OnExit}
	}
	if h.Template == "" && h.TemplateRef == nil || k.w.Spec.Shutdown == v1alpha1.ShutdownTerminate {
		return v1alpha1.NodeStatus{Phase: v1alpha1.NodeSucceeded}, true
	}
	k.ending = true
	k.globals.Set("workflow.status", string(phase))
	k.globals.Set("workflow.failures", strconv.Quote(k.failures()))
	c := hookCall(k.w.Name+exitSuffix, k.w.Name+exitSuffix, h, k.arguments())
	sc := k.globals.Inner(nil)
	if err := k.prepare(&c, sc); err != nil {
		n := k.failOrWait(c, v1alpha1.NodeTypeSkipped, err)
		return n, n.Phase.Fulfilled()
	}
	n := k.executeExit(c)
	return n, n.Phase.Fulfilled()
}

// executeExit makes or advances the node of an exit hook or handler: what it holds goes on when the run is stopped.
func (k *engine) executeExit(c call) v1alpha1.NodeStatus {
	k.exits++
	defer func() { k.exits-- }()
	return k.execute(c)
}

// prepare resolves the tags of a hook: those of its arguments, and of what it calls.
func (k *engine) prepare(c *call, sc scope.Scope) (err error) {
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

// failures lists the nodes that failed, for the exit handler. Source: Argo Workflows, workflow.failures.
func (k *engine) failures() string {
	if k.blamed != "" {
		return k.blamed
	}
	type failure struct {
		DisplayName  string `json:"displayName"`
		Message      string `json:"message"`
		TemplateName string `json:"templateName"`
		Phase        string `json:"phase"`
		PodName      string `json:"podName"`
		FinishedAt   string `json:"finishedAt"`
	}
	var list []failure
	for _, id := range slices.Sorted(maps.Keys(k.nodes.All())) {
		n := k.nodes.At(id)
		if n.Phase != v1alpha1.NodeFailed && n.Phase != v1alpha1.NodeError || k.afterRun(n.Name) {
			continue
		}
		at := ""
		if n.FinishedAt != nil {
			at = n.FinishedAt.UTC().Format("2006-01-02T15:04:05Z")
		}
		list = append(list, failure{n.DisplayName, n.Message, n.TemplateName, string(n.Phase), k.podName(n), at})
	}
	raw, err := json.Marshal(list)
	if err != nil {
		return "null"
	}
	k.blamed = string(raw)
	return k.blamed
}

// workflowHooks runs the named hooks of the workflow whose time has come, and says whether none is at work.
func (k *engine) workflowHooks(root v1alpha1.NodeStatus) bool {
	if root.Phase.Fulfilled() {
		k.globals.Set("workflow.status", string(workflowPhase(root.Phase)))
	}
	return k.namedHooks(k.w.Name, k.w.Name, k.w.Spec.Hooks, hookPlace{scope: k.globals.Inner(nil), args: k.arguments()})
}

// hookPlace is what the hooks of one node see.
type hookPlace struct {
	scope    scope.Scope
	args     v1alpha1.Arguments
	boundary string
	library  library
}

// namedHooks starts hooks whose expression is true, once each, and says whether none is at work.
func (k *engine) namedHooks(node, display string, hooks map[string]v1alpha1.LifecycleHook, at hookPlace) bool {
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

// unitHooks runs the hooks of one step, task or item, and says whether the unit is done with them.
func (k *engine) unitHooks(u unit, n v1alpha1.NodeStatus, display string, sc scope.Scope) bool {
	hooks := u.step.Hooks
	exit, has := hooks[exitHook]
	if !has && u.step.OnExit != "" {
		exit, has = v1alpha1.LifecycleHook{Template: u.step.OnExit}, true
	}
	if len(hooks) == 0 && !has {
		return true
	}
	k.hooked = true
	if n.ID == "" {
		return true
	}
	local := sc.With(nil)
	local.PublishNode(u.prefix+"."+u.name, n)
	if n.Outputs != nil {
		for _, a := range n.Outputs.Artifacts {
			local.SetArtifact("outputs.artifacts."+a.Name, a)
		}
	}
	place := hookPlace{scope: local, boundary: u.boundary, library: u.library}
	done := k.namedHooks(n.Name, display, hooks, place)
	// Source: Argo Workflows, exit hooks follow nodes that completed; skipped and omitted ones did nothing.
	if !has || !n.Phase.Completed() {
		return done
	}
	return k.exitOf(n, display, exit, place) && done
}

// exitOf runs the exit hook of a node that has ended.
func (k *engine) exitOf(n v1alpha1.NodeStatus, display string, h v1alpha1.LifecycleHook, at hookPlace) bool {
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
