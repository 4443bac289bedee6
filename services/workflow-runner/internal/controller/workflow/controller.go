// Package workflow is the shell around libs/flow: it gathers a run's world from its
// journal and its pods, records what the core decides, acts on it and reports.
//
// Order at every step: append to the journal (expected last sequence), then act,
// then project. A crash after the append leaves actions undone: the next look at
// the run decides them again, since the core asks for a pod until it is seen. A
// crash after acting leaves a projection behind: the next look writes it.
package workflow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	kubeobject "github.com/argosy-mesh/argosy/libs/kube/object"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/engine"
	"github.com/argosy-mesh/argosy/libs/flow/lint"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/artifact"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/lock"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/meter"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/pods"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/task"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/thin"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// Config is what a Runner works with.
type Config struct {
	Client   client.Client
	Reader   client.Reader // not cached: what is looked up once
	Bus      *bus.Bus
	Log      *slog.Logger
	Locks    *lock.Locks
	Pods     *pods.Pods
	Repos    *artifact.Repositories
	Desk     *task.Executor
	Accounts *task.Accounts
	Janitor  *artifact.GC
	Meters   *meter.Upstream
	Metrics  *meter.Own
	Nudge    func(ctx context.Context, namespace, name string) // asks for another look at a workflow
}

// Reconciler reconciles workflows.
type Reconciler struct {
	Config
	runs      *runs
	sightings *podEvents
	shows     *statusWriter
}

// New makes one that knows of no run yet.
func New(c Config) *Reconciler {
	return &Reconciler{Config: c, runs: newRuns(c.Bus), sightings: newSightings(), shows: newShows()}
}

// Control has the manager call the reconciler: for workflows, for what happens to their pods, and for those that became
// this replica's.
func (r *Reconciler) Control(mgr manager.Manager, owns func(workflow string) bool,
	regain <-chan event.GenericEvent) error {
	err := builder.ControllerManagedBy(mgr).Named("workflow").
		For(object.Workflow(), builder.WithPredicates(ours(owns))).
		Watches(&corev1.Pod{}, r.sightings.handler(owns)).
		WatchesRawSource(source.Channel(regain, &handler.EnqueueRequestForObject{})).
		WithOptions(controller.Options{MaxConcurrentReconciles: 16}).
		Complete(r.Owned(owns))
	if err != nil {
		return fmt.Errorf("set up the workflow controller: %w", err)
	}
	return nil
}

// ours passes over what happens to workflows of other replicas: asking the queue costs more than hearing of it. When
// members change all workflows are looked at again, and what was passed over until then with them. That one is gone is
// always passed on, since nobody would look at it again.
func ours(owns func(workflow string) bool) predicate.Predicate {
	owned := func(o client.Object) bool { return owns(o.GetNamespace() + "/" + o.GetName()) }
	return predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool { return owned(e.Object) },
		UpdateFunc: func(e event.UpdateEvent) bool { return owned(e.ObjectNew) },
	}
}

// Owned is the reconciler of the workflows that are this replica's. What it knows of one that became another's is
// forgotten.
func (r *Reconciler) Owned(owns func(workflow string) bool) reconcile.Reconciler {
	return reconcile.Func(func(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
		if owns(req.String()) {
			return r.Reconcile(ctx, req)
		}
		if r.sightings.drop(req.String()) {
			r.runs.forgetName(req.String())
		}
		return reconcile.Result{}, nil
	})
}

// Reconcile brings one workflow as far as it can go now.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	raw, err := r.read(ctx, req.NamespacedName)
	if err != nil {
		if apierrors.IsNotFound(err) {
			for _, uid := range r.runs.forgetName(req.String()) {
				r.Desk.DropRun(uid)
			}
			r.sightings.drop(req.String())
			r.Janitor.Look(req.String())
			return reconcile.Result{}, nil
		}
		return reconcile.Result{}, fmt.Errorf("read workflow %s: %w", req, err)
	}
	uid := string(raw.GetUID())
	if raw.GetLabels()[object.LabelCompleted] == "true" || raw.GetDeletionTimestamp() != nil {
		r.runs.forget(uid)
		r.sightings.drop(req.String())
		r.Desk.DropRun(uid)
		if raw.GetDeletionTimestamp() != nil {
			return reconcile.Result{}, r.letGo(ctx, raw)
		}
		r.Janitor.Look(req.String())
		return r.afterwards(ctx, raw)
	}
	began := time.Now()
	wake, err := r.advance(ctx, raw)
	r.Meters.Operations.Observe(time.Since(began).Seconds())
	switch fault.Of(err) {
	case fault.None:
	case fault.Poison:
		return reconcile.Result{}, r.refuse(ctx, raw, err)
	case fault.Stale:
		// Another owner was faster; its journal is the truth.
		r.Log.DebugContext(ctx, "run was overtaken", "workflow", req.String())
		return reconcile.Result{RequeueAfter: 200 * time.Millisecond}, nil
	default:
		return reconcile.Result{}, fmt.Errorf("advance workflow %s: %w", req, err)
	}
	if !wake.IsZero() {
		return reconcile.Result{RequeueAfter: max(time.Until(wake), time.Millisecond)}, nil
	}
	return reconcile.Result{}, nil
}

// read reads a workflow out of the cache. Of one that became ours and still runs the cache may lack parts until it
// changes next: it is read from the API server.
func (r *Reconciler) read(ctx context.Context, name types.NamespacedName) (*unstructured.Unstructured, error) {
	raw := kubeobject.New("Workflow")
	if err := r.Client.Get(ctx, name, raw); err != nil {
		return nil, err
	}
	if !thin.Missing(raw) || raw.GetLabels()[object.LabelCompleted] == "true" || raw.GetDeletionTimestamp() != nil {
		return raw, nil
	}
	raw = kubeobject.New("Workflow")
	if err := r.Reader.Get(ctx, name, raw); err != nil {
		return nil, err
	}
	_, err := object.Slim(raw)
	return raw, err
}

func (r *Reconciler) advance(ctx context.Context, raw *unstructured.Unstructured) (time.Time, error) {
	uid := string(raw.GetUID())
	wf, warnings, decodeErr := v1alpha1.DecodeTolerant[v1alpha1.Workflow](raw.Object)
	known, err := r.runs.load(ctx, raw.GetNamespace(), raw.GetName(), uid)
	if err != nil {
		return time.Time{}, err
	}
	if decodeErr != nil && known.Spec == nil {
		return time.Time{}, r.refuse(ctx, raw, decodeErr)
	}
	// A run without nodes has nothing to mend, and most runs are new.
	if !known.mended && len(known.State.Nodes) > 0 {
		if err := r.mend(ctx, wf, known); err != nil {
			return time.Time{}, err
		}
	}
	known.mended = true
	if err := r.tellFresh(ctx, wf, known); err != nil {
		return time.Time{}, err
	}
	if err := r.takeOrders(ctx, raw, wf, known); err != nil {
		return time.Time{}, err
	}
	wake, err := r.decide(ctx, wf, known)
	if err != nil {
		return time.Time{}, err
	}
	over := func(node string) bool { return known.State.Nodes[node].Phase.Fulfilled() }
	if again, err := r.collectPods(ctx, wf, over); err != nil {
		return time.Time{}, err
	} else if next := time.Now().Add(again); again > 0 && (wake.IsZero() || next.Before(wake)) {
		wake = next
	}
	if err := errors.Join(r.tellFresh(ctx, wf, known), r.settle(ctx, wf, known)); err != nil {
		return time.Time{}, err
	}
	return r.show(ctx, raw, known, warnings, wake)
}

// takeOrders carries out what people ask of a run: by annotations, and in its status.
func (r *Reconciler) takeOrders(ctx context.Context, raw *unstructured.Unstructured, wf *v1alpha1.Workflow,
	known *run) error {
	if err := r.applyUserOperations(ctx, wf, known); err != nil {
		return err
	}
	return r.applyEdit(ctx, raw, wf, known)
}

// maxRounds bounds how often one look at a run may ask and decide again.
const maxRounds = 100

// decide takes a run as far as it goes now: decisions are recorded, then acted on; what the core asked for is found and
// recorded too, and locks that were granted let it go on.
func (r *Reconciler) decide(ctx context.Context, wf *v1alpha1.Workflow, known *run) (wake time.Time, err error) {
	for range maxRounds {
		world, err := r.gather(ctx, wf, known)
		if err != nil {
			return wake, err
		}
		decision := known.decide(world)
		if err := r.record(ctx, wf, known, world, decision); err != nil {
			r.runs.forget(string(wf.UID)) // its state is ahead of its journal
			return wake, err
		}
		granted, err := r.act(ctx, wf, known, decision.Actions)
		if err != nil {
			known.plan = nil // what could not be done is asked for again
			return wake, err
		}
		wake = decision.Wake
		if len(decision.Lookups) == 0 && !granted {
			return r.beforeRetry(wake, decision.Actions), nil
		}
		if err := r.resolve(ctx, wf, known, decision.Lookups); err != nil {
			return wake, err
		}
	}
	return time.Now(), nil
}

// decide is [flow.Plan.Decide], which begins no run whose spec is wrong: of a mistake in its last step, its first must
// not have effects. Source: Argo Workflows fails such a workflow before its first pod.
func (r *run) decide(world flow.World) flow.Decision {
	if r.State.Phase != "" {
		return r.plan.Decide(world)
	}
	err := lint.Errors(lint.Spec(&world.Spec))
	if err == nil {
		return r.plan.Decide(world)
	}
	change := &flow.RunChange{Phase: v1alpha1.WorkflowFailed, Message: "invalid spec: " + err.Error(),
		StartedAt: &world.Now, FinishedAt: &world.Now}
	r.plan = engine.NewPlan(r.State.With(change))
	return flow.Decision{Run: change}
}

// tellFresh tells about the last record, if nobody did.
func (r *Reconciler) tellFresh(ctx context.Context, wf *v1alpha1.Workflow, known *run) error {
	if known.fresh == nil {
		return nil
	}
	if err := r.tell(ctx, wf, known, *known.fresh); err != nil {
		return err
	}
	known.fresh = nil
	return nil
}
