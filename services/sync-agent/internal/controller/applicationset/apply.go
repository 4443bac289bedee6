package applicationset

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/libs/kube/object"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/appset"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/push"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// finalizer keeps a set until its Applications are gone. Source: Argo CD.
const finalizer = "resources-finalizer.argocd.argoproj.io"

// apply writes Applications. Each write is whole: an object that changed meanwhile is a conflict, one that is there
// already is seen by the next pass.
func (p *pass) apply(ctx context.Context, d appset.Decision) error {
	var errs []error
	did := func(verb string, o *track.Object, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s application %s: %w", verb, o.GetName(), err))
			return
		}
		p.Log.InfoContext(
			ctx, "application changes", "applicationset", p.name(), "application", o.GetName(), "verb", verb,
		)
	}
	cause := p.lineage()
	for _, o := range d.Create {
		o.SetAnnotations(cause.Annotate(o.GetAnnotations()))
		did("create", o, p.Client.Create(ctx, o))
	}
	for _, o := range d.Update {
		o.SetAnnotations(cause.Annotate(o.GetAnnotations()))
		did("update", o, client.IgnoreNotFound(p.Client.Update(ctx, o)))
	}
	for _, o := range d.Release {
		did("release", o, client.IgnoreNotFound(p.Client.Update(ctx, o)))
	}
	for _, o := range d.Delete {
		uid := o.GetUID()
		did("delete", o, client.IgnoreNotFound(p.Client.Delete(ctx, o, client.Preconditions{UID: &uid})))
	}
	return errors.Join(errs...)
}

// lineage is the cause of what is written now: the push that was followed last.
func (p *pass) lineage() lineage.Lineage {
	a := p.raw.GetAnnotations()
	return lineage.Lineage{
		Trace: a[push.AnnotationTrace], Correlation: a[push.AnnotationCorrelation],
		Causation: a[push.AnnotationRefresh],
	}
}

// finalize asks that the set waits for its Applications when it is deleted.
func (p *pass) finalize(ctx context.Context) error {
	next := p.raw.DeepCopy()
	next.SetFinalizers(append(next.GetFinalizers(), finalizer))
	if err := p.Client.Patch(
		ctx, next, client.MergeFromWithOptions(p.raw, client.MergeFromWithOptimisticLock{}),
	); err != nil {
		return fmt.Errorf("put the finalizer on: %w", err)
	}
	p.raw = next
	return nil
}

// delete does what the deletion of a set asks for, and lets it go when that is done.
func (p *pass) delete(ctx context.Context) error {
	existing, err := p.existing(ctx, nil)
	if err != nil {
		return err
	}
	i := slices.Index(p.raw.GetFinalizers(), finalizer)
	if i < 0 {
		return nil // it goes by itself, with what belongs to it
	}
	d := appset.Decide(appset.World{Set: p.set, Existing: existing, Settings: p.Settings, Now: p.began})
	if err := p.apply(ctx, d); err != nil || !d.Gone {
		return err // each deletion wakes us again
	}
	next := p.raw.DeepCopy()
	next.SetFinalizers(slices.Delete(slices.Clone(p.raw.GetFinalizers()), i, i+1))
	err = p.Client.Patch(ctx, next, client.MergeFromWithOptions(p.raw, client.MergeFromWithOptimisticLock{}))
	return client.IgnoreNotFound(err)
}

// taken takes the annotation away that asked for a refresh.
func (p *pass) taken(ctx context.Context) error {
	if _, asked := p.raw.GetAnnotations()[refreshAnnotation]; !asked {
		return nil
	}
	body := []byte(`{"metadata":{"annotations":{"` + refreshAnnotation + `":null}}}`)
	o := object.Named("ApplicationSet", p.raw.GetNamespace(), p.raw.GetName())
	return client.IgnoreNotFound(p.Client.Patch(ctx, o, client.RawPatch(types.MergePatchType, body)))
}
