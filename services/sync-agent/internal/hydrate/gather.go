package hydrate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/libs/kube/object"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/hydration"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/operation"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/push"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/render"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source/git"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// member is an Application that is written to a branch.
type member struct {
	raw *unstructured.Unstructured // as it was read or written last
	app *v1alpha1.Application
	hydration.App
}

// members are those of one branch, by their names.
type members map[string]*member

func (m members) apps() []hydration.App {
	var out []hydration.App
	for _, name := range slices.Sorted(maps.Keys(m)) {
		out = append(out, m[name].App)
	}
	return out
}

// gather finds the Applications of a branch.
func (h *Hydrator) gather(ctx context.Context, req reconcile.Request) (members, error) {
	list := object.NewList("Application")
	if err := h.Client.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list applications: %w", err)
	}
	h.forget(list.Items)
	out := members{}
	for i := range list.Items {
		raw := &list.Items[i]
		s := hydratorOf(raw)
		if s == nil || requestOf(*s) != req || raw.GetDeletionTimestamp() != nil ||
			raw.GetAnnotations()[operation.SkipReconcile] == "true" || !h.Projects.Serves(raw.GetNamespace()) {
			continue
		}
		raw = raw.DeepCopy()
		app, _, err := v1alpha1.DecodeTolerant[v1alpha1.Application](raw.Object)
		if err != nil {
			continue // its own conditions say so
		}
		m := &member{raw: raw, app: app, App: hydration.App{
			Name: app.Namespace + "/" + app.Name, UID: string(app.UID), Project: app.Spec.Project,
			Created: app.CreationTimestamp.Time, Spec: *s, Status: app.Status.SourceHydrator,
			Asked: app.Annotations[hydration.Asked] != "",
		}}
		if m.Problem, err = h.problem(ctx, m); err != nil {
			return nil, err
		}
		out[m.Name] = m
	}
	return out, nil
}

// forget drops the pushes of applications that are gone.
func (h *Hydrator) forget(list []unstructured.Unstructured) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.pushes) <= len(list) {
		return
	}
	there := make(map[types.UID]bool, len(list))
	for i := range list {
		there[list[i].GetUID()] = true
	}
	maps.DeleteFunc(h.pushes, func(uid types.UID, _ string) bool { return !there[uid] })
}

// problem says why an Application may not be hydrated, or cannot be as it stands, "" when it can.
func (h *Hydrator) problem(ctx context.Context, m *member) (string, error) {
	if wrong := hydration.Check(m.Spec); wrong != nil {
		return wrong.Error(), nil //nolint:nilerr // what is wrong with a spec is an answer
	}
	for _, location := range []string{m.Spec.DrySource.RepoURL, hydration.Repository(m.Spec)} {
		reason, err := h.Projects.Repository(ctx, m.app.Namespace, m.Project, location)
		if err != nil || reason != "" {
			return reason, err
		}
	}
	return "", nil
}

// want says how fresh the answer of Git must be for a batch: as of now when a push was told that nobody followed yet,
// or when somebody asks. told reports which pushes are followed by that.
func (h *Hydrator) want(all members, b hydration.Batch) (want git.Want, told func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	want.Since = time.Now().Add(-h.Refresh)
	for _, a := range b.Apps {
		m := all[a.Name]
		id := m.app.Annotations[push.AnnotationHydrate]
		last, met := h.pushes[m.app.UID]
		if !met || id != last || a.Asked {
			want.Since = time.Now()
			want.SHA = m.app.Annotations[push.AnnotationHydrateRevision]
		}
		if a.Asked {
			want.SHA = ""
		}
	}
	return want, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, a := range b.Apps {
			m := all[a.Name]
			h.pushes[m.app.UID] = m.app.Annotations[push.AnnotationHydrate]
		}
	}
}

// chain is what the commit of a batch goes on from: what the dry commit says, else the push that told of it.
func chain(all members, b hydration.Batch, dry hydration.Dry) lineage.Lineage {
	l := lineage.FromMessage(dry.Message)
	for _, a := range b.Apps {
		notes := all[a.Name].app.Annotations
		if notes[push.AnnotationHydrate] == "" || notes[push.AnnotationHydrateRevision] != dry.SHA {
			continue
		}
		if l.Empty() {
			l = lineage.Lineage{
				Trace:       notes[push.AnnotationHydrateTrace],
				Correlation: notes[push.AnnotationHydrateCorrelation],
			}
		}
		l.Causation = notes[push.AnnotationHydrate]
		return l
	}
	return l
}

// render renders a batch at a dry commit. What fails is by the name of the Application.
func (h *Hydrator) render(
	ctx context.Context, all members, b hydration.Batch, dry string,
) (folders []hydration.Folder, failed map[string]string) {
	made, errs := make([]hydration.Folder, len(b.Apps)), make([]error, len(b.Apps))
	var group sync.WaitGroup
	slots := make(chan struct{}, concurrency)
	for i, a := range b.Apps {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			made[i], errs[i] = h.renderOne(ctx, all[a.Name], dry)
		})
	}
	group.Wait()
	failed = map[string]string{}
	for i, a := range b.Apps {
		if errs[i] != nil {
			failed[a.Name] = errs[i].Error()
			continue
		}
		folders = append(folders, made[i])
	}
	return folders, failed
}

func (h *Hydrator) renderOne(ctx context.Context, m *member, dry string) (hydration.Folder, error) {
	project, _, err := h.Projects.Get(ctx, m.Project)
	if err != nil {
		return hydration.Folder{}, fmt.Errorf("spec.project: %w", err)
	}
	to, err := h.Destination(ctx, m.raw, m.app.Spec.Destination)
	if err != nil {
		return hydration.Folder{}, fmt.Errorf("spec.destination: %w", err)
	}
	found, err := h.Sources.Render(ctx, source.Request{
		App: render.App{
			Name:      track.Instance(m.app.Namespace, m.app.Name, h.Control),
			Namespace: m.app.Spec.Destination.Namespace, Project: m.Project,
		},
		Sources: []v1alpha1.ApplicationSource{hydration.DrySource(m.Spec)}, Revisions: []string{dry},
		Destination: to, Sealed: true, Fresh: m.app.Annotations[hydration.Asked] == "hard",
		Permitted: func(repository string) error {
			if reason := project.Source(repository); reason != "" {
				return errors.New(reason)
			}
			return nil
		},
		Permits:       project.Permits(),
		Verifications: project.Verifications,
	}, new(source.NewMemory(time.Time{})))
	if err != nil {
		return hydration.Folder{}, err
	}
	var manifests []map[string]any
	for _, o := range found.Manifests.Objects {
		manifests = append(manifests, o.Object)
	}
	return hydration.NewFolder(m.App, manifests)
}
