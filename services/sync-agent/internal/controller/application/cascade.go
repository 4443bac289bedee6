package application

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

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

// helmResourcePolicy, set to keep, leaves an object when its application goes.
const helmResourcePolicy = "helm.sh/resource-policy"

// cascade deletes the objects of a deleted application when it asks for that, the
// highest wave first, and lets the application go when nothing is left.
func (a *Reconciler) cascade(
	ctx context.Context, raw *unstructured.Unstructured, app *v1alpha1.Application,
) (reconcile.Result, error) {
	i := slices.IndexFunc(
		raw.GetFinalizers(),
		func(f string) bool { return strings.HasPrefix(f, resourcesFinalizer) },
	)
	if i < 0 {
		return reconcile.Result{}, nil
	}
	d := app.Spec.Destination
	to, err := a.clusterOf(ctx, raw, d)
	if errors.Is(err, cluster.ErrUnknown) || errors.Is(err, cluster.ErrSecret) {
		return a.abandon(ctx, raw, app, i, err)
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
		return a.cascadeRemote(ctx, raw, app, to, i)
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
	left, err := a.deleteHighest(
		ctx,
		to,
		writer,
		to.Live.Extras(track.Instance(app.Namespace, app.Name, a.Control)),
		policy,
	)
	if err != nil || left > 0 {
		return reconcile.Result{}, err // each deletion wakes us again
	}
	return reconcile.Result{}, a.release(ctx, raw, i)
}

// release takes the finalizer away that stands at a place.
func (a *Reconciler) release(ctx context.Context, raw *unstructured.Unstructured, i int) error {
	next := raw.DeepCopy()
	next.SetFinalizers(slices.Delete(slices.Clone(raw.GetFinalizers()), i, i+1))
	err := a.Client.Patch(ctx, next, client.MergeFromWithOptions(raw, client.MergeFromWithOptimisticLock{}))
	return client.IgnoreNotFound(err)
}

// abandon lets an application go whose cluster nobody describes any more: its objects stay where they are, and are
// told.
func (a *Reconciler) abandon(
	ctx context.Context, raw *unstructured.Unstructured, app *v1alpha1.Application, i int, why error,
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
	return reconcile.Result{}, a.release(ctx, raw, i)
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
	objects map[track.Key]*track.Object,
	policy metav1.DeletionPropagation,
) (left int, err error) {
	var going []*track.Object
	for key, o := range objects {
		if key.Kind == "CustomResourceDefinition" || operation.OptionsOf(o).Has("Delete=false") ||
			o.GetAnnotations()[helmResourcePolicy] == "keep" {
			continue
		}
		going = append(going, o)
	}
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
