package diff

import (
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// What a canary in progress has written into objects that Git describes.
const (
	managedByRollouts = "argo-rollouts.argoproj.io/managed-by-rollouts"
	templateHash      = "rollouts-pod-template-hash"
)

// PreserveRolloutFields copies into desired what a rollout owns inside fields that server-side
// apply replaces as a whole: the hash in a Service's selector, and the weights of an
// HTTPRoute's backends where Git gives none. Without it, a new label on a Service
// would send users of the stable version to the canary for a moment.
func PreserveRolloutFields(desired, live *track.Object) {
	if live == nil {
		return
	}
	switch desired.GetKind() {
	case "Service":
		hash, found, err := unstructured.NestedString(live.Object, "spec", "selector", templateHash)
		selector, has, _ := unstructured.NestedStringMap(desired.Object, "spec", "selector")
		if err != nil || !found || !has || live.GetAnnotations()[managedByRollouts] == "" {
			return
		}
		selector[templateHash] = hash
		// its parent is a map: it was read above
		_ = unstructured.SetNestedStringMap(desired.Object, selector, "spec", "selector")
	case "HTTPRoute":
		keepWeights(desired, live)
	}
}

func keepWeights(desired, live *track.Object) {
	rules, _, _ := unstructured.NestedSlice(desired.Object, "spec", "rules")
	liveRules, _, _ := unstructured.NestedSlice(live.Object, "spec", "rules")
	for i := range rules {
		if i >= len(liveRules) {
			break
		}
		weights := map[string]any{}
		for _, b := range backends(liveRules[i]) {
			if name, ok := b["name"].(string); ok && b["weight"] != nil {
				weights[name] = b["weight"]
			}
		}
		for _, b := range backends(rules[i]) {
			name, _ := b["name"].(string)
			if weight, ok := weights[name]; ok && b["weight"] == nil {
				b["weight"] = weight
			}
		}
	}
	if len(rules) > 0 {
		_ = unstructured.SetNestedSlice(desired.Object, rules, "spec", "rules") // read from there above
	}
}

// backends are the backendRefs of a rule; changing them changes the rule.
func backends(rule any) []map[string]any {
	r, _ := rule.(map[string]any)
	list, _ := r["backendRefs"].([]any)
	var out []map[string]any
	for _, b := range list {
		if m, ok := b.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}
