package workflow

import (
	"context"
	"fmt"

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
		shown.Conditions = append(shown.Conditions, v1alpha1.Condition{Type: "SpecWarning", Status: "True", Message: w.String()})
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
	body, err := status.Change("", v1alpha1.WorkflowStatus{Phase: v1alpha1.WorkflowError, Message: "invalid spec: " + cause.Error(), StartedAt: &at, FinishedAt: &at,
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
	body := object.JSON(map[string]any{"metadata": metadata, "status": map[string]any{"nodes": nil, "message": nil, "finishedAt": nil, "outputs": nil,
		"conditions": nil, "compressedNodes": nil, "offloadNodeStatusVersion": nil, "persistentVolumeClaims": nil}})
	if err := r.Client.Patch(ctx, target, client.RawPatch(types.MergePatchType, body)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("take back the status: %w", err)
	}
	if version := target.GetResourceVersion(); version != "" {
		raw.SetResourceVersion(version)
	}
	return nil
}
