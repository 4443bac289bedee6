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
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/engine"
	"github.com/argosy-mesh/argosy/libs/flow/lint"
	"github.com/argosy-mesh/argosy/libs/kube"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/artifact"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/journal"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/lock"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/meter"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/pods"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/task"
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
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// askAgain is how long a pod that was asked for may stay unseen before it is asked
// for again; the watch is usually there within milliseconds.
const askAgain = 30 * time.Second

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

// Control has the manager call the reconciler: for workflows, for what happens to their pods, and for those that became this
// replica's.
func (r *Reconciler) Control(mgr manager.Manager, owns func(workflow string) bool, regain <-chan event.GenericEvent) error {
	err := builder.ControllerManagedBy(mgr).Named("workflow").
		For(object.Workflow()).
		Watches(&corev1.Pod{}, r.sightings.handler()).
		WatchesRawSource(source.Channel(regain, &handler.EnqueueRequestForObject{})).
		WithOptions(controller.Options{MaxConcurrentReconciles: 16}).
		Complete(r.Owned(owns))
	if err != nil {
		return fmt.Errorf("set up the workflow controller: %w", err)
	}
	return nil
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
	raw := &unstructured.Unstructured{}
	raw.SetGroupVersionKind(v1alpha1.Kind("Workflow"))
	if err := r.Client.Get(ctx, req.NamespacedName, raw); err != nil {
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

// settle completes the note of what a run that has ended left behind.
func (r *Reconciler) settle(ctx context.Context, wf *v1alpha1.Workflow, known *run) error {
	if known.settled || !known.State.Phase.Completed() {
		return nil
	}
	err := r.Janitor.Settle(ctx, wf, known.Run)
	known.settled = err == nil
	return err
}

// takeOrders carries out what people ask of a run: by annotations, and in its status.
func (r *Reconciler) takeOrders(ctx context.Context, raw *unstructured.Unstructured, wf *v1alpha1.Workflow, known *run) error {
	if err := r.applyUserOperations(ctx, wf, known); err != nil {
		return err
	}
	return r.heed(ctx, raw, wf, known)
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

// decide is [flow.Plan.Decide], which begins no run whose spec is wrong: of a mistake in its last step, its first must not
// have effects. Source: Argo Workflows fails such a workflow before its first pod.
func (r *run) decide(world flow.World) flow.Decision {
	if r.State.Phase != "" {
		return r.plan.Decide(world)
	}
	err := lint.Errors(lint.Spec(&world.Spec))
	if err == nil {
		return r.plan.Decide(world)
	}
	change := &flow.RunChange{Phase: v1alpha1.WorkflowFailed, Message: "invalid spec: " + err.Error(), StartedAt: &world.Now, FinishedAt: &world.Now}
	r.plan = engine.NewPlan(r.State.With(change))
	return flow.Decision{Run: change}
}

func (r *Reconciler) record(ctx context.Context, wf *v1alpha1.Workflow, known *run, world flow.World, decision flow.Decision) error {
	if decision.Empty() {
		return nil
	}
	if !known.noted {
		var err error
		if known.noted, err = r.Janitor.Remember(ctx, wf, known.Run, decision.Nodes); err != nil {
			return err
		}
	}
	e := journal.Entry{At: world.Now, Run: decision.Run}
	e.Nodes, e.Links = decision.Record()
	if known.Spec == nil {
		e.Spec, e.Repository, e.Object = &world.Spec, known.Repo, journal.OriginOf(wf)
		if err := errors.Join(r.protect(ctx, wf), r.claims(ctx, wf, known.plan.Spec().VolumeClaimTemplates)); err != nil {
			return err
		}
	}
	if err := r.runs.decided(ctx, string(wf.UID), known, e); err != nil {
		return err
	}
	known.tidy(decision.Nodes)
	r.Meters.Count(wf, known.State, decision)
	r.Meters.Report(ctx, r.Log, wf.Namespace+"/"+wf.Name, decision.Metrics)
	return nil
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
		Created: wf.CreationTimestamp.Time, Spec: spec, Pods: map[string]flow.Pod{}, Tasks: r.endedTasks(string(wf.UID), known), Answers: known.Found, Held: known.held, Now: time.Now(),
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
	if err := r.Client.List(ctx, &pods, client.InNamespace(wf.Namespace), client.MatchingLabels{object.LabelWorkflow: wf.Name}, client.UnsafeDisableDeepCopy); err != nil {
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

// seeNew takes what is known of those pods into a world that something happened to, and lets the plan look again at those
// that were asked for long ago and are not there.
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
func (r *Reconciler) see(ctx context.Context, wf *v1alpha1.Workflow, known *run, pod *corev1.Pod, into map[string]flow.Pod) error {
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

// actAtOnce bounds the requests of one workflow under way at the API server: a fan-out must neither wait for each pod in
// turn nor crowd out other workflows.
const actAtOnce = 16

// act performs what was decided. Every action may be repeated. It reports whether a lock was granted or a pod refused for
// good, which lets the core go on.
func (r *Reconciler) act(ctx context.Context, wf *v1alpha1.Workflow, known *run, actions []flow.Action) (granted bool, err error) {
	errs := make([]error, len(actions))
	slots := make(chan struct{}, actAtOnce)
	var working sync.WaitGroup
	for i, action := range actions {
		switch a := action.(type) {
		case flow.CreatePod:
			if time.Since(known.asked[a.NodeID]) < askAgain {
				continue
			}
			slots <- struct{}{}
			working.Go(func() {
				defer func() { <-slots }()
				errs[i] = r.createPod(ctx, wf, a)
			})
		case flow.StopPod:
			errs[i] = r.stopPod(ctx, wf.Namespace, a)
		case flow.Perform:
			errs[i] = r.perform(ctx, wf, known.Spec, a)
		case flow.StopTask:
			r.Desk.Drop(string(wf.UID), a.NodeID)
		case flow.SaveMemo:
			errs[i] = r.saveMemo(ctx, wf.Namespace, a)
		case flow.Acquire:
			var got bool
			got, errs[i] = r.Locks.Acquire(ctx, lock.HolderOf(wf, a.Holder), a)
			known.held[a.Holder] = got
			granted = granted || got
		case flow.Release:
			errs[i] = r.Locks.Release(ctx, lock.HolderOf(wf, a.Holder))
			delete(known.held, a.Holder)
		}
	}
	working.Wait()
	refused := known.answered(actions, errs)
	return granted || refused, errors.Join(errs...)
}

func (r *Reconciler) createPod(ctx context.Context, wf *v1alpha1.Workflow, a flow.CreatePod) error {
	pod, err := r.Pods.Build(ctx, wf, a, object.Chain(wf))
	if err != nil {
		return err
	}
	created, err := kube.CreateOnce(ctx, r.Client, pod)
	if err != nil {
		return pods.Refusal(err)
	}
	if created {
		r.Metrics.Pods.Inc()
		r.Log.InfoContext(ctx, "pod created", "workflow", wf.Namespace+"/"+wf.Name, "node", a.NodeName, "pod", a.PodName)
	}
	return nil
}

func (r *Reconciler) stopPod(ctx context.Context, namespace string, a flow.StopPod) error {
	pod := &corev1.Pod{}
	pod.Namespace, pod.Name = namespace, a.PodName
	if err := r.Client.Delete(ctx, pod); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("stop pod %s/%s: %w", namespace, a.PodName, err)
	}
	return nil
}
