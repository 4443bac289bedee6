package core

import (
	"fmt"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func TestSplitComesClosest(t *testing.T) {
	for _, c := range []struct {
		n, weight int32
		surge     bool
		want      string
	}{
		{1, 0, false, "0+1"}, {1, 49, false, "0+1"}, {1, 50, false, "1+0"}, {1, 100, false, "1+0"},
		{3, 50, false, "2+1"}, {5, 33, false, "2+3"}, {10, 25, false, "3+7"}, {0, 50, false, "0+0"},
		{1, 1, true, "1+1"}, {1, 99, true, "1+1"}, {2, 75, true, "2+1"}, {3, 50, true, "2+2"}, {4, 90, true, "4+1"},
		{5, 50, true, "3+3"}, {10, 75, true, "8+3"}, {10, 99, true, "10+1"}, {10, 0, true, "0+10"},
		{10, 100, true, "10+0"},
		// Without surge no candidate fits; one stable pod is kept.
		{2, 75, false, "1+1"}, {5, 90, false, "4+1"}, {10, 95, false, "9+1"}, {25, 98, false, "24+1"},
		{50, 99, false, "49+1"},
	} {
		got := split(c.n, c.weight, c.surge)
		if text := fmt.Sprintf("%d+%d", got.canary, got.stable); text != c.want {
			t.Errorf("n=%d weight=%d surge=%v: got %s, want %s", c.n, c.weight, c.surge, text, c.want)
		}
	}
}

func TestSplitNeverLosesASide(t *testing.T) {
	for n := range int32(61) {
		for weight := range int32(101) {
			for _, surge := range []bool{false, true} {
				got := split(n, weight, surge)
				extra := int32(0)
				if surge && n > 0 {
					extra = 1
				}
				if sum := got.canary + got.stable; sum != n && sum != n+extra {
					t.Fatalf("n=%d weight=%d surge=%v: %+v", n, weight, surge, got)
				}
				between := weight > 0 && weight < 100 && n > 1
				if between && (got.canary == 0 || got.stable == 0) || weight == 0 && got.canary > 0 ||
					weight == 100 && got.stable > 0 {
					t.Fatalf("n=%d weight=%d surge=%v: %+v", n, weight, surge, got)
				}
			}
		}
	}
}

func set(name string, spec, available int32) *appsv1.ReplicaSet {
	return &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: appsv1.ReplicaSetSpec{Replicas: &spec},
		Status: appsv1.ReplicaSetStatus{Replicas: spec, AvailableReplicas: available}}
}

func TestBasicOneStep(t *testing.T) {
	for _, c := range []struct {
		name                        string
		n, weight                   int32
		l                           limits
		canary, canaryUp, stable, s int32
		older                       int32
		want                        counts
	}{
		{"begin", 10, 10, limits{1, 1}, 0, 0, 10, 10, 0, counts{1, 9}},
		{"surge first", 10, 30, limits{3, 0}, 0, 0, 10, 10, 0, counts{3, 10}},
		{"no surge shrinks first", 10, 30, limits{0, 5}, 0, 0, 10, 10, 0, counts{0, 7}},
		{"then grows", 10, 30, limits{0, 5}, 0, 0, 7, 7, 0, counts{3, 7}},
		{"waits for pods", 10, 30, limits{3, 0}, 3, 1, 10, 10, 0, counts{3, 9}},
		{"older drain first", 10, 30, limits{3, 0}, 0, 0, 10, 10, 2, counts{1, 10}},
		{"abort removes a crashing canary", 4, 0, limits{1, 0}, 2, 0, 3, 3, 0, counts{1, 3}},
		{"abort grows the stable pods", 5, 0, limits{2, 1}, 3, 3, 2, 2, 0, counts{2, 4}},
		{"scaled in half", 4, 25, limits{1, 1}, 2, 2, 6, 6, 0, counts{1, 6}},
	} {
		want := split(c.n, c.weight, c.l.surge > 0)
		var older []*appsv1.ReplicaSet
		if c.older > 0 {
			older = append(older, set("o", c.older, c.older))
		}
		got := basic(c.n, want, c.l, sides{set("c", c.canary, c.canaryUp), set("s", c.stable, c.s), older})
		if got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
}

// TestBasicArrives plays every small case to its end with pods that follow, and holds surge and unavailable on the way.
func TestBasicArrives(t *testing.T) {
	for n := int32(1); n <= 8; n++ {
		for weight := int32(0); weight <= 100; weight += 5 {
			for _, l := range []limits{{0, 1}, {1, 0}, {1, 1}, {3, 2}} {
				canary, stable := set("c", 0, 0), set("s", n, n)
				want := split(n, weight, l.surge > 0)
				for range 50 {
					got := basic(n, want, l, sides{canary, stable, nil})
					if got.canary+got.stable > n+l.surge {
						t.Fatalf("n=%d weight=%d %+v: %+v exceeds the surge", n, weight, l, got)
					}
					if availableReplicas(canary)+availableReplicas(stable) < n-l.unavailable {
						t.Fatalf("n=%d weight=%d %+v: too few available", n, weight, l)
					}
					canary, stable = set("c", got.canary, got.canary), set("s", got.stable, got.stable)
				}
				if got := (counts{size(canary), size(stable)}); got != want {
					t.Fatalf("n=%d weight=%d %+v: ended at %+v, not %+v", n, weight, l, got, want)
				}
			}
		}
	}
}

func TestDrainTakesUselessPodsFirst(t *testing.T) {
	stable, old := set("s", 4, 4), set("o", 3, 1)
	all := []*appsv1.ReplicaSet{stable, old}
	if diff := cmp.Diff(map[string]int32{"o": 0}, drain(4, limits{1, 0}, all, []*appsv1.ReplicaSet{old})); diff != "" {
		t.Error(diff)
	}
	stable = set("s", 4, 3)
	if diff := cmp.Diff(
		map[string]int32{"o": 1}, drain(4, limits{1, 0}, []*appsv1.ReplicaSet{stable, old}, []*appsv1.ReplicaSet{old}),
	); diff != "" {
		t.Error(diff)
	}
}

func TestLimits(t *testing.T) {
	v := func(s string) *intstr.IntOrString { x := intstr.Parse(s); return &x }
	for _, c := range []struct {
		surge, unavailable *intstr.IntOrString
		n                  int32
		want               limits
	}{
		{nil, nil, 10, limits{3, 2}}, {nil, nil, 1, limits{1, 0}}, {v("0"), v("5%"), 10, limits{0, 1}},
		{v("1"), v("0"), 10, limits{1, 0}}, {v("50%"), v("50%"), 3, limits{2, 1}},
		{v("nonsense"), v("1"), 3, limits{0, 1}},
	} {
		got := limitsOf(&v1alpha1.CanaryStrategy{MaxSurge: c.surge, MaxUnavailable: c.unavailable}, c.n)
		if got != c.want {
			t.Errorf("%v/%v of %d: got %+v, want %+v", c.surge, c.unavailable, c.n, got, c.want)
		}
	}
}
