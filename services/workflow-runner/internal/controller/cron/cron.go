// Package cron makes the runs of CronWorkflows.
package cron

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/libs/flow/cron"
	"github.com/argosy-mesh/argosy/libs/kube"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/meter"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// What the runs of a CronWorkflow carry. Source: Argo Workflows.
const (
	labelCron           = "workflows.argoproj.io/cron-workflow"
	AnnotationScheduled = "workflows.argoproj.io/scheduled-time"
	// annotationBackfill asks for the runs of a span of the past, <RFC 3339>/<RFC 3339>: those that were never made.
	annotationBackfill = "argosy.dev/backfill"
	backfillLimit      = 1000
)

// Reconciler runs CronWorkflows. Every replica that owns one may fire it: the name of a run follows from its time.
type Reconciler struct {
	Client client.Client
	Log    *slog.Logger
	Now    func() time.Time
	Meters *meter.Upstream

	mu   sync.Mutex
	seen map[types.UID]time.Time // up to when times were decided about
}

// Control has the manager call the reconciler, for the CronWorkflows of this replica.
func (x *Reconciler) Control(mgr manager.Manager, members *bus.Members, regain <-chan event.GenericEvent) error {
	err := builder.ControllerManagedBy(mgr).Named("cronworkflow").
		For(Object()).
		Owns(object.Workflow()).
		WatchesRawSource(source.Channel(regain, &handler.EnqueueRequestForObject{})).
		WithOptions(controller.Options{MaxConcurrentReconciles: 4}).
		Complete(kube.OwnedOnly(members.Owns, x))
	if err != nil {
		return fmt.Errorf("set up the controller of CronWorkflows: %w", err)
	}
	return nil
}

// Object is a CronWorkflow to be read into.
func Object() *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(v1alpha1.Kind("CronWorkflow"))
	return u
}

// List is a list of them.
func List() *unstructured.UnstructuredList {
	l := &unstructured.UnstructuredList{}
	l.SetGroupVersionKind(v1alpha1.Kind("CronWorkflowList"))
	return l
}

// Reconcile makes the runs of one CronWorkflow that are due, and clears away old ones.
func (x *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	raw := Object()
	if err := x.Client.Get(ctx, req.NamespacedName, raw); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if raw.GetDeletionTimestamp() != nil {
		return reconcile.Result{}, nil
	}
	c, _, err := v1alpha1.DecodeTolerant[v1alpha1.CronWorkflow](raw.Object)
	if err != nil {
		return reconcile.Result{}, x.show(ctx, raw, c, v1alpha1.CronWorkflowStatus{Conditions: []v1alpha1.Condition{{Type: "SpecError", Status: "True", Message: err.Error()}}})
	}
	world, err := x.gather(ctx, c)
	if err != nil {
		return reconcile.Result{}, err
	}
	if err := x.backfill(ctx, raw, c); err != nil {
		return reconcile.Result{}, err
	}
	d := cron.Decide(world)
	if err := x.apply(ctx, raw, c, d); err != nil {
		return reconcile.Result{}, fmt.Errorf("cron workflow %s: %w", req, err)
	}
	x.mu.Lock()
	if x.seen == nil {
		x.seen = map[types.UID]time.Time{}
	}
	x.seen[c.UID] = d.Seen
	x.mu.Unlock()
	if d.Wake.IsZero() {
		return reconcile.Result{}, nil
	}
	return reconcile.Result{RequeueAfter: max(d.Wake.Sub(x.Now()), time.Millisecond)}, nil
}

func (x *Reconciler) gather(ctx context.Context, c *v1alpha1.CronWorkflow) (cron.World, error) {
	x.mu.Lock()
	seen := x.seen[c.UID]
	x.mu.Unlock()
	w := cron.World{Name: c.Name, Namespace: c.Namespace, Labels: c.Labels, Annotations: c.Annotations, Created: c.CreationTimestamp.Time,
		Spec: c.Spec, Status: c.Status, Seen: seen, Now: x.Now()}
	list := object.WorkflowList()
	if err := x.Client.List(ctx, list, client.InNamespace(c.Namespace), client.MatchingLabels{labelCron: c.Name}); err != nil {
		return w, fmt.Errorf("list the runs of cron workflow %s/%s: %w", c.Namespace, c.Name, err)
	}
	for i := range list.Items {
		u := &list.Items[i]
		if !metav1.IsControlledBy(u, c) {
			continue
		}
		phase, _, _ := unstructured.NestedString(u.Object, "status", "phase")
		finished, _, _ := unstructured.NestedString(u.Object, "status", "finishedAt")
		child := cron.Child{Name: u.GetName(), UID: string(u.GetUID()), Phase: v1alpha1.WorkflowPhase(phase)}
		if at, err := time.Parse(time.RFC3339, finished); err == nil {
			child.Finished = at
		}
		w.Children = append(w.Children, child)
	}
	return w, nil
}

// apply acts first and writes the status then: what a crash in between repeats is no second effect.
func (x *Reconciler) apply(ctx context.Context, raw *unstructured.Unstructured, c *v1alpha1.CronWorkflow, d cron.Decision) error {
	for _, name := range d.Terminate {
		if err := x.terminate(ctx, c.Namespace, name); err != nil {
			return err
		}
	}
	for _, at := range d.Submit {
		err := x.submit(ctx, raw, c, at)
		if apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsForbidden(err) {
			x.Meters.Errors.WithLabelValues("CronWorkflowSubmissionError").Inc()
			d.Status.Conditions = append(d.Status.Conditions, v1alpha1.Condition{Type: "SubmissionError", Status: "True", Message: err.Error()})
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
		if err := client.IgnoreNotFound(x.Client.Delete(ctx, u, client.PropagationPolicy(metav1.DeletePropagationBackground))); err != nil {
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
func (x *Reconciler) submit(ctx context.Context, raw *unstructured.Unstructured, c *v1alpha1.CronWorkflow, at time.Time) error {
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
		x.Log.InfoContext(ctx, "cron workflow fired", "cron_workflow", c.Namespace+"/"+c.Name, "workflow", wf.GetName(), "late", x.Now().Sub(at))
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
	body := object.JSON(map[string]any{"metadata": map[string]any{"annotations": map[string]any{annotationBackfill: nil, "argosy.dev/refused-orders": said}}})
	return client.IgnoreNotFound(x.Client.Patch(ctx, target, client.RawPatch(types.MergePatchType, body)))
}

func backfillTimes(spec v1alpha1.CronWorkflowSpec, text string) ([]time.Time, error) {
	first, last, _ := strings.Cut(text, "/")
	from, err := time.Parse(time.RFC3339, first)
	if err != nil {
		return nil, fmt.Errorf("%s: %q is no span such as 2026-01-01T00:00:00Z/2026-01-02T00:00:00Z", annotationBackfill, text)
	}
	until, err := time.Parse(time.RFC3339, last)
	if err != nil {
		return nil, fmt.Errorf("%s: %q is no span such as 2026-01-01T00:00:00Z/2026-01-02T00:00:00Z", annotationBackfill, text)
	}
	return cron.Between(spec, from, until, backfillLimit)
}

// show writes the status if it is another.
func (x *Reconciler) show(ctx context.Context, raw *unstructured.Unstructured, c *v1alpha1.CronWorkflow, status v1alpha1.CronWorkflowStatus) error {
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
