package engine

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/argosy-mesh/argosy/libs/flow/hook"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// afterRun reports whether a node belongs to the exit handler or a hook of the whole run.
func (k *engine) afterRun(name string) bool {
	return strings.HasPrefix(name, k.World.Name+hook.ExitSuffix) || strings.HasPrefix(name, k.World.Name+".hooks.")
}

// exitHandler runs the exit handler of the workflow, if it has one, and says whether it is done.
func (k *engine) exitHandler(phase v1alpha1.WorkflowPhase) (v1alpha1.NodeStatus, bool) {
	h, has := k.World.Spec.Hooks[hook.Exit]
	if !has {
		h = v1alpha1.LifecycleHook{Template: k.World.Spec.OnExit}
	}
	if h.Template == "" && h.TemplateRef == nil || k.World.Spec.Shutdown == v1alpha1.ShutdownTerminate {
		return v1alpha1.NodeStatus{Phase: v1alpha1.NodeSucceeded}, true
	}
	k.Ending = true
	k.Globals.Set("workflow.status", string(phase))
	k.Globals.Set("workflow.failures", strconv.Quote(k.failures()))
	c := hook.CallOf(k.World.Name+hook.ExitSuffix, k.World.Name+hook.ExitSuffix, h, k.arguments())
	sc := k.Globals.Inner(nil)
	if err := k.Prepare(&c, sc); err != nil {
		n := k.FailOrWait(c, v1alpha1.NodeTypeSkipped, err)
		return n, n.Phase.Fulfilled()
	}
	n := k.ExecuteExit(c)
	return n, n.Phase.Fulfilled()
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
	for _, id := range slices.Sorted(maps.Keys(k.Nodes.All())) {
		n := k.Nodes.At(id)
		if n.Phase != v1alpha1.NodeFailed && n.Phase != v1alpha1.NodeError || k.afterRun(n.Name) {
			continue
		}
		at := ""
		if n.FinishedAt != nil {
			at = n.FinishedAt.UTC().Format("2006-01-02T15:04:05Z")
		}
		list = append(list, failure{n.DisplayName, n.Message, n.TemplateName, string(n.Phase), k.PodName(n), at})
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
		k.Globals.Set("workflow.status", string(workflowPhase(root.Phase)))
	}
	return k.NamedHooks(k.World.Name, k.World.Name, k.World.Spec.Hooks,
		hook.Place{Scope: k.Globals.Inner(nil), Args: k.arguments()})
}
