package core

import (
	"math"
	"slices"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// counts is how many pods a canary and a stable ReplicaSet have, or should have.
type counts struct{ canary, stable int32 }

// limits are maxSurge and maxUnavailable in pods.
type limits struct{ surge, unavailable int32 }

// limitsOf resolves surge (rounded up) and unavailable (rounded down); both zero would never move, so then one pod
// may be unavailable.
func limitsOf(c *v1alpha1.CanaryStrategy, n int32) limits {
	quarter := intstr.FromString("25%")
	l := limits{
		surge:       resolve(c.MaxSurge, quarter, n, true),
		unavailable: resolve(c.MaxUnavailable, quarter, n, false),
	}
	if l.surge == 0 && l.unavailable == 0 {
		l.unavailable = 1
	}
	return l
}

func resolve(v *intstr.IntOrString, fallback intstr.IntOrString, n int32, up bool) int32 {
	if v == nil {
		v = &fallback
	}
	got, err := intstr.GetScaledValueFromIntOrPercent(v, int(n), up)
	if err != nil || got < 0 {
		return 0
	}
	return int32(min(got, math.MaxInt32))
}

// split is the pair of counts that comes closest to a weight without a traffic router. With surge one more pod than n
// may be used to come closer. A weight strictly between none and all never yields none or all of n, when n > 1.
func split(n, weight int32, surge bool) counts {
	if n == 0 {
		return counts{}
	}
	exact := float64(n) * float64(weight) / float64(maxWeight)
	up, down := int32(math.Ceil(exact)), int32(math.Floor(exact))
	edge := weight == 0 || weight == maxWeight || n == 1 && !surge
	type option struct{ canary, total int32 }
	var options []option
	if up < n || edge {
		options = append(options, option{up, n})
	}
	if !tied(n, weight) && (down != 0 || edge) {
		options = append(options, option{down, n})
	}
	if surge {
		options = append(options, option{up, n + 1})
		if !tied(n+1, weight) && (down != 0 || edge) {
			options = append(options, option{down, n + 1})
		}
	}
	if len(options) == 0 {
		// Only all or half a pod more would fit: all but one is the closest that keeps a stable pod.
		return counts{canary: n - 1, stable: 1}
	}
	best := slices.MinFunc(options, func(a, b option) int {
		return compare(distance(a.canary, a.total, weight), distance(b.canary, b.total, weight))
	})
	return counts{canary: best.canary, stable: best.total - best.canary}
}

func tied(n, weight int32) bool {
	_, frac := math.Modf(float64(n) * (float64(weight) / float64(maxWeight)))
	return frac == 0.5
}

func distance(canary, total, weight int32) float64 {
	return math.Abs(float64(canary*maxWeight)/float64(total) - float64(weight))
}

func compare(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	default:
		return 0
	}
}

// sides are the ReplicaSets of a rollout. stable is nil when it is the canary itself; older are those that are
// neither.
type sides struct {
	canary, stable *appsv1.ReplicaSet
	older          []*appsv1.ReplicaSet
}

// basic is one step towards the counts of a weight, within surge and unavailable. While older ReplicaSets have pods,
// nothing else shrinks.
func basic(n int32, want counts, l limits, s sides) counts {
	canary, stable, older := s.canary, s.stable, s.older
	if stable == nil {
		want = counts{canary: n}
	}
	got := counts{canary: size(canary), stable: size(stable)}
	room := n + l.surge - got.canary - got.stable - total(older)
	if room > 0 && got.stable < want.stable {
		grow := min(room, want.stable-got.stable)
		got.stable, room = got.stable+grow, room-grow
	}
	if room > 0 && got.canary < want.canary {
		got.canary += min(room, want.canary-got.canary)
	}
	if total(older) > 0 {
		return got
	}
	floor := n - l.unavailable
	if want.canary >= size(canary) {
		spare := availableReplicas(canary) + size(stable) - floor
		got.stable = shrink(got.stable, size(stable), want.stable, spare)
		got.stable = withinLimit(got.stable, got.canary, n+l.surge, max(want.stable, floor-got.canary))
		return got
	}
	spare := size(canary) + availableReplicas(stable) - floor
	got.canary = shrink(got.canary, size(canary), want.canary, spare)
	got.canary = withinLimit(got.canary, got.stable, n+l.surge, max(want.canary, floor-got.stable))
	return got
}

// shrink lowers now towards want by at most spare, and keeps planned when there is nothing to lower.
func shrink(planned, now, want, spare int32) int32 {
	if spare <= 0 || now <= want {
		return planned
	}
	return max(want, now-spare)
}

// withinLimit lowers count when both together exceed limit, but not under least.
func withinLimit(count, other, limit, least int32) int32 {
	if over := count + other - limit; over > 0 {
		return min(count, max(least, count-over))
	}
	return count
}

// drain is how far the older ReplicaSets may shrink now: pods that are not available go first and for free, the
// others as far as enough stay available in total.
func drain(n int32, l limits, all, older []*appsv1.ReplicaSet) map[string]int32 {
	var available int32
	for _, rs := range all {
		available += availableReplicas(rs)
	}
	spare := available - (n - l.unavailable)
	out := map[string]int32{}
	for _, rs := range older {
		now := size(rs)
		if now == 0 {
			continue
		}
		cut := min(max(spare, 0), availableReplicas(rs))
		spare -= cut
		out[rs.Name] = availableReplicas(rs) - cut
	}
	return out
}

// routed is how many of n pods a share of the traffic needs.
func routed(n, weight, total int32) int32 {
	return int32(math.Ceil(float64(n) * float64(weight) / float64(total)))
}

// size is the wanted size of a ReplicaSet.
func size(rs *appsv1.ReplicaSet) int32 {
	if rs == nil {
		return 0
	}
	if rs.Spec.Replicas == nil {
		return 1
	}
	return *rs.Spec.Replicas
}

// availableReplicas is how many available pods will stay: never more than the wanted size.
func availableReplicas(rs *appsv1.ReplicaSet) int32 {
	if rs == nil {
		return 0
	}
	return min(rs.Status.AvailableReplicas, size(rs))
}

func total(sets []*appsv1.ReplicaSet) (sum int32) {
	for _, rs := range sets {
		sum += size(rs)
	}
	return sum
}
