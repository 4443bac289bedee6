// Package operation is the machine of a sync: what to apply and prune now, in which order, when to begin by itself,
// when to try again, and when it is over.
package operation

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/diff"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/health"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
)

// Decide makes the plan of one application.
func Decide(w World) Plan {
	items := survey(w)
	p := Plan{Items: items, Synced: true, Health: Worst(items)}
	for _, i := range items {
		if i.Action != Skip && !i.Untracked && !ignoredExtra(i) {
			p.Synced = false
		}
	}
	p.gate(w)
	if p.Operation != nil {
		p.advance(w)
	}
	return p
}

// survey compares every object, in the order of application.
func survey(w World) []Item {
	var items []Item
	seen := map[track.Key]bool{}
	for _, o := range w.Desired {
		items = append(items, w.desired(o))
		seen[track.KeyOf(o)] = true
	}
	for key, live := range w.Live {
		if !seen[key] && track.TrackedBy(live) == w.Instance {
			items = append(items, w.extra(key, live))
		}
	}
	if home, needed := w.home(seen); needed {
		items = append(items, home)
	}
	hoistPrerequisites(items)
	slices.SortFunc(items, compareSteps)
	return items
}

func (w World) desired(o *track.Object) Item {
	key := track.KeyOf(o)
	i := Item{Key: key, Version: o.GroupVersionKind().Version, Wave: Wave(o), Desired: o, Live: w.Live[key]}
	judged := w.without(o)
	i.Fingerprint = diff.Fingerprint(judged)
	if i.Live == nil {
		i.Action, i.Reason, i.Health = Create, "is missing", health.Health{Status: health.Missing}
		return i
	}
	i.Health = health.Assess(i.Live)
	i.Action, i.Reason = w.judge(i, judged)
	if i.Action == Update && w.options().Has("RespectIgnoreDifferences=true") {
		i.Desired = w.respecting(o, i.Live)
	}
	return i
}

func (w World) judge(i Item, judged *track.Object) (Action, string) {
	if owner := track.TrackedBy(i.Live); owner != w.Instance {
		if owner != "" && w.Others[owner] {
			return Skip, "belongs to application " + owner
		}
		if i.Live.GetAnnotations()[track.TrackingAnnotation] == "" && i.Key.Kind == "CustomResourceDefinition" {
			// Definitions carry no tracking: they are compared by content alone.
			return w.content(i, judged)
		}
		return Update, "is not tracked yet"
	}
	return w.content(i, judged)
}

func (w World) content(i Item, judged *track.Object) (Action, string) {
	applied := i.Live.GetAnnotations()[track.AppliedAnnotation]
	if applied != "" && applied != i.Fingerprint {
		return Update, "the manifest changed"
	}
	settled := w.NormalizedDiffs[i.Key]
	for _, d := range diff.Compare(judged, i.Live) {
		if settled.Fingerprint == i.Fingerprint && slices.Contains(settled.Differences, d) {
			continue
		}
		return Update, "differs at " + d.Path
	}
	return Skip, ""
}

func (w World) extra(key track.Key, live *track.Object) Item {
	i := Item{
		Key:     key,
		Version: live.GroupVersionKind().Version,
		Wave:    Wave(live),
		Live:    live,
		Action:  Prune,
		Reason:  "is no longer in Git",
		Health:  health.Assess(live),
	}
	options := OptionsOf(live)
	if options.Has("Prune=false") || (w.options().Has("Prune=false") && !options.Has("Prune=true")) {
		i.Kept, i.Reason = true, "is no longer in Git but must be kept (Prune=false)"
	}
	if key.Kind == "CustomResourceDefinition" {
		i.Kept, i.Reason = true, "definitions are never pruned"
	}
	return i
}

// home is the namespace that CreateNamespace=true asks for.
func (w World) home(seen map[track.Key]bool) (Item, bool) {
	key := track.Key{Kind: "Namespace", Name: w.Destination}
	if !w.options().Has("CreateNamespace=true") || w.Destination == "" || seen[key] || w.Live[key] != nil {
		return Item{}, false
	}
	meta := map[string]any{"name": w.Destination}
	if m := w.Policy.ManagedNamespaceMetadata; m != nil {
		meta["labels"], meta["annotations"] = anyMap(m.Labels), anyMap(m.Annotations)
	}
	o := &track.Object{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": meta}}
	return Item{
		Key: key, Version: "v1", Desired: o, Action: Create, Reason: "CreateNamespace=true", Untracked: true,
	}, true
}

func anyMap(m map[string]string) map[string]any {
	out := map[string]any{}
	for k, v := range m {
		out[k] = v
	}
	return out
}

func (w World) options() Options { return Options(w.Policy.SyncOptions) }

// without is the manifest less the fields whose differences do not count.
func (w World) without(o *track.Object) *track.Object {
	pointers := w.ignored(o)
	if len(pointers) == 0 {
		return o
	}
	o = o.DeepCopy()
	for _, p := range pointers {
		diff.Remove(o, p)
	}
	return o
}

func (w World) ignored(o *track.Object) []string {
	var out []string
	key := track.KeyOf(o)
	for _, rule := range w.Ignore {
		if glob(rule.Group, key.Group) && glob(rule.Kind, key.Kind) &&
			(rule.Name == "" || rule.Name == key.Name) && (rule.Namespace == "" || rule.Namespace == key.Namespace) {
			out = append(out, rule.JSONPointers...)
		}
	}
	return out
}

// respecting is the manifest with the live values of ignored fields.
func (w World) respecting(o, live *track.Object) *track.Object {
	pointers := w.ignored(o)
	if len(pointers) == 0 {
		return o
	}
	o = o.DeepCopy()
	for _, p := range pointers {
		diff.Adopt(o, live, p)
	}
	return o
}

func ignoredExtra(i Item) bool {
	return i.Action == Prune && strings.Contains(i.Live.GetAnnotations()[CompareAnnotation], "IgnoreExtraneous")
}

// advance chooses the next step of the operation, or its end.
func (p *Plan) advance(w World) {
	switch {
	case w.State != nil && w.State.Phase == v1alpha1.OperationTerminating && !p.Begins:
		p.Phase, p.Message = v1alpha1.OperationFailed, "operation terminated"
		return
	case p.Operation.Sync.DryRun:
		p.Phase, p.Message = v1alpha1.OperationSucceeded, "dry run: nothing was applied"
		return
	}
	chosen := p.chosen()
	var apply, prune []Item
	for _, i := range chosen {
		switch {
		case i.Action == Create || i.Action == Update:
			apply = append(apply, i)
		case i.Action == Prune && p.Operation.Sync.Prune && !i.Kept:
			prune = append(prune, i)
		}
	}
	switch {
	case len(apply) > 0:
		wave := apply[0].Wave
		if p.waits(chosen, func(i Item) bool { return i.Wave < wave }) {
			return
		}
		p.Step = slices.DeleteFunc(apply, func(i Item) bool { return i.Wave != wave })
	case len(prune) > 0:
		last := w.options().Has("PruneLast=true")
		if last && p.waits(chosen, func(Item) bool { return true }) {
			return
		}
		p.pruneStep(prune)
	case waves(chosen) > 1 && p.waits(chosen, func(Item) bool { return true }):
	default:
		p.Phase, p.Message = v1alpha1.OperationSucceeded, "successfully synced (all tasks run)"
	}
}

// pruneStep goes backwards, one wave at a time, and waits for what it deleted.
func (p *Plan) pruneStep(prune []Item) {
	slices.SortFunc(prune, func(a, b Item) int { return cmp.Or(-cmp.Compare(a.Wave, b.Wave), -compareSteps(a, b)) })
	wave := prune[0].Wave
	for _, i := range prune {
		if i.Wave != wave {
			break
		}
		if i.Live.GetDeletionTimestamp() != nil {
			p.Wait = "waiting for deletion of " + i.Key.String()
			continue
		}
		p.Step = append(p.Step, i)
	}
}

// chosen are the objects that the operation is about.
func (p *Plan) chosen() []Item {
	if len(p.Operation.Sync.Resources) == 0 {
		return p.Items
	}
	var out []Item
	for _, i := range p.Items {
		if slices.ContainsFunc(p.Operation.Sync.Resources, func(r v1alpha1.SyncOperationResource) bool {
			return r.Group == i.Key.Group && r.Kind == i.Key.Kind && r.Name == i.Key.Name &&
				(r.Namespace == "" || r.Namespace == i.Key.Namespace)
		}) {
			out = append(out, i)
		}
	}
	return out
}

// waits reports whether some object that must be healthy first is not; one that
// is degraded ends the operation.
func (p *Plan) waits(items []Item, first func(Item) bool) bool {
	for _, i := range items {
		if i.Desired == nil || i.Untracked || !first(i) {
			continue
		}
		switch i.Health.Status {
		case health.Degraded:
			p.Phase, p.Message = v1alpha1.OperationFailed, fmt.Sprintf(
				"wave %d: %s is degraded: %s", i.Wave, i.Key, i.Health.Message,
			)
			return true
		case health.Progressing, health.Missing:
			p.Wait = fmt.Sprintf("waiting for healthy state of %s (wave %d)", i.Key, i.Wave)
			return true
		}
	}
	return false
}

func waves(items []Item) int {
	distinct := map[int]bool{}
	for _, i := range items {
		if i.Desired != nil && !i.Untracked {
			distinct[i.Wave] = true
		}
	}
	return len(distinct)
}
