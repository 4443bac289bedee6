package cron

import (
	"context"
	"fmt"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// show writes the status if it is another.
func (x *Reconciler) show(ctx context.Context, raw *unstructured.Unstructured, c *v1alpha1.CronWorkflow,
	status v1alpha1.CronWorkflowStatus) error {
	if equality.Semantic.DeepEqual(c.Status, status) {
		return nil
	}
	next := raw.DeepCopy()
	value, err := object.UnstructuredOf(&status)
	if err != nil {
		return err
	}
	next.Object["status"] = value
	// With the version that was read: whoever is behind finds that out and looks again.
	if err := x.Client.Update(ctx, next); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("write the status of cron workflow %s/%s: %w", c.Namespace, c.Name, err)
	}
	return nil
}
