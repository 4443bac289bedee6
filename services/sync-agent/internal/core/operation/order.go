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
	RefreshAnnotation    = "argocd.argoproj.io/refresh"
	SkipReconcile        = "argocd.argoproj.io/skip-reconcile"
	ApprovedAnnotation   = "argocd.argoproj.io/deletion-approved"
	helmWeightAnnotation = "helm.sh/hook-weight"
)

const definitionKind = "CustomResourceDefinition"

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

// kindOrder is the order within a wave; kinds that are not named come last. Source: Argo CD's sync waves.
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

// compareItems orders by wave, kind, namespace and name.
func compareItems(a, b Item) int {
	return cmp.Or(
		cmp.Compare(a.Wave, b.Wave),
		cmp.Compare(kindRank(a.Key.Kind), kindRank(b.Key.Kind)),
		cmp.Compare(a.Key.Kind, b.Key.Kind),
		cmp.Compare(a.Key.Namespace, b.Key.Namespace),
		cmp.Compare(a.Key.Name, b.Key.Name),
	)
}

// compareTasks orders by phase, wave, kind, namespace and name.
func compareTasks(a, b Task) int {
	return cmp.Or(cmp.Compare(a.Phase.rank(), b.Phase.rank()), compareItems(a.Item, b.Item))
}

// hoistPrerequisites brings namespaces and definitions to the first of those that need them, whose phase and wave they
// take over, so that nothing is created before its namespace or its kind exists. tasks are in order.
func hoistPrerequisites(tasks []Task) {
	for i := range tasks {
		needs := provides(tasks[i].Desired)
		if needs == nil || tasks[i].Action == Prune {
			continue
		}
		for j := range tasks {
			if tasks[j].Desired == nil || !needs(tasks[j].Key) || tasks[j].Phase == SyncFail {
				continue
			}
			if compareSteps(tasks[j], tasks[i]) < 0 {
				tasks[i].Phase, tasks[i].Wave = tasks[j].Phase, tasks[j].Wave
			}
		}
	}
	slices.SortStableFunc(tasks, compareTasks)
}

// compareSteps compares the phase and wave alone: tasks that are equal are performed together.
func compareSteps(a, b Task) int {
	return cmp.Or(cmp.Compare(a.Phase.rank(), b.Phase.rank()), cmp.Compare(a.Wave, b.Wave))
}

func provides(o *track.Object) func(track.Key) bool {
	switch {
	case o == nil:
	case o.GroupVersionKind().GroupKind() == (schema.GroupKind{Kind: "Namespace"}):
		return func(k track.Key) bool { return k.Namespace == o.GetName() }
	case defines(o) != (schema.GroupKind{}):
		return func(k track.Key) bool { return defines(o) == (schema.GroupKind{Group: k.Group, Kind: k.Kind}) }
	}
	return nil
}

// Defines reports whether o is the definition of a kind.
func Defines(o *track.Object, kind schema.GroupKind) bool { return o != nil && defines(o) == kind }

// defines returns the kind that o defines, the zero value when it defines none.
func defines(o *track.Object) schema.GroupKind {
	if o.GroupVersionKind().GroupKind() != (schema.GroupKind{Group: "apiextensions.k8s.io", Kind: definitionKind}) {
		return schema.GroupKind{}
	}
	group, _, _ := unstructured.NestedString(o.Object, "spec", "group")
	kind, _, _ := unstructured.NestedString(o.Object, "spec", "names", "kind")
	return schema.GroupKind{Group: group, Kind: kind}
}

// reverseWaves turns the waves of what is pruned around: what came first goes last. Source: Argo CD prunes in the
// reverse order of its waves.
func reverseWaves(tasks []Task) {
	var waves []int
	for _, t := range tasks {
		if t.Action == Prune && !slices.Contains(waves, t.Wave) {
			waves = append(waves, t.Wave)
		}
	}
	slices.Sort(waves)
	for i := range tasks {
		if tasks[i].Action == Prune {
			tasks[i].Wave = waves[len(waves)-1-slices.Index(waves, tasks[i].Wave)]
		}
	}
}
