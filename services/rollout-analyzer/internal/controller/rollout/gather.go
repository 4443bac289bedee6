package rollout

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/traffic"

	"github.com/argosy-mesh/argosy/libs/kube/object"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core"
	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/analysis"
	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/router"
)

// OwnerIndex finds ReplicaSets and AnalysisRuns by the uid of the Rollout that owns them.
const OwnerIndex = "argosy.owner"

// gather reads everything that may be looked at.
func (r *Reconciler) gather(ctx context.Context, object *unstructured.Unstructured) (core.World, error) {
	ro, warnings, err := v1alpha1.DecodeTolerant[v1alpha1.Rollout](object.Object)
	w := core.World{
		Now:        r.Now(),
		Rollout:    ro,
		Unreadable: core.Unreadable(err),
		Services:   map[string]*corev1.Service{},
		Templates:  map[v1alpha1.AnalysisTemplateRef]v1alpha1.AnalysisTemplateSpec{},
	}
	for _, warning := range warnings {
		if strings.HasPrefix(warning.Path, "spec.") {
			w.Warnings = append(w.Warnings, warning.String())
		}
	}
	if len(w.Unreadable) > 0 || ro.DeletionTimestamp != nil {
		return w, nil
	}
	for _, read := range []func(context.Context, *core.World) error{
		r.workload, r.replicaSets, r.pods, r.runs, r.experiments, r.services, r.routes, r.templates,
	} {
		if err := read(ctx, &w); err != nil {
			return w, err
		}
	}
	return w, nil
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

func (r *Reconciler) experiments(ctx context.Context, w *core.World) error {
	list := object.NewList("Experiment")
	if err := r.Client.List(
		ctx, list, client.InNamespace(w.Rollout.Namespace), client.MatchingFields{OwnerIndex: string(w.Rollout.UID)},
	); err != nil {
		return fmt.Errorf("list experiments: %w", err)
	}
	for i := range list.Items {
		ex, _, _ := v1alpha1.DecodeTolerant[v1alpha1.Experiment](list.Items[i].Object)
		w.Experiments = append(w.Experiments, ex)
	}
	return nil
}

func (r *Reconciler) services(ctx context.Context, w *core.World) error {
	for _, name := range core.ServiceNames(w.Rollout) {
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
	var managed corev1.ServiceList
	if err := r.Client.List(
		ctx, &managed, client.InNamespace(w.Rollout.Namespace), client.MatchingFields{managedIndex: w.Rollout.Name},
	); err != nil {
		return fmt.Errorf("list the services it manages: %w", err)
	}
	for i := range managed.Items {
		w.Services[managed.Items[i].Name] = &managed.Items[i]
	}
	return nil
}

func (r *Reconciler) routes(ctx context.Context, w *core.World) error {
	w.Routing = router.Read(w.Rollout)
	for _, kind := range router.Routers {
		for _, k := range kind.Kinds {
			if len(w.Routing.Refs[kind.Field]) > 0 {
				r.watchKind(k)
			}
		}
		for _, ref := range w.Routing.Refs[kind.Field] {
			bound, err := router.Bind(kind, router.InputOf(w.Rollout), ref, r.loader(ctx))
			if err != nil {
				return fmt.Errorf("read %s %s/%s: %w", ref.Kind, ref.Namespace, ref.Name, err)
			}
			if ref.Namespace != w.Rollout.Namespace {
				granted, err := r.granted(ctx, w.Rollout.Namespace, ref)
				if err != nil {
					return err
				}
				if !granted {
					bound = bound.Refused("is of another namespace, which has no ReferenceGrant for Rollouts of " +
						w.Rollout.Namespace)
				}
			}
			w.Routes = append(w.Routes, bound)
		}
	}
	return nil
}

// loader reads objects of routers in the version that the cluster prefers.
func (r *Reconciler) loader(ctx context.Context) router.Load {
	return func(ref traffic.Ref) (*unstructured.Unstructured, error) {
		mapping, err := r.Client.RESTMapper().RESTMapping(schema.GroupKind{Group: ref.Group, Kind: ref.Kind})
		if meta.IsNoMatchError(err) {
			return nil, router.ErrUnknownKind
		}
		if err != nil {
			return nil, fmt.Errorf("find the version of %s.%s: %w", ref.Kind, ref.Group, err)
		}
		u := &unstructured.Unstructured{}
		u.SetGroupVersionKind(mapping.GroupVersionKind)
		err = r.Client.Get(ctx, types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}, u)
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		return u, nil
	}
}

// granted reports whether the namespace of a router's object lets Rollouts of another one change it: by a
// ReferenceGrant from Rollouts of that namespace to the kind, and the name if it says one. Otherwise whoever may
// write a Rollout could take the traffic of another tenant.
func (r *Reconciler) granted(ctx context.Context, from string, to traffic.Ref) (bool, error) {
	mapping, err := r.Client.RESTMapper().RESTMapping(
		schema.GroupKind{Group: "gateway.networking.k8s.io", Kind: "ReferenceGrant"},
	)
	if meta.IsNoMatchError(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("find the version of ReferenceGrant: %w", err)
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(mapping.GroupVersionKind)
	if err := r.Live.List(ctx, list, client.InNamespace(to.Namespace)); err != nil {
		return false, fmt.Errorf("list ReferenceGrants of %s: %w", to.Namespace, err)
	}
	for i := range list.Items {
		if grants(list.Items[i].Object, from, to) {
			return true, nil
		}
	}
	return false, nil
}

func grants(grant map[string]any, from string, to traffic.Ref) bool {
	froms, _, _ := unstructured.NestedSlice(grant, "spec", "from")
	tos, _, _ := unstructured.NestedSlice(grant, "spec", "to")
	says := func(list []any, want map[string]string) bool {
		return slices.ContainsFunc(list, func(item any) bool {
			m, _ := item.(map[string]any)
			for key, value := range want {
				if said, _ := m[key].(string); said != value && (key != "name" || said != "") {
					return false
				}
			}
			return true
		})
	}
	return says(froms, map[string]string{"group": v1alpha1.Group, "kind": "Rollout", "namespace": from}) &&
		says(tos, map[string]string{"group": to.Group, "kind": to.Kind, "name": to.Name})
}

// pods reads the pods of each ReplicaSet, when the decision depends on them. They are not kept: a cache of all pods
// would be the largest thing here, and nothing needs them while a Rollout rests.
func (r *Reconciler) pods(ctx context.Context, w *core.World) error {
	if !core.NeedsPods(*w) {
		return nil
	}
	w.Pods = map[string][]*corev1.Pod{}
	for _, rs := range w.ReplicaSets {
		if rs.Spec.Replicas != nil && *rs.Spec.Replicas == 0 && rs.Status.Replicas == 0 {
			continue
		}
		var list corev1.PodList
		if err := r.Live.List(
			ctx, &list, client.InNamespace(rs.Namespace),
			client.MatchingLabels{core.HashLabel: rs.Labels[core.HashLabel]},
		); err != nil {
			return fmt.Errorf("list pods of replica set %s: %w", rs.Name, err)
		}
		for i := range list.Items {
			if metav1.IsControlledBy(&list.Items[i], rs) {
				w.Pods[rs.Name] = append(w.Pods[rs.Name], &list.Items[i])
			}
		}
	}
	return nil
}

// workload reads the object whose template the Rollout uses, and puts template and selector where the core looks for
// them: into the copy that it decides about, never into the object.
func (r *Reconciler) workload(ctx context.Context, w *core.World) error {
	ref := w.Rollout.Spec.WorkloadRef
	if ref == nil {
		return nil
	}
	w.Workload = &core.Workload{
		Kind: ref.Kind, Name: ref.Name, Inline: len(w.Rollout.Spec.Template.Spec.Containers) > 0,
	}
	if w.Workload.Inline {
		return nil
	}
	key := types.NamespacedName{Namespace: w.Rollout.Namespace, Name: ref.Name}
	var err error
	switch ref.Kind {
	case "Deployment":
		r.watchDeployments()
		var d appsv1.Deployment
		if err = r.Client.Get(ctx, key, &d); err == nil {
			w.Workload.Generation, w.Workload.Available = d.Generation, d.Status.AvailableReplicas
			w.Workload.Replicas = 1
			if d.Spec.Replicas != nil {
				w.Workload.Replicas = *d.Spec.Replicas
			}
			use(w.Rollout, &d.Spec.Template, d.Spec.Selector)
		}
	case "ReplicaSet":
		var rs appsv1.ReplicaSet
		if err = r.Live.Get(ctx, key, &rs); err == nil {
			w.Workload.Generation = rs.Generation
			use(w.Rollout, &rs.Spec.Template, rs.Spec.Selector)
		}
	case "PodTemplate":
		var t corev1.PodTemplate
		if err = r.Live.Get(ctx, key, &t); err == nil {
			w.Workload.Generation = t.Generation
			use(w.Rollout, &t.Template, &metav1.LabelSelector{MatchLabels: t.Template.Labels})
		}
	}
	if apierrors.IsNotFound(err) {
		w.Workload.Missing, err = true, nil
	}
	if err != nil {
		return fmt.Errorf("read %s %s: %w", ref.Kind, ref.Name, err)
	}
	return nil
}

// use gives a Rollout the template of another object, and its selector where it has none of its own.
func use(ro *v1alpha1.Rollout, template *corev1.PodTemplateSpec, selector *metav1.LabelSelector) {
	template.DeepCopyInto(&ro.Spec.Template)
	if ro.Spec.Selector == nil {
		ro.Spec.Selector = selector.DeepCopy()
	}
}

// templates reads the templates a Rollout names, and those that they name.
func (r *Reconciler) templates(ctx context.Context, w *core.World) (err error) {
	w.Templates, err = Templates(ctx, r.Client, w.Rollout.Namespace, templateRefs(w.Rollout))
	return err
}

// Templates reads analysis templates, and those that they name.
func Templates(
	ctx context.Context, c client.Reader, namespace string, open []v1alpha1.AnalysisTemplateRef,
) (analysis.Templates, error) {
	out := analysis.Templates{}
	for len(open) > 0 {
		ref := open[0]
		open = open[1:]
		if _, known := out[ref]; known {
			continue
		}
		spec, found, err := template(ctx, c, namespace, ref)
		if err != nil {
			return nil, err
		}
		if found {
			out[ref] = spec
			open = append(open, spec.Templates...)
		}
	}
	return out, nil
}

func template(
	ctx context.Context, c client.Reader, namespace string, ref v1alpha1.AnalysisTemplateRef,
) (spec v1alpha1.AnalysisTemplateSpec, found bool, err error) {
	u, key := object.New("AnalysisTemplate"), types.NamespacedName{Namespace: namespace, Name: ref.TemplateName}
	if ref.ClusterScope {
		u, key = object.New("ClusterAnalysisTemplate"), types.NamespacedName{Name: ref.TemplateName}
	}
	if err := c.Get(ctx, key, u); err != nil {
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
	if b := ro.Spec.Strategy.BlueGreen; b != nil {
		for _, a := range []*v1alpha1.RolloutAnalysis{b.PrePromotionAnalysis, b.PostPromotionAnalysis} {
			if a != nil {
				refs = append(refs, a.Templates...)
			}
		}
	}
	c := ro.Spec.Strategy.Canary
	if c == nil {
		return refs
	}
	if c.Analysis != nil {
		refs = append(refs, c.Analysis.Templates...)
	}
	for _, s := range c.Steps {
		if s.Analysis != nil {
			refs = append(refs, s.Analysis.Templates...)
		}
		if s.Experiment != nil {
			for _, a := range s.Experiment.Analyses {
				refs = append(
					refs,
					v1alpha1.AnalysisTemplateRef{TemplateName: a.TemplateName, ClusterScope: a.ClusterScope},
				)
			}
		}
	}
	return refs
}
