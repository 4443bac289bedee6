package workflow

import (
	"context"
	"fmt"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/task"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// perform gives the desk work that needs no pod. How it ended is looked up when the desk tells.
func (r *Reconciler) perform(ctx context.Context, wf *v1alpha1.Workflow, spec *v1alpha1.WorkflowSpec, a flow.Perform) error {
	return r.Desk.Begin(ctx, task.Job{
		Run: string(wf.UID), Node: a.NodeID, Namespace: wf.Namespace, Workflow: wf.Name, Account: a.Account, Owner: *object.OwnerOf(wf),
		Marks: object.Chain(wf).Annotate(map[string]string{}), Template: a.Template, Spec: spec, Deadline: a.Deadline,
	})
}

// annotationPlugins marks a workflow that may have pods of plugins.
const annotationPlugins = "argosy.dev/plugins"

// AnnouncePlugins marks a workflow before the first pod of a plugin is made for it.
func (r *Reconciler) AnnouncePlugins(ctx context.Context, namespace, name, uid string) error {
	wf := object.Workflow()
	wf.SetNamespace(namespace)
	wf.SetName(name)
	body := object.JSON(map[string]any{"metadata": map[string]any{"uid": uid, "annotations": map[string]string{annotationPlugins: "true"}}})
	if err := r.Client.Patch(ctx, wf, client.RawPatch(types.MergePatchType, body)); err != nil {
		return fmt.Errorf("mark workflow %s/%s: %w", namespace, name, err)
	}
	return nil
}

// sweepPlugins removes the pods of the plugins of a workflow that has ended.
func (r *Reconciler) sweepPlugins(ctx context.Context, wf *v1alpha1.Workflow) error {
	if wf.Annotations[annotationPlugins] == "" {
		return nil
	}
	if err := r.Accounts.SweepPlugins(ctx, wf.Namespace, string(wf.UID)); err != nil {
		return fmt.Errorf("workflow %s/%s: %w", wf.Namespace, wf.Name, err)
	}
	return nil
}

// endedTasks are the ends that the desk keeps for a run. Those whose node has its end recorded are forgotten.
func (r *Reconciler) endedTasks(uid string, known *run) map[string]flow.Task {
	ended := r.Desk.Ended(uid)
	for id := range ended {
		if known.State.Nodes[id].Phase.Fulfilled() {
			r.Desk.Drop(uid, id)
			delete(ended, id)
		}
	}
	return ended
}
