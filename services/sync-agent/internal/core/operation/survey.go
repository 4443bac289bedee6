package operation

import (
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/diff"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/health"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
)

// survey compares every object.
func (p *Plan) survey(w World) {
	seen := map[track.Key]bool{}
	for _, o := range w.Desired {
		p.Items = append(p.Items, p.desired(w, o))
		seen[track.KeyOf(o)] = true
	}
	for _, o := range w.Hooks {
		key := track.KeyOf(o)
		if live := w.Live[key]; live != nil && !seen[key] && w.Tracking.Owner(live) == w.Instance {
			i := w.extra(key, live)
			i.Action, i.Reason, i.Hook = Skip, "", true
			p.Items = append(p.Items, i)
			seen[key] = true
		}
	}
	for key, live := range w.Live {
		if !seen[key] && w.Tracking.Owner(live) == w.Instance {
			p.Items = append(p.Items, w.extra(key, live))
		}
	}
	if home, needed := w.home(seen); needed {
		p.Items = append(p.Items, home)
	}
	slices.SortFunc(p.Items, compareItems)
	slices.SortFunc(p.Ask, compareItems)
}

func (p *Plan) desired(w World, o *track.Object) Item {
	key := track.KeyOf(o)
	i := Item{Key: key, Version: o.GroupVersionKind().Version, Wave: Wave(o), Desired: o, Live: w.Live[key]}
	judged := w.ignored(key).Without(o)
	i.Fingerprint = diff.Fingerprint(judged)
	if i.Live == nil {
		i.Action, i.Reason, i.Health = Create, "is missing", health.Health{Status: health.Missing}
		return i
	}
	i.Health = w.Assess(i.Live)
	i.Action, i.Reason = p.judge(w, &i, judged)
	if i.Action == Update && w.options().Has(respectIgnored) {
		i.Desired = w.ignored(key).Respecting(o, i.Live)
	}
	return i
}

// judge says what is to be done about an object that is wanted and there.
func (p *Plan) judge(w World, i *Item, judged *track.Object) (Action, string) {
	if owner := w.Tracking.Owner(i.Live); owner != w.Instance && !w.Tracking.Labelled(i.Live, w.Instance) {
		if owner != "" && w.Others[owner] {
			i.Shared = owner
			return Skip, "belongs to application " + owner
		}
		if i.Live.GetAnnotations()[track.TrackingAnnotation] == "" && i.Key.Kind == definitionKind {
			// Definitions carry no tracking: they are compared by content alone.
			return p.content(w, *i, judged)
		}
		return Update, "is not tracked yet"
	}
	return p.content(w, *i, judged)
}

// content compares what an object says. What differs although this very manifest was applied may be what the API
// server makes of it: then the server is asked.
func (p *Plan) content(w World, i Item, judged *track.Object) (Action, string) {
	applied := i.Live.GetAnnotations()[track.AppliedAnnotation]
	if applied != "" && applied != i.Fingerprint {
		return Update, "the manifest changed"
	}
	known := w.NormalizedDiffs[i.Key]
	asked := known.Fingerprint == i.Fingerprint
	for _, d := range diff.Compare(judged, w.ignored(i.Key).Without(i.Live)) {
		if asked && slices.Contains(known.Differences, d) {
			continue
		}
		i.Action, i.Reason = Update, "differs at "+d.Path
		if !asked || !slices.Contains(known.Drift, d) {
			p.Ask = append(p.Ask, i)
		}
		return i.Action, i.Reason
	}
	switch {
	case applied != "":
	case !asked:
		// Others applied it: what they own and Git does not say any more is known to the server alone.
		p.Ask = append(p.Ask, i)
	case known.Changes:
		return Update, "was applied by others, and the API server would change it"
	}
	return Skip, ""
}

// Applied is what is known of a manifest once it was applied and came out as made: what differs then is the server's
// normalisation.
func Applied(w World, i Item, made *track.Object) NormalizedDiff {
	f := w.ignored(i.Key)
	return NormalizedDiff{
		Fingerprint: i.Fingerprint,
		Differences: diff.Compare(f.Without(i.Desired), f.Without(made)),
	}
}

// Answer is what is known of a manifest once the API server said what it would make of it: predicted is the outcome of
// a dry run, nil when that was refused.
func Answer(w World, i Item, predicted *track.Object) NormalizedDiff {
	f := w.ignored(i.Key)
	live := f.Without(i.Live)
	differences := diff.Compare(f.Without(i.Desired), live)
	if predicted != nil && diff.Same(f.Without(predicted), live) {
		return NormalizedDiff{Fingerprint: i.Fingerprint, Differences: differences}
	}
	known := NormalizedDiff{Fingerprint: i.Fingerprint, Drift: differences, Changes: true}
	if before := w.NormalizedDiffs[i.Key]; before.Fingerprint == i.Fingerprint {
		known.Differences = before.Differences
	}
	return known
}

// ignored is what of an object does not count.
func (w World) ignored(key track.Key) diff.Filter { return w.Ignore.Of(key, w.Owners[key]) }

func (w World) extra(key track.Key, live *track.Object) Item {
	i := Item{
		Key:     key,
		Version: live.GroupVersionKind().Version,
		Wave:    Wave(live),
		Live:    live,
		Action:  Prune,
		Reason:  "is no longer in Git",
		Health:  w.Assess(live),
	}
	if IsHook(live) {
		i.Action, i.Reason, i.Hook = Skip, "", true
		return i
	}
	switch w.effective("Prune", live) {
	case "false":
		i.Kept, i.Reason = true, "is no longer in Git but must be kept (Prune=false)"
	case "confirm":
		i.Confirm = true
	}
	if key.Kind == definitionKind {
		i.Kept, i.Reason = true, "definitions are never pruned"
	}
	return i
}

// home is the namespace that CreateNamespace=true asks for.
func (w World) home(seen map[track.Key]bool) (Item, bool) {
	key := track.Key{Kind: "Namespace", Name: w.Destination}
	if !w.options().Has(createNamespace) || w.Destination == "" || seen[key] {
		return Item{}, false
	}
	meta := map[string]any{"name": w.Destination}
	managed := w.Policy.ManagedNamespaceMetadata
	if managed != nil {
		meta["labels"], meta["annotations"] = anyMap(managed.Labels), anyMap(managed.Annotations)
	}
	o := &track.Object{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": meta}}
	i := Item{
		Key:       key,
		Version:   "v1",
		Desired:   o,
		Live:      w.Live[key],
		Action:    Create,
		Reason:    createNamespace,
		Untracked: true,
	}
	if i.Live != nil {
		if managed == nil || len(diff.Compare(o, i.Live)) == 0 {
			return Item{}, false
		}
		i.Action, i.Reason = Update, "managedNamespaceMetadata"
	}
	return i, true
}

func anyMap(m map[string]string) map[string]any {
	out := map[string]any{}
	for k, v := range m {
		out[k] = v
	}
	return out
}

// synced reports whether all is as desired. Hooks, namespaces made on the side and what asks to be left out do not
// count.
func synced(items []Item) bool {
	return !slices.ContainsFunc(items, func(i Item) bool {
		return (i.Action != Skip || i.Shared != "") && !i.Untracked && !ignoredExtra(i)
	})
}

func ignoredExtra(i Item) bool {
	return i.Action == Prune && strings.Contains(i.Live.GetAnnotations()[CompareAnnotation], "IgnoreExtraneous")
}

// Worst is the health of an application: that of its worst object. What is only live, and what is made on the side,
// does not count.
func Worst(items []Item) health.Health {
	var parts []health.Part
	for _, i := range items {
		if i.Desired == nil || i.Untracked {
			continue
		}
		var h *health.Health
		if i.Health.Status != "" {
			h = &i.Health
		}
		parts = append(parts, health.PartOf(i.Key.String(), i.Desired, h))
	}
	return health.Worst(parts)
}
