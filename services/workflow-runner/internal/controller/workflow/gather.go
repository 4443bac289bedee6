package workflow

import (
	"context"
	"fmt"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/engine"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// gather builds the world of a run. The spec is the one the run was started with;
// only the orders to stop are read from the object as it is now.
func (r *Reconciler) gather(ctx context.Context, wf *v1alpha1.Workflow, known *run) (flow.World, error) {
	spec, err := r.specOf(ctx, wf, known)
	if err != nil {
		return flow.World{}, err
	}
	if known.Spec == nil && known.Repo == nil {
		if known.Repo, err = r.Repos.Find(ctx, wf.Namespace, spec.ArtifactRepositoryRef); err != nil {
			return flow.World{}, err
		}
	}
	world := flow.World{
		Name: wf.Name, Namespace: wf.Namespace, UID: string(wf.UID), Labels: wf.Labels, Annotations: wf.Annotations,
		Created: wf.CreationTimestamp.Time, Spec: spec, Pods: map[string]flow.Pod{},
		Tasks: r.endedTasks(string(wf.UID), known), Answers: known.Found, Held: known.held, Now: time.Now(),
	}
	if known.Repo != nil {
		world.Repository = known.Repo.ArtifactRepository
	}
	for id, why := range known.refused {
		world.Pods[id] = flow.Pod{Phase: flow.PodFailed, Broken: true, Message: why}
	}
	if known.plan == nil {
		err = r.seeAll(ctx, wf, known, world.Pods)
	} else {
		err = r.seeNew(ctx, wf, known, world.Pods)
	}
	if err != nil {
		known.plan = nil // what was not seen now must be found again
	}
	return world, err
}

// seeAll takes what is known of all pods of a run into its world, by node, and begins a plan.
func (r *Reconciler) seeAll(ctx context.Context, wf *v1alpha1.Workflow, known *run, into map[string]flow.Pod) error {
	r.sightings.follow(known.name)
	var pods corev1.PodList
	if err := r.Client.List(ctx, &pods, client.InNamespace(wf.Namespace),
		client.MatchingLabels{object.LabelWorkflow: wf.Name}, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list pods: %w", err)
	}
	for i := range pods.Items {
		if err := r.see(ctx, wf, known, &pods.Items[i], into); err != nil {
			return err
		}
	}
	for id := range known.State.Nodes {
		if _, there := into[id]; !there {
			known.miss(id, into)
		}
	}
	known.plan = engine.NewPlan(known.State)
	return nil
}

// seeNew takes what is known of those pods into a world that something happened to, and lets the plan look again at
// those that were asked for long ago and are not there.
func (r *Reconciler) seeNew(ctx context.Context, wf *v1alpha1.Workflow, known *run, into map[string]flow.Pod) error {
	for name, id := range r.sightings.take(known.name) {
		var pod corev1.Pod
		err := r.Client.Get(ctx, types.NamespacedName{Namespace: wf.Namespace, Name: name}, &pod)
		switch {
		case apierrors.IsNotFound(err):
			known.miss(id, into)
		case err != nil:
			return fmt.Errorf("read pod %s/%s: %w", wf.Namespace, name, err)
		default:
			if err := r.see(ctx, wf, known, &pod, into); err != nil {
				return err
			}
		}
	}
	for id, at := range known.asked {
		if time.Since(at) >= askAgain {
			known.plan.Again(id)
		}
	}
	return nil
}

// see takes what is known of a pod into a world.
func (r *Reconciler) see(ctx context.Context, wf *v1alpha1.Workflow, known *run, pod *corev1.Pod,
	into map[string]flow.Pod) error {
	id := pod.Annotations[object.AnnotationNodeID]
	if id == "" || !object.OwnedBy(pod, wf) || known.State.Nodes[id].Phase.Fulfilled() {
		return nil
	}
	seen, err := r.Pods.View(ctx, pod)
	if err != nil {
		return err
	}
	into[id] = seen
	known.seen[id] = true
	delete(known.asked, id)
	return nil
}

// miss takes into a world that the pod of a node is not there, if it was.
func (r *run) miss(id string, into map[string]flow.Pod) {
	n := r.State.Nodes[id]
	if n.Type == v1alpha1.NodeTypePod && !n.Phase.Fulfilled() && (r.seen[id] || n.Phase == v1alpha1.NodeRunning) {
		into[id] = flow.Pod{Phase: flow.PodLost}
	}
}

// askAgain is how long a pod that was asked for may stay unseen before it is asked
// for again; the watch is usually there within milliseconds.
const askAgain = 30 * time.Second

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
