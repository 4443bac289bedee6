package application

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/cluster"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/operation"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/project"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/projects"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// resourcesFinalizer asks that the objects of an application go with it; it may
// end in /foreground or /background.
const resourcesFinalizer = "resources-finalizer.argocd.argoproj.io"

// cascade deletes the objects of a deleted application when it asks for that, the
// highest wave first, and lets the application go when nothing is left.
func (a *Reconciler) cascade(
	ctx context.Context, raw *unstructured.Unstructured, app *v1alpha1.Application,
) (reconcile.Result, error) {
	if !slices.ContainsFunc(raw.GetFinalizers(), ours) {
		return reconcile.Result{}, nil
	}
	d := app.Spec.Destination
	to, err := a.clusterOf(ctx, raw, d)
	if errors.Is(err, cluster.ErrUnknown) || errors.Is(err, cluster.ErrSecret) {
		return a.abandon(ctx, raw, app, err)
	}
	if err != nil {
		return reconcile.Result{
				RequeueAfter: clusterAgain,
			}, fmt.Errorf(
				"delete objects of application %s/%s: %w",
				app.Namespace,
				app.Name,
				err,
			)
	}
	if to.Agent != "" {
		return a.cascadeRemote(ctx, raw, app, to)
	}
	if stage, i := stageOf(raw.GetFinalizers(), operation.PreDelete); i >= 0 {
		return a.runStage(ctx, raw, app, stage, i)
	}
	i := slices.IndexFunc(raw.GetFinalizers(), func(f string) bool { return strings.HasPrefix(f, resourcesFinalizer) })
	if i < 0 {
		stage, i := stageOf(raw.GetFinalizers(), operation.PostDelete)
		return a.runStage(ctx, raw, app, stage, i)
	}
	for _, r := range app.Status.Resources {
		if _, err := to.Live.Watch(
			ctx, schema.GroupVersionKind{Group: r.Group, Version: r.Version, Kind: r.Kind},
		); err != nil {
			return reconcile.Result{}, err
		}
	}
	policy := metav1.DeletePropagationForeground
	if strings.HasSuffix(raw.GetFinalizers()[i], "/background") {
		policy = metav1.DeletePropagationBackground
	}
	found, _, err := a.Projects.Get(ctx, app.Spec.Project)
	if err != nil && !errors.Is(err, projects.ErrUnknown) {
		return reconcile.Result{}, err
	}
	writer, err := a.writer(to, found, project.Destination{Server: to.Server, Name: to.Name, Namespace: d.Namespace})
	if err != nil {
		return reconcile.Result{}, err
	}
	going := a.going(raw, app, to.Live.Extras(track.Instance(app.Namespace, app.Name, a.Control)))
	if waits, err := a.approval(ctx, raw, app, going); waits || err != nil {
		return reconcile.Result{}, err // the approval wakes us
	}
	left, err := a.deleteHighest(ctx, to, writer, going, policy)
	if err != nil || left > 0 {
		return reconcile.Result{}, err // each deletion wakes us again
	}
	return reconcile.Result{}, a.release(ctx, raw, i)
}

// ours reports whether a finalizer is one that a deletion waits for here.
func ours(finalizer string) bool {
	return strings.HasPrefix(finalizer, resourcesFinalizer) ||
		slices.Contains(hookFinalizers[operation.PreDelete], finalizer) ||
		slices.Contains(hookFinalizers[operation.PostDelete], finalizer)
}

// deleting is the world of a deletion, as far as options are asked of it.
func deleting(raw *unstructured.Unstructured, app *v1alpha1.Application) operation.World {
	w := operation.World{Approved: approved(raw)}
	if app.Spec.SyncPolicy != nil {
		w.Policy = *app.Spec.SyncPolicy
	}
	return w
}

// going are the objects that go with an application.
func (a *Reconciler) going(
	raw *unstructured.Unstructured, app *v1alpha1.Application, objects map[track.Key]*track.Object,
) []*track.Object {
	w := deleting(raw, app)
	var out []*track.Object
	for _, o := range objects {
		if !w.Stays(o) {
			out = append(out, o)
		}
	}
	return out
}

// approval reports whether the deletion of objects waits for someone to approve it, and says so.
func (a *Reconciler) approval(
	ctx context.Context, raw *unstructured.Unstructured, app *v1alpha1.Application, going []*track.Object,
) (waits bool, err error) {
	unapproved := deleting(raw, app).Unapproved(going, raw.GetDeletionTimestamp().Time)
	if len(unapproved) == 0 {
		return false, nil
	}
	var names []string
	for _, key := range unapproved {
		names = append(names, key.String())
	}
	p := &pass{Reconciler: a, raw: raw, app: app, known: a.remember(raw), report: newReport(app)}
	defer a.forget(client.ObjectKeyFromObject(raw))
	p.raw = p.known.newest(raw)
	p.report.condition("DeletionError", fmt.Sprintf(
		"the deletion of %s waits for approval: set the annotation %s to the time of now, as %s", shorten(strings.Join(names, ", ")),
		operation.ApprovedAnnotation, time.RFC3339,
	))
	return true, p.conclude(ctx)
}

// release takes the finalizer away that stands at a place.
func (a *Reconciler) release(ctx context.Context, raw *unstructured.Unstructured, i int) error {
	return a.finalize(ctx, raw, slices.Delete(slices.Clone(raw.GetFinalizers()), i, i+1))
}

func (a *Reconciler) finalize(ctx context.Context, raw *unstructured.Unstructured, finalizers []string) error {
	next := raw.DeepCopy()
	next.SetFinalizers(finalizers)
	err := a.Client.Patch(ctx, next, client.MergeFromWithOptions(raw, client.MergeFromWithOptimisticLock{}))
	return client.IgnoreNotFound(err)
}

// abandon lets an application go whose cluster nobody describes any more: its objects stay where they are, and are
// told.
func (a *Reconciler) abandon(
	ctx context.Context, raw *unstructured.Unstructured, app *v1alpha1.Application, why error,
) (reconcile.Result, error) {
	var left []string
	for _, r := range app.Status.Resources {
		left = append(left, track.Key{Group: r.Group, Kind: r.Kind, Namespace: r.Namespace, Name: r.Name}.String())
	}
	a.Log.WarnContext(
		ctx,
		"an application is gone, its objects stay",
		"application",
		app.Namespace+"/"+app.Name,
		"objects",
		left,
		"error",
		why,
	)
	p := &pass{Reconciler: a, raw: raw, app: app}
	p.auditf(
		true,
		"ObjectsOrphaned",
		"Delete",
		"%v; %d objects stay: %s",
		why,
		len(left),
		shorten(strings.Join(left, ", ")),
	)
	return reconcile.Result{}, a.finalize(ctx, raw, slices.DeleteFunc(slices.Clone(raw.GetFinalizers()), ours))
}

// longestNote is what the note of an event may hold, less some.
const longestNote = 800

func shorten(text string) string {
	if len(text) > longestNote {
		return text[:longestNote] + "..."
	}
	return text
}

// deleteHighest deletes the objects of the highest wave and counts all that have
// to go.
func (a *Reconciler) deleteHighest(
	ctx context.Context,
	to *cluster.Cluster,
	writer client.Client,
	going []*track.Object,
	policy metav1.DeletionPropagation,
) (left int, err error) {
	var errs []error
	hooks := performer{client: writer, reader: to.Reader, live: to.Live}
	for _, o := range going {
		if o.GetDeletionTimestamp() != nil ||
			slices.ContainsFunc(going, func(x *track.Object) bool { return operation.Wave(x) > operation.Wave(o) }) {
			continue
		}
		if slices.Contains(o.GetFinalizers(), operation.HookFinalizer) {
			key := track.KeyOf(o)
			released, err := hooks.release(ctx, operation.Item{Key: key, Live: o})
			if err != nil || released == nil {
				errs = append(errs, err)
				continue
			}
			o = released
		}
		uid := o.GetUID()
		err := writer.Delete(ctx, o.DeepCopy(), client.PropagationPolicy(policy), client.Preconditions{UID: &uid})
		if client.IgnoreNotFound(err) != nil {
			errs = append(errs, fmt.Errorf("delete %s: %w", track.KeyOf(o), err))
		}
	}
	return len(going), errors.Join(errs...)
}
