package application

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/operation"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Finalizers of an application whose deletion has hooks: each stage ends by taking its own away. Source: Argo CD.
const (
	preDeleteFinalizer  = "pre-delete-finalizer.argocd.argoproj.io"
	postDeleteFinalizer = "post-delete-finalizer.argocd.argoproj.io"
	cleanupStage        = "/cleanup"
)

// hookFinalizers are those of the hooks of each phase, in the order of their stages.
var hookFinalizers = map[operation.Phase][]string{
	operation.PreDelete:  {preDeleteFinalizer, preDeleteFinalizer + cleanupStage},
	operation.PostDelete: {postDeleteFinalizer, postDeleteFinalizer + cleanupStage},
}

// holdForHooks gives an application the finalizers that its deletion hooks need, and takes away those that none needs
// any more.
func (p *pass) holdForHooks(ctx context.Context, hooks []*unstructured.Unstructured) error {
	finalizers := slices.Clone(p.raw.GetFinalizers())
	for _, phase := range []operation.Phase{operation.PreDelete, operation.PostDelete} {
		needed := operation.HasHooks(hooks, phase)
		for _, f := range hookFinalizers[phase] {
			i := slices.Index(finalizers, f)
			switch {
			case needed && i < 0:
				finalizers = append(finalizers, f)
			case !needed && i >= 0:
				finalizers = slices.Delete(finalizers, i, i+1)
			}
		}
	}
	if slices.Equal(finalizers, p.raw.GetFinalizers()) {
		return nil
	}
	next := p.raw.DeepCopy()
	next.SetFinalizers(finalizers)
	err := p.Client.Patch(ctx, next, client.MergeFromWithOptions(p.raw, client.MergeFromWithOptimisticLock{}))
	if err != nil {
		return fmt.Errorf("hold %s for its deletion hooks: %w", p.name(), err)
	}
	p.raw, p.known.written = next, next
	return nil
}

// stageOf finds the stage of a deletion that comes next, and the place of its finalizer.
func stageOf(finalizers []string, phase operation.Phase) (operation.Stage, int) {
	for n, f := range hookFinalizers[phase] {
		if i := slices.Index(finalizers, f); i >= 0 {
			return operation.Stage{Phase: phase, Cleanup: n > 0}, i
		}
	}
	return operation.Stage{}, -1
}

// runStage goes on with a stage of a deletion, whose finalizer stands at a place. What it runs is what was synced last.
// Whatever is wrong is a condition that says how to go on without the hooks.
func (a *Reconciler) runStage(
	ctx context.Context, raw *unstructured.Unstructured, app *v1alpha1.Application, stage operation.Stage, i int,
) (reconcile.Result, error) {
	p := &pass{Reconciler: a, raw: raw, app: app, known: a.remember(raw), report: newReport(app)}
	defer a.forget(client.ObjectKeyFromObject(raw))
	p.raw = p.known.newest(raw)
	decided, err := p.decideDeletion(ctx, stage)
	if err == nil && decided.Failed != "" {
		err = errors.New(decided.Failed)
	}
	if err != nil {
		p.report.condition("DeletionError", fmt.Sprintf(
			"%s hooks: %v; to go on without them, take the finalizers %s away", stage.Phase, err,
			strings.Join(hookFinalizers[stage.Phase], " and "),
		))
	}
	if cerr := p.conclude(ctx); cerr != nil {
		return reconcile.Result{}, cerr
	}
	if err != nil {
		// Each change of a hook wakes us; what Git or a cluster lacks is looked for again.
		p.Log.WarnContext(ctx, "deletion waits", "application", p.name(), "phase", stage.Phase, "error", err)
		return reconcile.Result{RequeueAfter: clusterAgain}, nil
	}
	if !decided.Done {
		return reconcile.Result{RequeueAfter: a.Refresh}, nil
	}
	return reconcile.Result{}, a.release(ctx, p.raw, i)
}

// decideDeletion performs what can be done of a stage now, and says how it stands then.
func (p *pass) decideDeletion(ctx context.Context, stage operation.Stage) (operation.Deletion, error) {
	sources, err := source.All(p.app.Spec)
	if err != nil {
		return operation.Deletion{}, err
	}
	p.sources = sources
	if p.connect(ctx); p.cluster == nil {
		return operation.Deletion{}, errors.New("the cluster is paused or cannot be reached")
	}
	wrong, err := p.permit(ctx)
	if err = errors.Join(wrong, err); err != nil {
		return operation.Deletion{}, err
	}
	if err := p.customize(ctx); err != nil {
		return operation.Deletion{}, err
	}
	asked, former := p.app.Operation, p.app.Status.OperationState
	defer func() { p.app.Operation, p.app.Status.OperationState = asked, former }()
	if synced := p.app.Status.Sync; synced.Revision != "" || len(synced.Revisions) > 0 {
		p.app.Operation = &v1alpha1.Operation{
			Sync: &v1alpha1.SyncOperation{Revision: synced.Revision, Revisions: synced.Revisions},
		}
	}
	p.app.Status.OperationState = nil
	found, err := p.renderSource(ctx)
	if err != nil {
		return operation.Deletion{}, err
	}
	// The deletion is the operation whose hooks these are.
	p.report.operation = &v1alpha1.OperationState{StartedAt: p.raw.GetDeletionTimestamp()}
	world, err := p.gather(ctx, found)
	p.report.operation = p.report.status.OperationState
	if err != nil {
		return operation.Deletion{}, err
	}
	writer, err := p.writer(p.cluster, p.project, p.destination())
	if err != nil {
		return operation.Deletion{}, err
	}
	perform := performer{
		client: writer, reader: p.cluster.Reader, live: p.cluster.Live, world: &world, lineage: p.lineage(found),
	}
	for {
		decided := operation.DecideDeletion(world, stage)
		if len(decided.Step) == 0 {
			return decided, nil
		}
		for _, o := range perform.step(ctx, decided.Step) {
			if o.err != nil {
				return decided, o.err
			}
			if o.live == nil {
				delete(world.Live, o.task.Key)
			} else {
				world.Live[o.task.Key] = o.live
			}
		}
	}
}
