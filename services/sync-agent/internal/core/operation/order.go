package operation

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Annotations that manifests carry.
const (
	WaveAnnotation       = "argocd.argoproj.io/sync-wave"
	OptionsAnnotation    = "argocd.argoproj.io/sync-options"
	CompareAnnotation    = "argocd.argoproj.io/compare-options"
	HookAnnotation       = "argocd.argoproj.io/hook"
	RefreshAnnotation    = "argocd.argoproj.io/refresh"
	SkipReconcile        = "argocd.argoproj.io/skip-reconcile"
	IgnoreHealth         = "argocd.argoproj.io/ignore-healthcheck"
	helmWeightAnnotation = "helm.sh/hook-weight"
)

// Options are the sync options of an object or an application, compared as they
// are spelled.
type Options []string

// OptionsOf reads the options that o itself carries.
func OptionsOf(o *track.Object) Options {
	if o == nil {
		return nil
	}
	var out Options
	for part := range strings.SplitSeq(o.GetAnnotations()[OptionsAnnotation], ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

// Has reports whether option is set.
func (o Options) Has(option string) bool { return slices.Contains(o, option) }

// Wave returns the sync wave of o; what is no number counts as zero.
func Wave(o *track.Object) int {
	a := o.GetAnnotations()
	text, ok := a[WaveAnnotation]
	if !ok {
		text = a[helmWeightAnnotation]
	}
	wave, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		return 0
	}
	return wave
}

// kindOrder is the order within a wave; kinds that are not named come last.
var kindOrder = func() map[string]int {
	order := map[string]int{}
	for i, kind := range strings.Fields(`Namespace NetworkPolicy ResourceQuota LimitRange PodSecurityPolicy PodDisruptionBudget
		ServiceAccount Secret SecretList ConfigMap StorageClass PersistentVolume PersistentVolumeClaim CustomResourceDefinition
		ClusterRole ClusterRoleList ClusterRoleBinding ClusterRoleBindingList Role RoleList RoleBinding RoleBindingList Service
		DaemonSet Pod ReplicationController ReplicaSet Deployment HorizontalPodAutoscaler StatefulSet Job CronJob IngressClass
		Ingress APIService`) {
		order[kind] = i + 1
	}
	return order
}()

func kindRank(kind string) int {
	if rank, ok := kindOrder[kind]; ok {
		return rank
	}
	return len(kindOrder) + 1
}

// compareSteps orders by wave, kind, namespace and name.
func compareSteps(a, b Item) int {
	return cmp.Or(
		cmp.Compare(a.Wave, b.Wave),
		cmp.Compare(kindRank(a.Key.Kind), kindRank(b.Key.Kind)),
		cmp.Compare(a.Key.Kind, b.Key.Kind),
		cmp.Compare(a.Key.Namespace, b.Key.Namespace),
		cmp.Compare(a.Key.Name, b.Key.Name),
	)
}

// hoistPrerequisites brings namespaces and definitions into the earliest wave that needs
// them, so that nothing is created before its home or its kind exists.
func hoistPrerequisites(items []Item) {
	for i := range items {
		needs := provides(items[i].Desired)
		if needs == nil {
			continue
		}
		for j := range items {
			if items[j].Desired != nil && items[j].Wave < items[i].Wave && needs(items[j].Key) {
				items[i].Wave = items[j].Wave
			}
		}
	}
}

func provides(o *track.Object) func(track.Key) bool {
	if o == nil {
		return nil
	}
	switch o.GroupVersionKind().GroupKind() {
	case schema.GroupKind{Kind: "Namespace"}:
		return func(k track.Key) bool { return k.Namespace == o.GetName() }
	case schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}:
		group, _, _ := unstructured.NestedString(o.Object, "spec", "group")
		kind, _, _ := unstructured.NestedString(o.Object, "spec", "names", "kind")
		return func(k track.Key) bool { return k.Group == group && k.Kind == kind }
	}
	return nil
}
