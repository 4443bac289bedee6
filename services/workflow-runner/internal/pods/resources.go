package pods

import (
	"maps"
	"math/big"
	"slices"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow/nodes"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// usedByDefault is what a container counts as that asks for nothing. Source: Argo Workflows, as the rest of this file.
var usedByDefault = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"),
	corev1.ResourceMemory: resource.MustParse("100Mi")}

// resourceUnits are how much of a resource counts a second for a second; of all others it is one.
var resourceUnits = map[corev1.ResourceName]resource.Quantity{
	corev1.ResourceMemory: resource.MustParse("100Mi"), corev1.ResourceStorage: resource.MustParse("10Gi"),
	corev1.ResourceEphemeralStorage: resource.MustParse("10Gi"),
}

// resourcesOf is what the containers of a pod used: what each asks for, as long as it ran. Those that have not ended do
// not count.
func resourcesOf(pod *corev1.Pod) nodes.Resources {
	took := map[string]time.Duration{}
	for _, s := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if t := s.State.Terminated; t != nil && t.StartedAt.Unix() > 0 {
			took[s.Name] = t.FinishedAt.Sub(t.StartedAt.Time)
		}
	}
	if len(took) == 0 {
		return nil
	}
	out := nodes.Resources{}
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		asked := usedByDefault.DeepCopy()
		for _, list := range []corev1.ResourceList{c.Resources.Limits, c.Resources.Requests} {
			maps.Copy(asked, list)
		}
		for name, quantity := range asked {
			out[string(name)] += secondsOf(name, quantity, took[c.Name])
		}
	}
	return out
}

// secondsOf is the time of a quantity in units of its resource, in whole seconds.
func secondsOf(name corev1.ResourceName, quantity resource.Quantity, took time.Duration) int64 {
	unit, ok := resourceUnits[name]
	if !ok {
		unit = resource.MustParse("1")
	}
	// A terabyte for a week is more than 64 bits of thousandths.
	whole := new(big.Int).Mul(big.NewInt(quantity.MilliValue()), big.NewInt(int64(took.Seconds())))
	return whole.Div(whole, big.NewInt(unit.MilliValue())).Int64()
}
