package router

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/traffic"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// gatewayPlugin is the key of trafficRouting.plugins of the Gateway API. Source:
// argoproj-labs/rollouts-plugin-trafficrouter-gatewayapi.
const gatewayPlugin = "argoproj-labs/gatewayAPI"

// The label of a route while a canary receives traffic from it, as the plugin has it.
const (
	labelInProgress = "rollouts.argoproj.io/gatewayapi-canary"
	inProgress      = "in-progress"
)

// gatewayAPI shares the traffic of HTTPRoutes. Routes are edited as plain trees: no version of their Go types has to
// match the cluster's. Only the weights of the two services and one label change; everything else stays as it is.
var gatewayAPI = Router{
	Field:   "plugins." + gatewayPlugin,
	Kind:    schema.GroupVersionKind{Group: "gateway.networking.k8s.io", Version: "v1", Kind: "HTTPRoute"},
	Refs:    httpRoutes,
	Observe: observeHTTPRoute,
	Apply:   applyHTTPRoute,
}

// httpRoutes returns the HTTPRoutes that a configuration names.
func httpRoutes(namespace string, t *v1alpha1.RolloutTrafficRouting) (refs []traffic.Ref, named bool, err error) {
	raw, ok := t.Plugins[gatewayPlugin]
	if !ok {
		return nil, false, nil
	}
	var cfg struct {
		HTTPRoute  string `json:"httpRoute"`
		HTTPRoutes []struct {
			Name string `json:"name"`
		} `json:"httpRoutes"`
		Namespace string `json:"namespace"`
	}
	if err := json.Unmarshal(raw, &cfg); err != nil {
		return nil, true, fmt.Errorf("read the configuration: %w", err)
	}
	if cfg.Namespace == "" {
		cfg.Namespace = namespace
	}
	if cfg.HTTPRoute != "" {
		refs = append(refs, traffic.Ref{Kind: "HTTPRoute", Namespace: cfg.Namespace, Name: cfg.HTTPRoute})
	}
	for _, r := range cfg.HTTPRoutes {
		refs = append(refs, traffic.Ref{Kind: "HTTPRoute", Namespace: cfg.Namespace, Name: r.Name})
	}
	if len(refs) == 0 {
		return nil, true, errors.New("names no HTTPRoute")
	}
	return refs, true, nil
}

func observeHTTPRoute(u *unstructured.Unstructured, canary, stable string) traffic.Observed {
	r := traffic.Observed{Uniform: true, InProgress: u.GetLabels()[labelInProgress] == inProgress}
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

func applyHTTPRoute(u *unstructured.Unstructured, split traffic.Split) {
	for _, p := range pairs(u.Object, split.Canary, split.Stable) {
		p.canary["weight"] = int64(split.CanaryWeight)
		p.stable["weight"] = int64(100 - split.CanaryWeight)
	}
	labels := u.GetLabels()
	if split.CanaryWeight > 0 {
		if labels == nil {
			labels = map[string]string{}
		}
		labels[labelInProgress] = inProgress
	} else {
		delete(labels, labelInProgress)
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
