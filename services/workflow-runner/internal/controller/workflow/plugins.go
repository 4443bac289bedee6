package workflow

import (
	"context"
	"fmt"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// annotationPlugins marks a workflow that may have pods of plugins.
const annotationPlugins = "argosy.dev/plugins"

// AnnouncePlugins marks a workflow before the first pod of a plugin is made for it.
func (r *Reconciler) AnnouncePlugins(ctx context.Context, namespace, name, uid string) error {
	wf := object.Workflow()
	wf.SetNamespace(namespace)
	wf.SetName(name)
	body := object.JSON(map[string]any{"metadata": map[string]any{"uid": uid,
		"annotations": map[string]string{annotationPlugins: "true"}}})
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
