// Package gateway reads and edits the weights of Gateway API HTTPRoutes, as plain trees: no version of their Go types
// has to match the cluster's.
//
// Promise: only the weights of the two services a rollout names and one label change; everything else stays as it is.
package gateway

import (
	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Kind is the kind of the routes.
var Kind = schema.GroupVersionKind{Group: "gateway.networking.k8s.io", Version: "v1", Kind: "HTTPRoute"}

// New returns an empty route to read into.
func New() *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(Kind)
	return u
}

// Read returns what matters of a route for a pair of services.
func Read(u *unstructured.Unstructured, canary, stable string) core.Route {
	r := core.Route{Namespace: u.GetNamespace(), Name: u.GetName(), Uniform: true,
		InProgress: u.GetLabels()[core.LabelInProgress] == core.LabelInProgressValue}
	for _, p := range pairs(u.Object, canary, stable) {
		c, s := weight(p.canary), weight(p.stable)
		if !r.Paired {
			r.Paired, r.CanaryWeight, r.StableWeight = true, c, s
			continue
		}
		r.Uniform = r.Uniform && r.CanaryWeight == c && r.StableWeight == s
		r.CanaryWeight = max(r.CanaryWeight, c)
	}
	return r
}

// Write sets the weights of a pair of services in every rule that has both, and the label.
func Write(u *unstructured.Unstructured, a core.SetWeight) {
	for _, p := range pairs(u.Object, a.Canary, a.Stable) {
		p.canary["weight"] = int64(a.CanaryWeight)
		p.stable["weight"] = int64(100 - a.CanaryWeight)
	}
	labels := u.GetLabels()
	if a.CanaryWeight > 0 {
		if labels == nil {
			labels = map[string]string{}
		}
		labels[core.LabelInProgress] = core.LabelInProgressValue
	} else {
		delete(labels, core.LabelInProgress)
	}
	u.SetLabels(labels)
}

// pair is the two backends of one rule, as parts of the tree.
type pair struct{ canary, stable map[string]any }

func pairs(object map[string]any, canary, stable string) (out []pair) {
	spec, _ := object["spec"].(map[string]any)
	rules, _ := spec["rules"].([]any)
	for _, r := range rules {
		rule, _ := r.(map[string]any)
		refs, _ := rule["backendRefs"].([]any)
		var p pair
		for _, b := range refs {
			backend, _ := b.(map[string]any)
			if kind, _ := backend["kind"].(string); kind != "" && kind != "Service" {
				continue
			}
			switch backend["name"] {
			case canary:
				p.canary = backend
			case stable:
				p.stable = backend
			}
		}
		if p.canary != nil && p.stable != nil {
			out = append(out, p)
		}
	}
	return out
}

// weight is that of a backend; the API's default is 1.
func weight(backend map[string]any) int32 {
	switch v := backend["weight"].(type) {
	case int64:
		return int32(v)
	case float64:
		return int32(v)
	default:
		return 1
	}
}
