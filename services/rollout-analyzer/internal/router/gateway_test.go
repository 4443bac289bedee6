package router

import (
	"testing"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/traffic"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

const route = `
metadata: {name: web, namespace: ns}
spec:
  rules:
    - matches: [{path: {value: /}}]
      backendRefs:
        - {name: stable, port: 80}
        - {name: canary, port: 80, weight: 0}
    - backendRefs:
        - {name: other, port: 80}
    - backendRefs:
        - {name: stable, port: 80, weight: 90}
        - {name: canary, port: 80, weight: 10}
        - {name: canary, kind: Elsewhere, weight: 3}
`

func load(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	u := gatewayAPI.New()
	if err := yaml.Unmarshal([]byte(text), &u.Object); err != nil {
		t.Fatal(err)
	}
	return u
}

func TestReadAndWrite(t *testing.T) {
	u := load(t, route)
	want := traffic.Observed{Paired: true, CanaryWeight: 10, StableWeight: 1}
	if diff := cmp.Diff(want, observeHTTPRoute(u, "canary", "stable")); diff != "" {
		t.Errorf("before (-want +got):\n%s", diff)
	}
	before := u.DeepCopy()
	applyHTTPRoute(u, traffic.Split{Canary: "canary", Stable: "stable", CanaryWeight: 30})
	want = traffic.Observed{Paired: true, Uniform: true, CanaryWeight: 30, StableWeight: 70, InProgress: true}
	if diff := cmp.Diff(want, observeHTTPRoute(u, "canary", "stable")); diff != "" {
		t.Errorf("after (-want +got):\n%s", diff)
	}
	rules := func(u *unstructured.Unstructured, i int) any {
		return u.Object["spec"].(map[string]any)["rules"].([]any)[i]
	}
	if diff := cmp.Diff(rules(before, 1), rules(u, 1)); diff != "" {
		t.Errorf("another rule changed:\n%s", diff)
	}
	applyHTTPRoute(u, traffic.Split{Canary: "canary", Stable: "stable"})
	if got := observeHTTPRoute(u, "canary", "stable"); got.CanaryWeight != 0 || got.InProgress {
		t.Errorf("reset: %+v", got)
	}
}

func TestForeignShapesAreUnpaired(t *testing.T) {
	for _, text := range []string{"{}", "spec: {rules: 3}", "spec: {rules: [{backendRefs: [{name: canary}]}]}"} {
		if got := observeHTTPRoute(load(t, text), "canary", "stable"); got.Paired {
			t.Errorf("%s: %+v", text, got)
		}
	}
}
