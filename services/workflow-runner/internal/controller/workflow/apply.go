package workflow

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/kube"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/journal"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/lock"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/pods"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/task"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

func (r *Reconciler) record(ctx context.Context, wf *v1alpha1.Workflow, known *run, world flow.World,
	decision flow.Decision) error {
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
		if err := errors.Join(r.protect(ctx, wf),
			r.claims(ctx, wf, known.plan.Spec().VolumeClaimTemplates)); err != nil {
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

// actAtOnce bounds the requests of one workflow under way at the API server: a fan-out must neither wait for each pod
// in turn nor crowd out other workflows.
const actAtOnce = 16

// act performs what was decided. Every action may be repeated. It reports whether a lock was granted or a pod refused
// for good, which lets the core go on.
func (r *Reconciler) act(ctx context.Context, wf *v1alpha1.Workflow, known *run, actions []flow.Action) (granted bool,
	err error) {
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
		r.Log.InfoContext(ctx, "pod created", "workflow", wf.Namespace+"/"+wf.Name, "node", a.NodeName, "pod",
			a.PodName)
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

// answered notes what became of the pods that were asked for, and reports whether one was refused for good: its error
// becomes the end of its node.
func (r *run) answered(actions []flow.Action, errs []error) (refused bool) {
	for i, action := range actions {
		create, ok := action.(flow.CreatePod)
		switch {
		case !ok:
		case fault.Of(errs[i]) == fault.Poison:
			r.refused[create.NodeID] = errs[i].Error()
			errs[i], refused = nil, true
		case errs[i] != nil:
			errs[i] = fmt.Errorf("node %s: %w", create.NodeName, errs[i])
		case time.Since(r.asked[create.NodeID]) >= askAgain:
			r.asked[create.NodeID] = time.Now()
		}
	}
	return refused
}

// perform gives the desk work that needs no pod. How it ended is looked up when the desk tells.
func (r *Reconciler) perform(ctx context.Context, wf *v1alpha1.Workflow, spec *v1alpha1.WorkflowSpec,
	a flow.Perform) error {
	return r.Desk.Begin(ctx, task.Job{
		Run: string(wf.UID), Node: a.NodeID, Namespace: wf.Namespace, Workflow: wf.Name, Account: a.Account,
		Owner: *object.OwnerOf(wf),
		Marks: object.Chain(wf).Annotate(map[string]string{}), Template: a.Template, Spec: spec, Deadline: a.Deadline,
	})
}

// beforeRetry wakes a run that stands in a queue.
func (r *Reconciler) beforeRetry(wake time.Time, actions []flow.Action) time.Time {
	for _, a := range actions {
		if _, waits := a.(flow.Acquire); waits {
			if again := time.Now().Add(lock.Retry); wake.IsZero() || again.Before(wake) {
				return again
			}
		}
	}
	return wake
}
