package application

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/cluster"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/diff"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/operation"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// fieldManager is the one that objects applied by Argo CD already have.
const fieldManager = "argocd-controller"

// parallel bounds how many objects of one kind are applied at once.
const parallel = 8

// outcome is what became of one item.
type outcome struct {
	item operation.Item
	live *track.Object // after it; nil when pruned
	err  error
}

// performer applies and prunes for one operation.
type performer struct {
	client  client.Client
	reader  client.Reader // not cached
	live    *cluster.Cache
	world   *operation.World
	lineage lineage.Lineage
}

// step performs one step: kind after kind, objects of a kind side by side.
func (p performer) step(ctx context.Context, items []operation.Item) []outcome {
	var all []outcome
	for kind := range slices.Values(chunks(items)) {
		results := make([]outcome, len(kind))
		var group sync.WaitGroup
		slots := make(chan struct{}, parallel)
		for i, item := range kind {
			slots <- struct{}{}
			group.Go(func() {
				defer func() { <-slots }()
				results[i] = p.one(ctx, item)
			})
		}
		group.Wait()
		all = append(all, results...)
	}
	return all
}

// chunks cuts a step where the kind changes.
func chunks(items []operation.Item) [][]operation.Item {
	var out [][]operation.Item
	for i, item := range items {
		if i == 0 || item.Key.Kind != items[i-1].Key.Kind {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], item)
	}
	return out
}

func (p performer) one(ctx context.Context, i operation.Item) outcome {
	if i.Action == operation.Prune {
		o, err := p.prune(ctx, i)
		return outcome{item: i, live: o, err: err}
	}
	o, err := p.apply(ctx, i)
	return outcome{item: i, live: o, err: err}
}

func (p performer) apply(ctx context.Context, i operation.Item) (*track.Object, error) {
	o := i.Desired.DeepCopy()
	o.SetResourceVersion("")
	o.SetManagedFields(nil)
	o.SetUID("")
	delete(o.Object, "status")
	diff.PreserveRolloutFields(o, i.Live)
	annotations := p.lineage.Annotate(o.GetAnnotations())
	if !i.Untracked {
		annotations[track.AppliedAnnotation] = i.Fingerprint
		if i.Key.Kind != "CustomResourceDefinition" {
			annotations[track.TrackingAnnotation] = track.TrackingID(p.world.Instance, i.Key, p.world.Destination)
		}
	}
	o.SetAnnotations(annotations)
	err := p.client.Apply(
		ctx, client.ApplyConfigurationFromUnstructured(o), client.ForceOwnership, client.FieldOwner(fieldManager),
	)
	if err != nil {
		return nil, fmt.Errorf("apply %s: %w", i.Key, err)
	}
	o.SetManagedFields(nil)
	p.live.Wrote(o)
	return o, nil
}

// prune deletes exactly the object that was looked at.
func (p performer) prune(ctx context.Context, i operation.Item) (*track.Object, error) {
	uid, at := i.Live.GetUID(), i.Live.GetResourceVersion()
	err := p.client.Delete(
		ctx, i.Live.DeepCopy(), client.PropagationPolicy(p.propagation()),
		client.Preconditions{UID: &uid, ResourceVersion: &at},
	)
	if client.IgnoreNotFound(err) != nil {
		return i.Live, fmt.Errorf("prune %s: %w", i.Key, err)
	}
	left := &track.Object{}
	left.SetGroupVersionKind(i.Live.GroupVersionKind())
	err = p.reader.Get(ctx, client.ObjectKeyFromObject(i.Live), left)
	switch {
	case apierrors.IsNotFound(err) || (err == nil && left.GetUID() != uid):
		p.live.Removed(i.Key, uid)
		return nil, nil
	case err != nil:
		return i.Live, fmt.Errorf("prune %s: %w", i.Key, err)
	}
	left.SetManagedFields(nil)
	p.live.Wrote(left)
	return left, nil
}

func (p performer) propagation() metav1.DeletionPropagation {
	for _, o := range p.world.Policy.SyncOptions {
		switch value, _ := strings.CutPrefix(o, "PrunePropagationPolicy="); value {
		case "background":
			return metav1.DeletePropagationBackground
		case "orphan":
			return metav1.DeletePropagationOrphan
		}
	}
	return metav1.DeletePropagationForeground
}

// settle takes outcomes into the world, so that planning goes on from what is
// there now.
func settle(w *operation.World, outcomes []outcome) (failed error) {
	var errs []error
	for _, o := range outcomes {
		if o.err != nil {
			errs = append(errs, o.err)
			continue
		}
		if o.live == nil {
			delete(w.Live, o.item.Key)
			continue
		}
		w.Live[o.item.Key] = o.live
		if o.item.Desired != nil {
			w.NormalizedDiffs[o.item.Key] = operation.Settle(*w, o.item, o.live)
		}
	}
	return errors.Join(errs...)
}

// transient reports whether an error says nothing about the manifest: then the
// reconciliation is repeated instead of the operation failed.
func transient(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return true
	}
	return apierrors.IsConflict(err) || apierrors.IsServerTimeout(err) || apierrors.IsTooManyRequests(err) ||
		apierrors.IsTimeout(err) ||
		apierrors.IsServiceUnavailable(err)
}

func result(o outcome) v1alpha1.ResourceResult {
	k := o.item.Key
	r := v1alpha1.ResourceResult{
		Group:     k.Group,
		Version:   o.item.Version,
		Kind:      k.Kind,
		Namespace: k.Namespace,
		Name:      k.Name,
		SyncPhase: "Sync",
		HookPhase: "Running",
	}
	switch {
	case o.err != nil:
		r.Status, r.Message, r.HookPhase = "SyncFailed", o.err.Error(), "Failed"
	case o.item.Action == operation.Prune:
		r.Status, r.Message = "Pruned", "pruned"
	default:
		verb := map[operation.Action]string{operation.Create: "created", operation.Update: "configured"}[o.item.Action]
		r.Status, r.Message = "Synced", strings.ToLower(k.Kind)+"/"+k.Name+" "+verb
	}
	return r
}
