package router

import (
	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/traffic"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// smi shares the traffic by a TrafficSplit that belongs to the Rollout. Source: SMI specification, TrafficSplit.
var smi = Router{
	Field: "smi",
	Kinds: []Kind{
		{
			schema.GroupKind{
				Group: "split.smi-spec.io",
				Kind:  "TrafficSplit",
			},
			[]string{"v1alpha3", "v1alpha2", "v1alpha1"},
		},
	},
	Refs: func(in Input) ([]traffic.Ref, bool, error) {
		cfg := in.Routing().SMI
		if cfg == nil {
			return nil, false, nil
		}
		return []traffic.Ref{{
			Group: "split.smi-spec.io", Kind: "TrafficSplit", Namespace: in.Namespace,
			Name: orText(cfg.TrafficSplitName, in.Name),
		}}, true, nil
	},
	Observe: func(in Input, ref traffic.Ref, objects *Objects) (out traffic.Observed) {
		u := objects.Get(ref)
		if u == nil {
			// It is made with the first weight.
			return out
		}
		out.Problem = foreign(u, in)
		canary, _ := in.services()
		for _, b := range objectsOf(at(u.Object, "spec", "backends")) {
			if text(b["service"]) == canary {
				out.CanaryWeight = whole(b["weight"], 0)
			}
		}
		return out
	},
	Apply: func(in Input, ref traffic.Ref, objects *Objects, split traffic.Split) {
		if objects.Get(ref) == nil && split.CanaryWeight == 0 && len(split.Additional) == 0 {
			return
		}
		u := objects.Make(ref)
		backend := func(service string, weight int32) any {
			return map[string]any{"service": service, "weight": number(weight)}
		}
		backends := []any{backend(split.Canary, split.CanaryWeight)}
		for _, d := range split.Additional {
			backends = append(backends, backend(d.Service, d.Weight))
		}
		spec := object(u.Object, "spec")
		spec["service"] = orText(in.Routing().SMI.RootService, split.Stable)
		spec["backends"] = append(backends, backend(split.Stable, split.StableWeight()))
	},
	Weights: true,
}
