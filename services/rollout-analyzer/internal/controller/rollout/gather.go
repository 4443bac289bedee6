package rollout

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/traffic"

	"github.com/argosy-mesh/argosy/libs/kube/object"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core"
	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/router"
)

// OwnerIndex finds ReplicaSets and AnalysisRuns by the uid of the Rollout that owns them.
const OwnerIndex = "argosy.owner"

// gather reads everything that may be looked at.
func (r *Reconciler) gather(ctx context.Context, object *unstructured.Unstructured) (core.World, error) {
	ro, warnings, err := v1alpha1.DecodeTolerant[v1alpha1.Rollout](object.Object)
	w := core.World{Now: r.Now(), Rollout: ro, Unreadable: problems(err), Services: map[string]*corev1.Service{},
		Templates: map[v1alpha1.AnalysisTemplateRef]v1alpha1.AnalysisTemplateSpec{}}
	for _, warning := range warnings {
		if strings.HasPrefix(warning.Path, "spec.") {
			w.Warnings = append(w.Warnings, warning.String())
		}
	}
	if len(w.Unreadable) > 0 || ro.DeletionTimestamp != nil {
		return w, nil
	}
	for _, read := range []func(context.Context, *core.World) error{
		r.replicaSets, r.runs, r.services, r.routes, r.templates,
	} {
		if err := read(ctx, &w); err != nil {
			return w, err
		}
	}
	return w, nil
}

// problems turns the errors of decoding into what a person can mend.
func problems(err error) (out []core.Problem) {
	if err == nil {
		return nil
	}
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all = joined.Unwrap()
	}
	for _, e := range all {
		if field, ok := errors.AsType[*v1alpha1.FieldError](e); ok {
			out = append(out, core.Problem{Field: field.Path, Reason: field.Err.Error()})
			continue
		}
		out = append(out, core.Problem{Field: "spec", Reason: e.Error()})
	}
	return out
}

func (r *Reconciler) replicaSets(ctx context.Context, w *core.World) error {
	var list appsv1.ReplicaSetList
	if err := r.Client.List(
		ctx, &list, client.InNamespace(w.Rollout.Namespace), client.MatchingFields{OwnerIndex: string(w.Rollout.UID)},
	); err != nil {
		return fmt.Errorf("list replica sets: %w", err)
	}
	for i := range list.Items {
		w.ReplicaSets = append(w.ReplicaSets, &list.Items[i])
	}
	return nil
}

func (r *Reconciler) runs(ctx context.Context, w *core.World) error {
	list := object.NewList("AnalysisRun")
	if err := r.Client.List(
		ctx, list, client.InNamespace(w.Rollout.Namespace), client.MatchingFields{OwnerIndex: string(w.Rollout.UID)},
	); err != nil {
		return fmt.Errorf("list analysis runs: %w", err)
	}
	for i := range list.Items {
		run, _, _ := v1alpha1.DecodeTolerant[v1alpha1.AnalysisRun](list.Items[i].Object)
		w.Runs = append(w.Runs, run)
	}
	return nil
}

func (r *Reconciler) services(ctx context.Context, w *core.World) error {
	for _, name := range Services(w.Rollout) {
		svc := &corev1.Service{}
		err := r.Client.Get(ctx, types.NamespacedName{Namespace: w.Rollout.Namespace, Name: name}, svc)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read service %s: %w", name, err)
		}
		w.Services[name] = svc
	}
	return nil
}

// Services returns the names of the services that a Rollout names.
func Services(ro *v1alpha1.Rollout) (names []string) {
	c := ro.Spec.Strategy.Canary
	if c == nil {
		return nil
	}
	for _, name := range []string{c.CanaryService, c.StableService} {
		if name != "" {
			names = append(names, name)
		}
	}
	return names
}

func (r *Reconciler) routes(ctx context.Context, w *core.World) error {
	w.Routing = router.Read(w.Rollout)
	for _, kind := range router.Routers {
		for _, ref := range w.Routing.Refs[kind.Field] {
			observed, err := r.observe(ctx, kind, ref, w.Rollout.Spec.Strategy.Canary)
			if err != nil {
				return err
			}
			w.Routes = append(w.Routes, observed)
		}
	}
	return nil
}

func (r *Reconciler) observe(
	ctx context.Context, kind router.Router, ref traffic.Ref, c *v1alpha1.CanaryStrategy,
) (traffic.Observed, error) {
	u, out := kind.New(), traffic.Observed{Missing: true}
	err := r.Client.Get(ctx, types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}, u)
	switch {
	case apierrors.IsNotFound(err) || meta.IsNoMatchError(err):
	case err != nil:
		return out, fmt.Errorf("read %s %s/%s: %w", ref.Kind, ref.Namespace, ref.Name, err)
	default:
		out = kind.Observe(u, c.CanaryService, c.StableService)
	}
	out.Ref, out.Field = ref, kind.Field
	return out, nil
}

// templates reads the templates a Rollout names, and those that they name.
func (r *Reconciler) templates(ctx context.Context, w *core.World) error {
	open := templateRefs(w.Rollout)
	for len(open) > 0 {
		ref := open[0]
		open = open[1:]
		if _, known := w.Templates[ref]; known {
			continue
		}
		spec, found, err := r.template(ctx, w.Rollout.Namespace, ref)
		if err != nil {
			return err
		}
		if found {
			w.Templates[ref] = spec
			open = append(open, spec.Templates...)
		}
	}
	return nil
}

func (r *Reconciler) template(
	ctx context.Context, namespace string, ref v1alpha1.AnalysisTemplateRef,
) (spec v1alpha1.AnalysisTemplateSpec, found bool, err error) {
	u, key := object.New("AnalysisTemplate"), types.NamespacedName{Namespace: namespace, Name: ref.TemplateName}
	if ref.ClusterScope {
		u, key = object.New("ClusterAnalysisTemplate"), types.NamespacedName{Name: ref.TemplateName}
	}
	if err := r.Client.Get(ctx, key, u); err != nil {
		if apierrors.IsNotFound(err) {
			return spec, false, nil
		}
		return spec, false, fmt.Errorf("read template %s: %w", ref.TemplateName, err)
	}
	t, _, _ := v1alpha1.DecodeTolerant[v1alpha1.AnalysisTemplate](u.Object)
	return t.Spec, true, nil
}

// templateRefs returns the templates that a Rollout names.
func templateRefs(ro *v1alpha1.Rollout) (refs []v1alpha1.AnalysisTemplateRef) {
	c := ro.Spec.Strategy.Canary
	if c == nil {
		return nil
	}
	if c.Analysis != nil {
		refs = append(refs, c.Analysis.Templates...)
	}
	for _, s := range c.Steps {
		if s.Analysis != nil {
			refs = append(refs, s.Analysis.Templates...)
		}
	}
	return refs
}
