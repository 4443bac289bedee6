// Package refresh has the owners of Applications look at Git when a push concerns them.
package refresh

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"

	"github.com/argosy-mesh/argosy/libs/kube/object"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/appset"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/hydration"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/push"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// OlderType is the type of the pushes that versions before this one knew, which have no attributes of their own.
const OlderType = "github"

// Handler tells the owners of applications that Git changed: an annotation reaches
// them wherever they are, and survives them.
type Handler struct {
	client      client.Client // reads are cached
	log         *slog.Logger
	unconcerned Unconcerned

	mu      sync.Mutex
	sources map[types.UID]knownSources
}

// knownSources are the sources of an application as of a generation of it.
type knownSources struct {
	generation int64
	sources    []v1alpha1.ApplicationSource
	dry        *v1alpha1.ApplicationSource // that it is hydrated from
}

// Unconcerned reports whether it is known that a push changes nothing that an application reads.
type Unconcerned = func(context.Context, types.UID, []v1alpha1.ApplicationSource, push.Push) bool

// New returns a handler.
func New(c client.Client, unconcerned Unconcerned, log *slog.Logger) *Handler {
	return &Handler{client: c, unconcerned: unconcerned, log: log, sources: map[types.UID]knownSources{}}
}

// Handle takes an event that may be a push to Git.
func (h *Handler) Handle(ctx context.Context, d bus.Delivery) ([]bus.Outgoing, error) {
	told, is := pushOf(d)
	if !is {
		return nil, nil
	}
	pushed := push.Of(told)
	list := object.NewList("Application")
	// Every push looks at all applications: they are not copied for that.
	if err := h.client.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list applications: %w", err)
	}
	h.forget(list.Items)
	errs := []error{h.sets(ctx, d, pushed)}
	for i := range list.Items {
		raw := &list.Items[i]
		errs = append(errs, h.hydrate(ctx, d, raw, pushed))
		commit, follows := h.follows(raw, pushed)
		if !follows || raw.GetAnnotations()[push.AnnotationRefresh] == d.ID() ||
			h.unconcerned(ctx, raw.GetUID(), h.sourcesOf(raw).sources, pushed) {
			continue
		}
		h.log.InfoContext(
			ctx, "push concerns application", "application", raw.GetNamespace()+"/"+raw.GetName(), "event_id", d.ID(),
			"commit", commit,
		)
		body, err := marks(d, commit, refreshes)
		if err != nil {
			return nil, fault.AsPoison(err)
		}
		if err := h.client.Patch(
			ctx, raw.DeepCopy(), client.RawPatch(types.MergePatchType, body),
		); client.IgnoreNotFound(err) != nil {
			errs = append(errs, fmt.Errorf("refresh application %s/%s: %w", raw.GetNamespace(), raw.GetName(), err))
		}
	}
	return nil, errors.Join(errs...)
}

// sets tells ApplicationSets whose generators a push may concern.
func (h *Handler) sets(ctx context.Context, d bus.Delivery, pushed push.Push) error {
	list := object.NewList("ApplicationSet")
	if err := h.client.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list applicationsets: %w", err)
	}
	var errs []error
	for i := range list.Items {
		raw := &list.Items[i]
		if raw.GetAnnotations()[push.AnnotationRefresh] == d.ID() || !appset.Follows(raw.Object, pushed) {
			continue
		}
		h.log.InfoContext(
			ctx, "push concerns applicationset", "applicationset", raw.GetNamespace()+"/"+raw.GetName(),
			"event_id", d.ID(),
		)
		body, err := marks(d, "", refreshes)
		if err != nil {
			return fault.AsPoison(err)
		}
		if err := h.client.Patch(
			ctx, raw.DeepCopy(), client.RawPatch(types.MergePatchType, body),
		); client.IgnoreNotFound(err) != nil {
			errs = append(errs, fmt.Errorf("refresh applicationset %s/%s: %w", raw.GetNamespace(), raw.GetName(), err))
		}
	}
	return errors.Join(errs...)
}

// hydrate tells an application that what it is hydrated from was pushed to.
func (h *Handler) hydrate(
	ctx context.Context, d bus.Delivery, raw *unstructured.Unstructured, pushed push.Push,
) error {
	dry := h.sourcesOf(raw).dry
	if dry == nil || raw.GetAnnotations()[push.AnnotationHydrate] == d.ID() {
		return nil
	}
	commit, concerns := pushed.Concerns(*dry)
	if !concerns {
		return nil
	}
	body, err := marks(d, commit, hydrates)
	if err != nil {
		return fault.AsPoison(err)
	}
	err = h.client.Patch(ctx, raw.DeepCopy(), client.RawPatch(types.MergePatchType, body))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("hydrate application %s/%s: %w", raw.GetNamespace(), raw.GetName(), err)
	}
	return nil
}

// names are those of the annotations of a push.
type names struct{ id, revision, correlation, trace string }

var (
	refreshes = names{
		push.AnnotationRefresh, push.AnnotationRevision, push.AnnotationCorrelation, push.AnnotationTrace,
	}
	hydrates = names{
		push.AnnotationHydrate, push.AnnotationHydrateRevision, push.AnnotationHydrateCorrelation,
		push.AnnotationHydrateTrace,
	}
)

// marks are the annotations that a push leaves on an application.
func marks(d bus.Delivery, commit string, n names) ([]byte, error) {
	l := bus.After(d.Event)
	value := func(s string) any {
		if s == "" {
			return nil // takes away what an earlier push left
		}
		return s
	}
	return json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]any{
		n.id: d.ID(), n.revision: value(commit), n.correlation: value(l.Correlation), n.trace: value(l.Trace),
	}}})
}

// pushOf reads what a push did. Events that an older webhook-ingest stored say it in their bodies alone: those of
// GitHub are read so.
func pushOf(d bus.Delivery) (events.GitPushed, bool) {
	told, is := events.ReadGitPushed(func(name string) string {
		text, _ := d.Extensions()[name].(string)
		return text
	})
	if is || d.Type() != OlderType {
		return told, is
	}
	return push.ReadOlder(d.Data())
}

// follows reports whether a push concerns an application, and which commit it brings.
func (h *Handler) follows(raw *unstructured.Unstructured, pushed push.Push) (commit string, ok bool) {
	for _, s := range h.sourcesOf(raw).sources {
		if commit, ok := pushed.Concerns(s); ok {
			return commit, true
		}
	}
	return "", false
}

// sourcesOf decodes the sources of an application once per generation: every push looks at all applications.
func (h *Handler) sourcesOf(raw *unstructured.Unstructured) knownSources {
	h.mu.Lock()
	defer h.mu.Unlock()
	known, is := h.sources[raw.GetUID()]
	if is && known.generation == raw.GetGeneration() && known.generation != 0 {
		return known
	}
	known = sourcesOf(raw)
	known.generation = raw.GetGeneration()
	h.sources[raw.GetUID()] = known
	return known
}

// forget drops the sources of applications that are gone.
func (h *Handler) forget(list []unstructured.Unstructured) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.sources) <= len(list) {
		return
	}
	there := make(map[types.UID]bool, len(list))
	for i := range list {
		there[list[i].GetUID()] = true
	}
	maps.DeleteFunc(h.sources, func(uid types.UID, _ knownSources) bool { return !there[uid] })
}

// sourcesOf reads only the sources: the rest of the spec may be malformed.
func sourcesOf(raw *unstructured.Unstructured) knownSources {
	app, _, _ := v1alpha1.DecodeTolerant[v1alpha1.Application](map[string]any{"spec": raw.Object["spec"]})
	switch {
	case len(app.Spec.Sources) > 0:
		return knownSources{sources: app.Spec.Sources}
	case app.Spec.SourceHydrator != nil:
		return knownSources{
			sources: []v1alpha1.ApplicationSource{hydration.SyncSource(*app.Spec.SourceHydrator)},
			dry:     new(hydration.DrySource(*app.Spec.SourceHydrator)),
		}
	case app.Spec.Source != nil:
		return knownSources{sources: []v1alpha1.ApplicationSource{*app.Spec.Source}}
	}
	return knownSources{}
}
