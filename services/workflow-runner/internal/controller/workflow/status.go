package workflow

import (
	"context"
	"fmt"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/flow/nodes"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/status"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// picture is the change that shows a run in its object. It is a picture of the journal: whoever draws it last draws the
// same or a newer one.
func (r *run) picture(version string, warnings []v1alpha1.FieldWarning) ([]byte, error) {
	shown := status.Of(r.State)
	shown.Progress = status.Progress(r.progress())
	if r.Repo != nil && !r.Repo.Default {
		shown.ArtifactRepositoryRef = r.Repo
	}
	for _, w := range warnings {
		shown.Conditions = append(shown.Conditions,
			v1alpha1.Condition{Type: "SpecWarning", Status: "True", Message: w.String()})
	}
	return status.Change(version, shown, r.State.Metadata)
}

// progress counts the nodes of the run that are complete, and all that count.
func (r *run) progress() (done, all int) {
	if r.plan != nil {
		return r.plan.Progress()
	}
	return nodes.Progress(r.State.Nodes)
}

// refuse marks a workflow that cannot be read with the fields that are wrong.
func (r *Reconciler) refuse(ctx context.Context, raw *unstructured.Unstructured, cause error) error {
	at := metav1.Now()
	r.Log.WarnContext(ctx, "workflow refused", "workflow", raw.GetNamespace()+"/"+raw.GetName(), "error", cause)
	body, err := status.Change("", v1alpha1.WorkflowStatus{Phase: v1alpha1.WorkflowError,
		Message: "invalid spec: " + cause.Error(), StartedAt: &at, FinishedAt: &at,
		Conditions: []v1alpha1.Condition{{Type: "SpecError", Status: "True", Message: cause.Error()}}}, nil)
	if err != nil {
		return err
	}
	return r.patch(ctx, raw, body)
}

// patch changes a workflow. One that is gone needs no change.
func (r *Reconciler) patch(ctx context.Context, raw *unstructured.Unstructured, body []byte) error {
	target := &unstructured.Unstructured{}
	target.SetGroupVersionKind(raw.GroupVersionKind())
	target.SetNamespace(raw.GetNamespace())
	target.SetName(raw.GetName())
	err := r.Client.Patch(ctx, target, client.RawPatch(types.MergePatchType, body))
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("project status: %w", err)
	}
	return nil
}

// wipe takes away what a retry took back, or what somebody else wrote: the projection only adds.
func (r *Reconciler) wipe(ctx context.Context, raw *unstructured.Unstructured, known *run) error {
	target := object.Workflow()
	target.SetNamespace(raw.GetNamespace())
	target.SetName(raw.GetName())
	metadata := map[string]any{"labels": map[string]any{object.LabelCompleted: nil}}
	if version := known.lookedAt(raw); version != "" {
		metadata["resourceVersion"] = version
	}
	body := object.JSON(map[string]any{"metadata": metadata,
		"status": map[string]any{"nodes": nil, "message": nil, "finishedAt": nil, "outputs": nil,
			"conditions": nil, "compressedNodes": nil, "offloadNodeStatusVersion": nil, "persistentVolumeClaims": nil}})
	if err := r.Client.Patch(ctx, target, client.RawPatch(types.MergePatchType,
		body)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("take back the status: %w", err)
	}
	if version := target.GetResourceVersion(); version != "" {
		raw.SetResourceVersion(version)
	}
	return nil
}

// show writes the status when it is behind. Between two writings it waits, unless the run has ended; wake then becomes
// the end of the wait. A run that goes on does not wait for the API server, which takes its time with many nodes.
func (r *Reconciler) show(ctx context.Context, raw *unstructured.Unstructured, known *run,
	warnings []v1alpha1.FieldWarning, wake time.Time) (time.Time, error) {
	uid, ended := string(raw.GetUID()), known.State.Phase.Completed()
	if err := r.shows.end(ctx, uid, ended); err != nil {
		known.behind = true
		return time.Time{}, overtaken(err)
	}
	if !known.behind {
		return wake, nil
	}
	now := time.Now()
	next := known.shown.Add(known.every())
	if r.shows.busy(uid) && next.Before(now) {
		next = now.Add(showEvery)
	}
	if now.Before(next) && !ended {
		if wake.IsZero() || next.Before(wake) {
			wake = next
		}
		return wake, nil
	}
	if known.stale || known.foreign {
		if err := r.wipe(ctx, raw, known); err != nil {
			return time.Time{}, overtaken(err)
		}
		known.stale, known.foreign = false, false
	}
	body, err := known.picture(known.lookedAt(raw), warnings)
	if err != nil {
		return time.Time{}, err
	}
	known.behind, known.shown = false, now
	r.shows.begin(ctx, uid, func(ctx context.Context) error { return r.patch(ctx, raw, body) },
		func() { r.Nudge(ctx, raw.GetNamespace(), raw.GetName()) })
	if !ended {
		return wake, nil
	}
	if err := r.shows.end(ctx, uid, true); err != nil {
		known.behind = true
		return time.Time{}, overtaken(err)
	}
	return wake, nil
}

// lookedAt is the version of an object that may be written over. While a node waits for a person that is the one whose
// status was looked through for edits: what was written since then must not be lost. "" is any.
func (r *run) lookedAt(raw *unstructured.Unstructured) string {
	for _, n := range r.State.Nodes {
		if n.Type == v1alpha1.NodeTypeSuspend && n.Phase == v1alpha1.NodeRunning {
			return raw.GetResourceVersion()
		}
	}
	return ""
}

// overtaken is the error of a writing that came second: the object is looked at again first.
func overtaken(err error) error {
	if apierrors.IsConflict(err) {
		return fault.AsStale(err)
	}
	return err
}

// showEvery bounds how often the status of one workflow is written: a fan-out moves
// many nodes at once, and each writing carries all of them.
const showEvery = 250 * time.Millisecond

// showManyEvery is the same for a workflow with more than showMany nodes.
const showManyEvery = time.Second

// every is how often the status of a run may be written.
func (r *run) every() time.Duration {
	if len(r.State.Nodes) > status.Many {
		return showManyEvery
	}
	return showEvery
}
