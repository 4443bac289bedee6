package application

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/argosy-mesh/argosy/libs/kube/object"

	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/operation"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// gather builds the world of an application: what it should be and what it is.
func (p *pass) gather(ctx context.Context, found *source.Rendered) (operation.World, error) {
	w := operation.World{
		Instance:    track.Instance(p.app.Namespace, p.app.Name, p.Control),
		Tracking:    p.Tracking,
		Destination: p.app.Spec.Destination.Namespace,
		Owners:      map[track.Key][]metav1.ManagedFieldsEntry{},
		Target:      p.target,
		Live:        map[track.Key]*track.Object{}, NormalizedDiffs: p.known.settled,
		Ignore: p.ignore, Assess: p.customized.assess,
		Request: p.app.Operation, State: p.report.operation, Pinned: p.pinned(),
		Delay: p.WaveDelay, Progressed: p.known.progressed, Now: time.Now(),
	}
	w.Approved = approved(p.raw)
	if p.app.Spec.SyncPolicy != nil {
		w.Policy = *p.app.Spec.SyncPolicy
	}
	repeated := p.desired(&w, found)
	if len(repeated) > 0 {
		p.report.condition(
			"RepeatedResourceWarning", fmt.Sprintf("more than one manifest for %v; the last one wins", repeated),
		)
	}
	if err := p.observe(ctx, &w); err != nil {
		return w, err
	}
	var err error
	if w.Others, err = p.others(ctx, &w); err != nil {
		return w, err
	}
	w.Deny = p.denied
	if w.Held, err = p.held(ctx); err != nil {
		return w, err
	}
	p.windows(&w)
	return w, nil
}

// approved is when someone approved deletions that ask for it, the zero time when nobody did.
func approved(raw *track.Object) time.Time {
	at, err := time.Parse(time.RFC3339, raw.GetAnnotations()[operation.ApprovedAnnotation])
	if err != nil {
		return time.Time{}
	}
	return at
}

// desired fills in namespaces. The rendered objects are shared, so each is copied
// as far as it is changed.
func (p *pass) desired(w *operation.World, found *source.Rendered) (repeated []track.Key) {
	scopes := definedScopes(found.Manifests.Objects)
	at := map[track.Key]int{}
	for _, shared := range found.Manifests.Objects {
		if kind := shared.GroupVersionKind().GroupKind(); !p.manages(kind) {
			p.report.condition("ExcludedResourceWarning", fmt.Sprintf(
				"%s %s is excluded by %s (resource.exclusions, resource.inclusions) and not applied", kind, shared.GetName(),
				settingsMap,
			))
			continue
		}
		o := &track.Object{Object: maps.Clone(shared.Object)}
		namespaced, known := scopes[shared.GroupVersionKind().GroupKind()]
		if mapping, err := p.cluster.Live.Mapper.RESTMapping(
			shared.GroupVersionKind().GroupKind(), shared.GroupVersionKind().Version,
		); err == nil {
			namespaced, known = mapping.Scope.Name() == meta.RESTScopeNameNamespace, true
		}
		if metadata, ok := o.Object["metadata"].(map[string]any); ok {
			o.Object["metadata"] = maps.Clone(metadata)
		}
		switch {
		case known && !namespaced:
			o.SetNamespace("")
		case o.GetNamespace() == "":
			o.SetNamespace(w.Destination)
		}
		key := track.KeyOf(o)
		if operation.IsHook(o) {
			w.Hooks = append(w.Hooks, o)
			continue
		}
		if i, taken := at[key]; taken {
			repeated = append(repeated, key)
			w.Desired[i] = o
			continue
		}
		at[key] = len(w.Desired)
		w.Desired = append(w.Desired, o)
	}
	return repeated
}

// definedScopes reads the scopes of kinds that come with this very application.
func definedScopes(objects []*track.Object) map[schema.GroupKind]bool {
	scopes := map[schema.GroupKind]bool{}
	for _, o := range objects {
		if o.GetKind() != "CustomResourceDefinition" {
			continue
		}
		group, _, _ := unstructured.NestedString(o.Object, "spec", "group")
		kind, _, _ := unstructured.NestedString(o.Object, "spec", "names", "kind")
		scope, _, _ := unstructured.NestedString(o.Object, "spec", "scope")
		scopes[schema.GroupKind{Group: group, Kind: kind}] = scope != "Cluster"
	}
	return scopes
}

// observe reads what is live: every desired object, and every object that is
// marked as ours, of the kinds that are used now or were before.
func (p *pass) observe(ctx context.Context, w *operation.World) error {
	for _, r := range p.app.Status.Resources {
		gvk := schema.GroupVersionKind{Group: r.Group, Version: r.Version, Kind: r.Kind}
		if !p.manages(gvk.GroupKind()) {
			continue
		}
		if _, err := p.cluster.Live.Watch(ctx, gvk); err != nil {
			return err
		}
	}
	for _, o := range w.Desired {
		if err := p.look(ctx, w, o.GroupVersionKind(), track.KeyOf(o)); err != nil {
			return err
		}
	}
	for _, o := range w.Hooks {
		if _, err := p.cluster.Live.Watch(ctx, o.GroupVersionKind()); err != nil {
			return err
		}
	}
	for _, o := range operation.NamedHooks(*w) {
		if err := p.look(ctx, w, o.GroupVersionKind(), track.KeyOf(o)); err != nil {
			return err
		}
	}
	if w.Destination != "" && operation.Options(w.Policy.SyncOptions).Has("CreateNamespace=true") {
		kind := schema.GroupVersionKind{Version: "v1", Kind: "Namespace"}
		if err := p.look(ctx, w, kind, track.Key{Kind: "Namespace", Name: w.Destination}); err != nil {
			return err
		}
	}
	for key, o := range p.cluster.Live.Extras(w.Instance) {
		if w.Live[key] == nil && p.manages(schema.GroupKind{Group: key.Group, Kind: key.Kind}) {
			w.Live[key] = o
		}
	}
	return nil
}

func (p *pass) look(ctx context.Context, w *operation.World, gvk schema.GroupVersionKind, key track.Key) error {
	known, err := p.cluster.Live.Watch(ctx, gvk)
	if err != nil || !known {
		return err
	}
	o, err := p.cluster.Live.Get(ctx, gvk, key)
	if o == nil {
		return err
	}
	w.Live[key] = o
	labelled := p.Tracking.Labelled(o, w.Instance)
	if !labelled && !w.Ignore.NeedsOwners(key) {
		return nil
	}
	// The watch leaves managed fields out: they are most of an object, and few applications ask for them. Of an object
	// that nothing but a label marks it keeps no more than that.
	whole := &track.Object{}
	whole.SetGroupVersionKind(gvk)
	if err := p.cluster.Reader.Get(ctx, client.ObjectKeyFromObject(o), whole); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("read managed fields of %s: %w", key, err)
	}
	w.Owners[key] = whole.GetManagedFields()
	if labelled && whole.GetUID() != "" {
		whole.SetManagedFields(nil)
		w.Live[key] = whole
	}
	return nil
}

// others are the other applications that exist, among those that live objects say they belong to.
func (p *pass) others(ctx context.Context, w *operation.World) (map[string]bool, error) {
	out := map[string]bool{}
	for _, o := range w.Desired {
		live := w.Live[track.KeyOf(o)]
		if live == nil {
			continue
		}
		owner := p.Tracking.Owner(live)
		if _, known := out[owner]; known || owner == "" || owner == w.Instance {
			continue
		}
		namespace, name := track.InstanceName(owner, p.Control)
		err := p.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, object.New("Application"))
		if client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("read application %s: %w", owner, err)
		}
		out[owner] = err == nil
	}
	return out, nil
}
