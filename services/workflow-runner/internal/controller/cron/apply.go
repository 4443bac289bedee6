package cron

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/libs/flow/cron"
	"github.com/argosy-mesh/argosy/libs/kube"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// apply acts first and writes the status then: what a crash in between repeats is no second effect.
func (x *Reconciler) apply(ctx context.Context, raw *unstructured.Unstructured, c *v1alpha1.CronWorkflow,
	d cron.Decision) error {
	for _, name := range d.Terminate {
		if err := x.terminate(ctx, c.Namespace, name); err != nil {
			return err
		}
	}
	for _, at := range d.Submit {
		err := x.submit(ctx, raw, c, at)
		if apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsForbidden(err) {
			x.Meters.Errors.WithLabelValues("CronWorkflowSubmissionError").Inc()
			d.Status.Conditions = append(d.Status.Conditions,
				v1alpha1.Condition{Type: "SubmissionError", Status: "True", Message: err.Error()})
			d.Status.Active = c.Status.Active
			err = nil
		}
		if err != nil {
			return err
		}
	}
	for _, name := range d.Delete {
		u := object.Workflow()
		u.SetNamespace(c.Namespace)
		u.SetName(name)
		if err := client.IgnoreNotFound(x.Client.Delete(ctx, u,
			client.PropagationPolicy(metav1.DeletePropagationBackground))); err != nil {
			return fmt.Errorf("remove run %s: %w", name, err)
		}
	}
	return x.show(ctx, raw, c, d.Status)
}

func (x *Reconciler) terminate(ctx context.Context, namespace, name string) error {
	u := object.Workflow()
	u.SetNamespace(namespace)
	u.SetName(name)
	body := object.JSON(map[string]any{"spec": map[string]any{"shutdown": v1alpha1.ShutdownTerminate}})
	if err := x.Client.Patch(ctx, u, client.RawPatch(types.MergePatchType, body)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("replace run %s: %w", name, err)
	}
	return nil
}

// submit makes the run of a time. Source: Argo Workflows, names, labels and annotations of the runs.
func (x *Reconciler) submit(ctx context.Context, raw *unstructured.Unstructured, c *v1alpha1.CronWorkflow,
	at time.Time) error {
	spec, _, _ := unstructured.NestedMap(raw.Object, "spec", "workflowSpec")
	wf := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	wf.SetGroupVersionKind(v1alpha1.Kind("Workflow"))
	wf.SetNamespace(c.Namespace)
	wf.SetName(cron.RunName(c.Name, at))
	labels, annotations := map[string]string{}, map[string]string{}
	if m := c.Spec.WorkflowMetadata; m != nil {
		maps.Copy(labels, m.Labels)
		maps.Copy(annotations, m.Annotations)
		wf.SetFinalizers(m.Finalizers)
	}
	labels[labelCron] = c.Name
	annotations[AnnotationScheduled] = at.UTC().Format(time.RFC3339)
	annotations[lineage.KeyAnnotation] = bus.Key(string(c.UID), at.UTC().Format(time.RFC3339))
	wf.SetLabels(labels)
	wf.SetAnnotations(annotations)
	wf.SetOwnerReferences([]metav1.OwnerReference{*metav1.NewControllerRef(c, v1alpha1.Kind("CronWorkflow"))})
	created, err := kube.CreateOnce(ctx, x.Client, wf)
	if created {
		x.Meters.Crons.WithLabelValues(c.Name, c.Namespace).Inc()
		x.Log.InfoContext(ctx, "cron workflow fired", "cron_workflow", c.Namespace+"/"+c.Name, "workflow", wf.GetName(),
			"late", x.Now().Sub(at))
	}
	return err
}

// backfill makes the runs of a span that was asked for. Those that exist already are not made again.
func (x *Reconciler) backfill(ctx context.Context, raw *unstructured.Unstructured, c *v1alpha1.CronWorkflow) error {
	text, asked := c.Annotations[annotationBackfill]
	if !asked {
		return nil
	}
	var said any
	times, err := backfillTimes(c.Spec, text)
	if err != nil {
		said = err.Error()
		x.Log.WarnContext(ctx, "backfill was refused", "cron_workflow", c.Namespace+"/"+c.Name, "error", err)
	}
	for _, at := range times {
		if err := x.submit(ctx, raw, c, at); err != nil {
			return fmt.Errorf("backfill: %w", err)
		}
	}
	target := Object()
	target.SetNamespace(c.Namespace)
	target.SetName(c.Name)
	body := object.JSON(map[string]any{"metadata": map[string]any{"annotations": map[string]any{annotationBackfill: nil,
		"argosy.dev/refused-orders": said}}})
	return client.IgnoreNotFound(x.Client.Patch(ctx, target, client.RawPatch(types.MergePatchType, body)))
}

func backfillTimes(spec v1alpha1.CronWorkflowSpec, text string) ([]time.Time, error) {
	first, last, _ := strings.Cut(text, "/")
	from, err := time.Parse(time.RFC3339, first)
	if err != nil {
		return nil, fmt.Errorf("%s: %q is no span such as 2026-01-01T00:00:00Z/2026-01-02T00:00:00Z",
			annotationBackfill,
			text)
	}
	until, err := time.Parse(time.RFC3339, last)
	if err != nil {
		return nil, fmt.Errorf("%s: %q is no span such as 2026-01-01T00:00:00Z/2026-01-02T00:00:00Z",
			annotationBackfill,
			text)
	}
	return cron.Between(spec, from, until, backfillLimit)
}
