package imageupdate

import (
	"context"
	"fmt"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/libs/kube"
	"github.com/argosy-mesh/argosy/libs/kube/object"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/image"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	ctrlsource "sigs.k8s.io/controller-runtime/pkg/source"
)

// Watch has the manager promote images from the Applications that it owns; regain brings those that others owned until
// now.
func (h *Updater) Watch(mgr manager.Manager, owns func(key string) bool, regain <-chan event.GenericEvent) error {
	err := builder.ControllerManagedBy(mgr).Named("promotion").
		For(object.New("Application")).
		WatchesRawSource(ctrlsource.Channel(regain, &handler.EnqueueRequestForObject{})).
		// Tests run several replicas in one process, whose controllers share a name.
		WithOptions(controller.Options{MaxConcurrentReconciles: 4, SkipNameValidation: new(true)}).
		Complete(kube.OwnedOnly(owns, reconcile.Func(h.promote)))
	if err != nil {
		return fmt.Errorf("set up promotions: %w", err)
	}
	return nil
}

// promote hands the images of one Application on to the next stage. What was handed on is recorded in the Application
// afterwards: a crash in between writes the same once more, which changes nothing.
func (h *Updater) promote(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	from, err := h.stage(ctx, h.Client, req.NamespacedName)
	if err != nil || from == nil || from.Annotations[image.PromoteTo] == "" {
		return reconcile.Result{}, err
	}
	// The cache may be from before the last record.
	if from, err = h.stage(ctx, h.Secrets, req.NamespacedName); err != nil || from == nil {
		return reconcile.Result{}, err
	}
	next := from.Annotations[image.PromoteTo]
	to, err := h.stage(ctx, h.Client, client.ObjectKey{Namespace: req.Namespace, Name: next})
	if err != nil {
		return reconcile.Result{}, err
	}
	if to == nil {
		h.Log.WarnContext(ctx, "the next stage does not exist", "application", req.String(), "next", next)
		return reconcile.Result{RequeueAfter: time.Minute}, nil
	}
	p, err := image.Promote(from, to, time.Now())
	if err != nil {
		h.Log.WarnContext(ctx, "nothing is promoted", "application", req.String(), "error", err)
		return reconcile.Result{RequeueAfter: time.Minute}, nil
	}
	if len(p.Images) == 0 {
		return reconcile.Result{RequeueAfter: p.Wait}, nil
	}
	err = h.handOn(ctx, from, to, p)
	if fault.Of(err) == fault.Retry {
		return reconcile.Result{}, err
	}
	if err != nil {
		h.Log.WarnContext(ctx, "what cannot be promoted is left out", "application", req.String(), "error", err)
	}
	err = object.MergePatch(ctx, h.Client, object.Named("Application", from.Namespace, from.Name), map[string]any{
		"metadata": map[string]any{"annotations": map[string]any{image.Promoted: p.Record}},
	})
	return reconcile.Result{}, client.IgnoreNotFound(err)
}

func (h *Updater) stage(ctx context.Context, r client.Reader, key client.ObjectKey) (*v1alpha1.Application, error) {
	o := object.New("Application")
	if err := r.Get(ctx, key, o); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	app, _, err := v1alpha1.DecodeTolerant[v1alpha1.Application](o.Object)
	return app, err
}

// handOn writes the images to the repository of the next stage, as the next stage's own annotations say.
func (h *Updater) handOn(ctx context.Context, from, to *v1alpha1.Application, p image.Promotion) error {
	updater := image.ReadUpdater(to.Annotations)
	if !updater.Git || len(updater.Problems) > 0 {
		return fault.Poisonf("application %s is not written to Git: %v", to.Name, updater.Problems)
	}
	id := bus.Key("promotion", string(from.UID), string(to.UID), p.Record)
	why := cause{id: id, lineage: lineage.FromAnnotations(from.Annotations)}
	if why.lineage.Correlation == "" {
		why.lineage.Correlation = id
	}
	var errs []error
	var ready []update
	for _, c := range p.Images {
		u := update{app: to, updater: updater, rule: c.Rule, pushed: c.Image, event: id}
		is, err := h.prepare(ctx, why, &u)
		if err == nil && is && c.Image.Digest != "" && c.Image.Digest != u.pushed.Digest {
			err = fault.Stalef("%s:%s is another image by now", c.Image.Repository, c.Image.Tag)
		}
		if errs = append(errs, err); is && err == nil {
			ready = append(ready, u)
		}
	}
	for _, b := range batches(ready) {
		errs = append(errs, h.write(ctx, b))
	}
	if err := h.joined(ctx, errs); err != nil {
		return fmt.Errorf("promote from %s to %s: %w", from.Name, to.Name, err)
	}
	return nil
}
