package rollout

import (
	"slices"
	"testing"

	"github.com/argosy-mesh/argosy/libs/kube/object"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"
)

func TestARolloutIsFoundByWhatItDependsOn(t *testing.T) {
	ro := object.New("Rollout")
	if err := yaml.Unmarshal([]byte(`
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: web, namespace: shop}
spec:
  strategy:
    canary:
      stableService: stable
      canaryService: canary
      analysis: {templates: [{templateName: rate}]}
      trafficRouting: {plugins: {argoproj-labs/gatewayAPI: {httpRoute: main, namespace: edge}}}
status: {conditions: [{type: InvalidSpec, status: "True"}]}
`), &ro.Object); err != nil {
		t.Fatal(err)
	}
	got := concerns(ro)
	for _, want := range []string{"Service/shop/stable", "Service/shop/canary", "HTTPRoute.gateway.networking.k8s.io/edge/main",
		"AnalysisTemplate/shop/", "ClusterAnalysisTemplate//"} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is not among %v", want, got)
		}
	}
	ro.Object["status"] = map[string]any{}
	if got := concerns(ro); slices.Contains(got, "AnalysisTemplate/shop/") {
		t.Errorf("a valid one waits for templates: %v", got)
	}
	if got := concerns(&appsv1.ReplicaSet{}); got != nil {
		t.Error(got)
	}
}
