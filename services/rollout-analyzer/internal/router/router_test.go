package router

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/traffic"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func rolloutOf(t v1alpha1.RolloutTrafficRouting) *v1alpha1.Rollout {
	ro := &v1alpha1.Rollout{}
	ro.Namespace = "ns"
	ro.Spec.Strategy.Canary = &v1alpha1.CanaryStrategy{TrafficRouting: &t}
	return ro
}

// Every router does what the controller counts on. Its sample in testdata gives no share to the service canary yet.
func TestEachRouterSharesTraffic(t *testing.T) {
	for _, r := range Routers {
		t.Run(r.Kind.Kind, func(t *testing.T) {
			text, err := os.ReadFile("testdata/" + r.Kind.Kind + ".yaml")
			if err != nil {
				t.Fatal(err)
			}
			u := load(t, string(text))
			if got := r.Observe(u, "canary", "stable"); !got.Paired || got.CanaryWeight != 0 || got.InProgress {
				t.Fatalf("the sample: %+v", got)
			}
			for _, weight := range []int32{1, 40, 100, 0} {
				split := traffic.Split{Canary: "canary", Stable: "stable", CanaryWeight: weight}
				r.Apply(u, split)
				got := r.Observe(u, "canary", "stable")
				want := traffic.Observed{
					CanaryWeight: weight, StableWeight: 100 - weight, Uniform: true, Paired: true,
					InProgress: weight > 0,
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("at %d: %s", weight, diff)
				}
				again := u.DeepCopy()
				r.Apply(again, split)
				if diff := cmp.Diff(u, again); diff != "" {
					t.Errorf("at %d, applied twice: %s", weight, diff)
				}
			}
			if got := r.Observe(
				&unstructured.Unstructured{Object: map[string]any{"spec": "no"}}, "canary", "stable",
			); got.Paired {
				t.Errorf("what is no route: %+v", got)
			}
		})
	}
}

// Whatever names a router is served or refused by its name.
func TestEachRouterOfAManifestIsServedOrRefused(t *testing.T) {
	var served []string
	for _, r := range Routers {
		served = append(served, r.Field)
	}
	blocks := 0
	for field := range reflect.TypeFor[v1alpha1.RolloutTrafficRouting]().Fields() {
		if field.Type.Kind() != reflect.Pointer || field.Type.Elem().Kind() != reflect.Struct {
			continue
		}
		blocks++
		cfg := v1alpha1.RolloutTrafficRouting{}
		reflect.ValueOf(&cfg).Elem().FieldByIndex(field.Index).Set(reflect.New(field.Type.Elem()))
		name := given(&cfg)
		got := Read(rolloutOf(cfg))
		if len(name) != 1 || (len(got.Refs) == 0) == (len(got.Problems) == 0) {
			t.Errorf("%s: %v %+v", field.Name, name, got)
			continue
		}
		if !slices.Contains(served, name[0]) &&
			!cmp.Equal(got.Problems, []traffic.Problem{{Field: name[0], Reason: "is not served by this version"}}) {
			t.Errorf("%s: %+v", field.Name, got.Problems)
		}
	}
	if blocks < 8 {
		t.Errorf("%d kinds of routers", blocks)
	}
	got := Read(
		rolloutOf(
			v1alpha1.RolloutTrafficRouting{
				Plugins: map[string]json.RawMessage{
					"acme/x":      json.RawMessage("{}"),
					gatewayPlugin: json.RawMessage(`{"httpRoute":"web"}`),
				},
			},
		),
	)
	if len(got.Problems) != 1 || got.Problems[0].Field != "plugins.acme/x" || len(got.Refs[gatewayAPI.Field]) != 1 {
		t.Errorf("one of two is served: %+v", got)
	}
	if got := Read(&v1alpha1.Rollout{}); len(got.Refs)+len(got.Problems) != 0 {
		t.Errorf("no routing at all: %+v", got)
	}
}
