package workflow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/span"
	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/parallel"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/pods"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// The strategies of podGC.
const (
	onPodCompletion      = "OnPodCompletion"
	onPodSuccess         = "OnPodSuccess"
	onWorkflowCompletion = "OnWorkflowCompletion"
	onWorkflowSuccess    = "OnWorkflowSuccess"
)

// afterwards cleans up after a run that has ended: pods, what protects them, and the workflow itself, each in its time.
func (r *Reconciler) afterwards(ctx context.Context, raw *unstructured.Unstructured) (reconcile.Result, error) {
	wf, _, _ := v1alpha1.DecodeTolerant[v1alpha1.Workflow](raw.Object)
	again, err := r.collectPods(ctx, wf, func(string) bool { return true })
	if err != nil {
		return reconcile.Result{}, err
	}
	if wf.Spec.PodDisruptionBudget != nil {
		pdb := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: wf.Namespace, Name: wf.Name}}
		if err := r.Client.Delete(ctx, pdb); client.IgnoreNotFound(err) != nil {
			return reconcile.Result{}, fmt.Errorf("remove the disruption budget of workflow %s/%s: %w", wf.Namespace,
				wf.Name,
				err)
		}
	}
	if err := r.sweepPlugins(ctx, wf); err != nil {
		return reconcile.Result{}, err
	}
	left, expires := timeToLive(wf, time.Now())
	switch {
	case !expires:
		return reconcile.Result{RequeueAfter: again}, nil
	case left > 0 && (again == 0 || left < again):
		return reconcile.Result{RequeueAfter: left}, nil
	case left > 0:
		return reconcile.Result{RequeueAfter: again}, nil
	}
	return reconcile.Result{}, client.IgnoreNotFound(r.Client.Delete(ctx, raw, client.Preconditions{UID: &wf.UID},
		client.PropagationPolicy(metav1.DeletePropagationBackground)))
}

// timeToLive says how long a workflow may still stay. Source: Argo Workflows, the time after success or failure wins
// over that after completion.
func timeToLive(wf *v1alpha1.Workflow, now time.Time) (left time.Duration, expires bool) {
	t := wf.Spec.TTLStrategy
	if t == nil || wf.Status.FinishedAt == nil {
		return 0, false
	}
	seconds := t.SecondsAfterCompletion
	switch {
	case wf.Status.Phase == v1alpha1.WorkflowSucceeded && t.SecondsAfterSuccess != nil:
		seconds = t.SecondsAfterSuccess
	case wf.Status.Phase != v1alpha1.WorkflowSucceeded && t.SecondsAfterFailure != nil:
		seconds = t.SecondsAfterFailure
	}
	if seconds == nil {
		return 0, false
	}
	return max(wf.Status.FinishedAt.Add(span.Seconds(*seconds)).Sub(now), 0), true
}

// podDelay is how long a pod that may go stays. Source: Argo Workflows, deleteDelayDuration, 5 s.
const podDelay = 5 * time.Second

// collectPods removes the pods that podGC says whose node is over, and says when to look again for those that are too
// young.
func (r *Reconciler) collectPods(ctx context.Context, wf *v1alpha1.Workflow,
	over func(node string) bool) (again time.Duration, err error) {
	gc := wf.Spec.PodGC
	if gc == nil || gc.Strategy == "" {
		return 0, nil
	}
	chosen := labels.Everything()
	if gc.LabelSelector != nil {
		if chosen, err = metav1.LabelSelectorAsSelector(gc.LabelSelector); err != nil {
			return 0, nil //nolint:nilerr // a selector that cannot be read selects nothing
		}
	}
	delay := podDelay
	if d, err := time.ParseDuration(gc.DeleteDelayDuration); err == nil {
		delay = d
	}
	var pods corev1.PodList
	if err := r.Client.List(ctx, &pods, client.InNamespace(wf.Namespace),
		client.MatchingLabels{object.LabelWorkflow: wf.Name}, client.UnsafeDisableDeepCopy); err != nil {
		return 0, fmt.Errorf("list pods: %w", err)
	}
	var old []*corev1.Pod
	for i := range pods.Items {
		pod := &pods.Items[i]
		if !object.OwnedBy(pod, wf) || !over(pod.Annotations[object.AnnotationNodeID]) ||
			!chosen.Matches(labels.Set(pod.Labels)) || !mayGo(gc.Strategy, pod, wf.Status.Phase) {
			continue
		}
		if left := delay - time.Since(endOf(pod)); left > 0 {
			again = max(again, left)
			continue
		}
		old = append(old, pod)
	}
	return again, parallel.Do(actAtOnce, old,
		func(pod *corev1.Pod) error { return client.IgnoreNotFound(r.Client.Delete(ctx, pod)) })
}

func mayGo(strategy string, pod *corev1.Pod, phase v1alpha1.WorkflowPhase) bool {
	done := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
	switch strategy {
	case onPodCompletion:
		return done
	case onPodSuccess:
		return pod.Status.Phase == corev1.PodSucceeded
	case onWorkflowCompletion:
		return phase.Completed()
	case onWorkflowSuccess:
		return phase == v1alpha1.WorkflowSucceeded
	}
	return false
}

func endOf(pod *corev1.Pod) time.Time {
	if at := pods.LastEnd(pod); !at.IsZero() {
		return at
	}
	return pod.CreationTimestamp.Time
}

// protect makes the disruption budget that a workflow asks for, over its own pods.
func (r *Reconciler) protect(ctx context.Context, wf *v1alpha1.Workflow) error {
	if wf.Spec.PodDisruptionBudget == nil {
		return nil
	}
	controller := true
	pdb := &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Namespace: wf.Namespace, Name: wf.Name,
			Labels: map[string]string{object.LabelWorkflow: wf.Name},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: v1alpha1.GroupVersion.String(), Kind: "Workflow",
				Name: wf.Name, UID: wf.UID, Controller: &controller}}},
		Spec: *wf.Spec.PodDisruptionBudget.DeepCopy(),
	}
	pdb.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{object.LabelWorkflow: wf.Name}}
	if err := r.Client.Create(ctx, pdb); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("protect the pods of workflow %s/%s: %w", wf.Namespace, wf.Name, err)
	}
	return nil
}

// claims makes the volume claims of a workflow and returns the volumes that its pods see them by. Source: Argo
// Workflows names them <workflow>-<claim>.
func (r *Reconciler) claims(ctx context.Context, wf *v1alpha1.Workflow,
	templates []corev1.PersistentVolumeClaim) error {
	for i := range templates {
		claim := templates[i].DeepCopy()
		claim.Namespace, claim.Name = wf.Namespace, wf.Name+"-"+templates[i].Name
		controller := true
		claim.OwnerReferences = []metav1.OwnerReference{{APIVersion: v1alpha1.GroupVersion.String(), Kind: "Workflow",
			Name: wf.Name, UID: wf.UID, Controller: &controller}}
		if err := r.Client.Create(ctx, claim); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("claim volume %s/%s: %w", wf.Namespace, claim.Name, err)
		}
	}
	return nil
}

// letGo takes upstream's finalizer off a workflow that is being removed: whoever put it there is not here.
func (r *Reconciler) letGo(ctx context.Context, raw *unstructured.Unstructured) error {
	free := raw.DeepCopy()
	if !controllerutil.RemoveFinalizer(free, UpstreamFinalizer) {
		return nil
	}
	if err := r.Client.Patch(ctx, free, client.MergeFrom(raw)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("let workflow %s/%s go: %w", raw.GetNamespace(), raw.GetName(), err)
	}
	return nil
}

// UpstreamFinalizer is what Argo Workflows holds a workflow with until its artifacts are gone. Here a note on the bus
// does that, so that nothing ever waits for a store.
const UpstreamFinalizer = "workflows.argoproj.io/artifact-gc"

// settle completes the note of what a run that has ended left behind.
func (r *Reconciler) settle(ctx context.Context, wf *v1alpha1.Workflow, known *run) error {
	if known.settled || !known.State.Phase.Completed() {
		return nil
	}
	err := r.Janitor.Settle(ctx, wf, known.Run)
	known.settled = err == nil
	return err
}

// mend does what a replica that died after recording a node's end did not get to: give back the node's locks, and stop
// its pod. Nodes that are at work need nothing, since their actions are decided again.
func (r *Reconciler) mend(ctx context.Context, wf *v1alpha1.Workflow, known *run) error {
	over := func(node string) bool { return known.State.Nodes[node].Phase.Fulfilled() }
	errs := []error{r.Locks.Sweep(ctx, string(wf.UID), over)}
	var list corev1.PodList
	if err := r.Client.List(ctx, &list, client.InNamespace(wf.Namespace),
		client.MatchingLabels{object.LabelWorkflow: wf.Name}); err != nil {
		return errors.Join(append(errs, fmt.Errorf("list pods: %w", err))...)
	}
	for i := range list.Items {
		pod := &list.Items[i]
		node := pod.Annotations[object.AnnotationNodeID]
		phase := pods.PhaseOf(pod)
		if !over(node) || !object.OwnedBy(pod, wf) || phase != flow.PodPending && phase != flow.PodRunning {
			continue
		}
		errs = append(errs, r.stopPod(ctx, wf.Namespace, flow.StopPod{NodeID: node, PodName: pod.Name}))
	}
	return errors.Join(errs...)
}
