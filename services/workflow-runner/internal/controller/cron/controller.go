// Package cron makes the runs of CronWorkflows.
package cron

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	kubeobject "github.com/argosy-mesh/argosy/libs/kube/object"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/flow/cron"
	"github.com/argosy-mesh/argosy/libs/kube"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/meter"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
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
	u := kubeobject.New("CronWorkflow")
	return u
}

// List is a list of them.
func List() *unstructured.UnstructuredList {
	l := kubeobject.NewList("CronWorkflow")
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
		return reconcile.Result{}, x.show(ctx, raw, c,
			v1alpha1.CronWorkflowStatus{Conditions: []v1alpha1.Condition{{Type: "SpecError", Status: "True",
				Message: err.Error()}}})
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
