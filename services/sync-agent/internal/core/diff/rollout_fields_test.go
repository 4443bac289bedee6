package diff

import (
	"testing"

	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track/tracktest"

	"github.com/google/go-cmp/cmp"
)

func TestWhatARolloutWroteIsKept(t *testing.T) {
	cases := []struct{ name, desired, live, want string }{
		{
			"pinned service",
			`{kind: Service, spec: {selector: {app: web}, ports: [{port: 80}]}}`,
			`{kind: Service, metadata: {annotations: {argo-rollouts.argoproj.io/managed-by-rollouts: web}}, spec: {selector: {app: old, rollouts-pod-template-hash: abc}}}`,
			`{kind: Service, spec: {selector: {app: web, rollouts-pod-template-hash: abc}, ports: [{port: 80}]}}`,
		},
		{"service of nobody",
			`{kind: Service, spec: {selector: {app: web}}}`,
			`{kind: Service, spec: {selector: {app: web, rollouts-pod-template-hash: abc}}}`,
			`{kind: Service, spec: {selector: {app: web}}}`},
		{
			"weights of Git's silence",
			`{kind: HTTPRoute, spec: {rules: [{backendRefs: [{name: a, port: 80}, {name: b, port: 80, weight: 7}]}]}}`,
			`{kind: HTTPRoute, spec: {rules: [{backendRefs: [{name: a, weight: 20}, {name: b, weight: 80}]}]}}`,
			`{kind: HTTPRoute, spec: {rules: [{backendRefs: [{name: a, port: 80, weight: 20}, {name: b, port: 80, weight: 7}]}]}}`,
		},
		{"more rules than live",
			`{kind: HTTPRoute, spec: {rules: [{backendRefs: [{name: a}]}]}}`, `{kind: HTTPRoute, spec: {}}`,
			`{kind: HTTPRoute, spec: {rules: [{backendRefs: [{name: a}]}]}}`},
	}
	for _, c := range cases {
		desired, live, want := tracktest.Object(t, c.desired), tracktest.Object(t, c.live), tracktest.Object(t, c.want)
		PreserveRolloutFields(desired, live)
		if diff := cmp.Diff(want.Object, desired.Object); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
	PreserveRolloutFields(tracktest.Object(t, `{kind: Service}`), nil) // a new object has nothing to keep
}
