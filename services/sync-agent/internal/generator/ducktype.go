package generator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/appset"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var duckTypeKind = answering("clusterDecisionResource", func(
	g *Generators, ctx context.Context, by Asker, spec *v1alpha1.DuckTypeGenerator,
) (appset.Placements, error) {
	var config corev1.ConfigMap
	name := client.ObjectKey{Namespace: by.Namespace, Name: spec.ConfigMapRef}
	if err := g.Reader.Get(ctx, name, &config); err != nil {
		return appset.Placements{}, fmt.Errorf("configMapRef: %w", err)
	}
	for _, key := range []string{"apiVersion", "kind", "statusListKey", "matchKey"} {
		if config.Data[key] == "" {
			return appset.Placements{}, fmt.Errorf("configMapRef: ConfigMap %s/%s has no %s", by.Namespace, config.Name, key)
		}
	}
	out := appset.Placements{MatchKey: config.Data["matchKey"]}
	objects, err := g.placements(ctx, by, spec, config.Data)
	if err != nil {
		return out, err
	}
	for _, o := range objects {
		items, _, err := unstructured.NestedSlice(o.Object, "status", config.Data["statusListKey"])
		if err != nil {
			return out, fmt.Errorf(
				"%s %s: status.%s is no list", o.GetKind(), o.GetName(), config.Data["statusListKey"],
			)
		}
		for i, item := range items {
			m, ok := item.(map[string]any)
			if !ok {
				return out, fmt.Errorf("%s %s: status.%s[%d] is no object", o.GetKind(), o.GetName(),
					config.Data["statusListKey"], i)
			}
			out.Items = append(out.Items, m)
		}
	}
	out.Clusters, err = g.clusters(ctx)
	return out, err
})

// placements reads the one that is named, or those whose labels match.
func (g *Generators) placements(
	ctx context.Context, by Asker, spec *v1alpha1.DuckTypeGenerator, config map[string]string,
) ([]unstructured.Unstructured, error) {
	gvk, err := g.kindOf(config["apiVersion"], config["kind"])
	if err != nil {
		return nil, err
	}
	if spec.Name != "" {
		o := &unstructured.Unstructured{}
		o.SetGroupVersionKind(gvk)
		if err := g.Reader.Get(ctx, client.ObjectKey{Namespace: by.Namespace, Name: spec.Name}, o); err != nil {
			return nil, fmt.Errorf("read %s %s/%s: %w", gvk.Kind, by.Namespace, spec.Name, err)
		}
		return []unstructured.Unstructured{*o}, nil
	}
	selector, err := metav1.LabelSelectorAsSelector(&spec.LabelSelector)
	if err != nil {
		return nil, fmt.Errorf("labelSelector: %w", err)
	}
	if selector.Empty() {
		return nil, errors.New("name or labelSelector is missing")
	}
	all := &unstructured.UnstructuredList{}
	all.SetGroupVersionKind(gvk)
	if err := g.Reader.List(
		ctx, all, client.InNamespace(by.Namespace), client.MatchingLabelsSelector{Selector: selector},
	); err != nil {
		return nil, fmt.Errorf("list %s in %s: %w", gvk.Kind, by.Namespace, err)
	}
	slices.SortFunc(all.Items, func(a, b unstructured.Unstructured) int {
		return cmp.Compare(a.GetName(), b.GetName())
	})
	return all.Items, nil
}

// kindOf finds a kind by its name or by the plural of it in lower case, which ConfigMaps give. Source: Argo CD.
func (g *Generators) kindOf(apiVersion, kind string) (schema.GroupVersionKind, error) {
	gv, err := schema.ParseGroupVersion(apiVersion)
	if err != nil {
		return schema.GroupVersionKind{}, fmt.Errorf("apiVersion: %w", err)
	}
	gvk, err := g.Mapper.KindFor(gv.WithResource(kind))
	if err == nil {
		return gvk, nil
	}
	if _, exact := g.Mapper.RESTMapping(gv.WithKind(kind).GroupKind(), gv.Version); exact == nil {
		return gv.WithKind(kind), nil
	}
	if meta.IsNoMatchError(err) {
		return schema.GroupVersionKind{}, fmt.Errorf("the cluster has no %s of %s", kind, apiVersion)
	}
	return schema.GroupVersionKind{}, fmt.Errorf("look %s of %s up: %w", kind, apiVersion, err)
}
