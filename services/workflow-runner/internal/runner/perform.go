package runner

import (
	"context"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/task"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/event"
)

// perform gives the desk work that needs no pod. How it ended is looked up when the desk tells.
func (r *Runner) perform(ctx context.Context, wf *v1alpha1.Workflow, a flow.Perform) error {
	return r.desk.Begin(ctx, task.Job{
		Run: string(wf.UID), Node: a.NodeID, Namespace: wf.Namespace, Workflow: wf.Name, Account: a.Account, Owner: *ownerOf(wf),
		Marks: chain(wf).Annotate(map[string]string{}), Template: a.Template, Deadline: a.Deadline,
	})
}

func ownerOf(wf *v1alpha1.Workflow) *metav1.OwnerReference {
	return metav1.NewControllerRef(wf, v1alpha1.Kind("Workflow"))
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
