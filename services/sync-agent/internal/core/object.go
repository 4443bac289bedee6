package core

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Annotations that manifests carry.
const (
	TrackingAnnotation   = "argocd.argoproj.io/tracking-id"
	WaveAnnotation       = "argocd.argoproj.io/sync-wave"
	OptionsAnnotation    = "argocd.argoproj.io/sync-options"
	CompareAnnotation    = "argocd.argoproj.io/compare-options"
	IgnoreHealth         = "argocd.argoproj.io/ignore-healthcheck"
	HookAnnotation       = "argocd.argoproj.io/hook"
	RefreshAnnotation    = "argocd.argoproj.io/refresh"
	SkipReconcile        = "argocd.argoproj.io/skip-reconcile"
	AppliedAnnotation    = "argosy.dev/applied" // fingerprint of the manifest that was applied last
	ourAnnotationsPrefix = "argosy.dev/"
	helmWeightAnnotation = "helm.sh/hook-weight"
)

// Object is one Kubernetes object, desired or live.
type Object = unstructured.Unstructured

// Key identifies an object across versions of its kind.
type Key struct {
	Group, Kind, Namespace, Name string
}

// KeyOf returns the key of o.
func KeyOf(o *Object) Key {
	gvk := o.GroupVersionKind()
	return Key{Group: gvk.Group, Kind: gvk.Kind, Namespace: o.GetNamespace(), Name: o.GetName()}
}

// String returns group/kind namespace/name.
func (k Key) String() string {
	kind := k.Kind
	if k.Group != "" {
		kind = k.Group + "/" + k.Kind
	}
	if k.Namespace == "" {
		return kind + " " + k.Name
	}
	return kind + " " + k.Namespace + "/" + k.Name
}

// Instance is the name under which an application marks its objects: its own, or
// namespace_name outside the control namespace.
func Instance(namespace, name, control string) string {
	if namespace == control {
		return name
	}
	return namespace + "_" + name
}

// InstanceName is the inverse of Instance.
func InstanceName(instance, control string) (namespace, name string) {
	if namespace, name, ok := strings.Cut(instance, "_"); ok {
		return namespace, name
	}
	return control, instance
}

// TrackingID marks o as belonging to instance. Objects of the cluster carry the
// application's own destination namespace.
func TrackingID(instance string, k Key, destination string) string {
	namespace := k.Namespace
	if namespace == "" {
		namespace = destination
	}
	return instance + ":" + k.Group + "/" + k.Kind + ":" + namespace + "/" + k.Name
}

// TrackedBy returns the instance that o belongs to, "" when it belongs to none. A
// copied annotation that names another object does not count.
func TrackedBy(o *Object) string {
	id := o.GetAnnotations()[TrackingAnnotation]
	instance, rest, ok := strings.Cut(id, ":")
	if !ok {
		return ""
	}
	kind, name, ok := strings.Cut(rest, ":")
	k := KeyOf(o)
	if !ok || kind != k.Group+"/"+k.Kind {
		return ""
	}
	namespace, name, _ := strings.Cut(name, "/")
	if name != k.Name || (k.Namespace != "" && namespace != k.Namespace) {
		return ""
	}
	return instance
}

// Options are the sync options of an object or an application, compared as they
// are spelled.
type Options []string

// OptionsOf reads the options that o itself carries.
func OptionsOf(o *Object) Options {
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
func Wave(o *Object) int {
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

func provides(o *Object) func(Key) bool {
	if o == nil {
		return nil
	}
	switch o.GroupVersionKind().GroupKind() {
	case schema.GroupKind{Kind: "Namespace"}:
		return func(k Key) bool { return k.Namespace == o.GetName() }
	case schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}:
		group, _, _ := unstructured.NestedString(o.Object, "spec", "group")
		kind, _, _ := unstructured.NestedString(o.Object, "spec", "names", "kind")
		return func(k Key) bool { return k.Group == group && k.Kind == kind }
	}
	return nil
}
