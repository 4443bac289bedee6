package runner

import (
	"context"
	"fmt"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/task"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
)

// perform gives the desk work that needs no pod. How it ended is looked up when the desk tells.
func (r *Runner) perform(ctx context.Context, wf *v1alpha1.Workflow, spec *v1alpha1.WorkflowSpec, a flow.Perform) error {
	return r.desk.Begin(ctx, task.Job{
		Run: string(wf.UID), Node: a.NodeID, Namespace: wf.Namespace, Workflow: wf.Name, Account: a.Account, Owner: *ownerOf(wf),
		Marks: chain(wf).Annotate(map[string]string{}), Template: a.Template, Spec: spec, Deadline: a.Deadline,
	})
}

// annotationPlugins marks a workflow that may have pods of plugins.
const annotationPlugins = "argosy.dev/plugins"

// announcePlugins marks a workflow before the first pod of a plugin is made for it.
func (r *Runner) announcePlugins(ctx context.Context, namespace, name, uid string) error {
	wf := workflow()
	wf.SetNamespace(namespace)
	wf.SetName(name)
	body := mustJSON(map[string]any{"metadata": map[string]any{"uid": uid, "annotations": map[string]string{annotationPlugins: "true"}}})
	if err := r.client.Patch(ctx, wf, client.RawPatch(types.MergePatchType, body)); err != nil {
		return fmt.Errorf("mark workflow %s/%s: %w", namespace, name, err)
	}
	return nil
}

// sweepPlugins removes the pods of the plugins of a workflow that has ended.
func (r *Runner) sweepPlugins(ctx context.Context, wf *v1alpha1.Workflow) error {
	if wf.Annotations[annotationPlugins] == "" {
		return nil
	}
	if err := r.accounts.SweepPlugins(ctx, wf.Namespace, string(wf.UID)); err != nil {
		return fmt.Errorf("workflow %s/%s: %w", wf.Namespace, wf.Name, err)
	}
	return nil
}

// endedTasks are the ends that the desk keeps for a run. Those whose node has its end recorded are forgotten.
func (r *Runner) endedTasks(uid string, known *run) map[string]flow.Task {
	ended := r.desk.Ended(uid)
	for id := range ended {
		if known.state.Nodes[id].Phase.Fulfilled() {
			r.desk.Drop(uid, id)
			delete(ended, id)
		}
	}
	return ended
}

// nudge asks for another look at a workflow.
func nudge(ctx context.Context, out chan<- event.GenericEvent, namespace, name string) {
	u := workflow()
	u.SetNamespace(namespace)
	u.SetName(name)
	select {
	case out <- event.GenericEvent{Object: u}:
	case <-ctx.Done():
	}
}
