package router

import (
	"errors"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/traffic"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// traefik shares the traffic by the weights of a TraefikService. Source: docs of Traefik, Kubernetes CRD,
// TraefikService.
var traefik = Router{
	Field: "traefik",
	Kinds: []Kind{{schema.GroupKind{Group: "traefik.io", Kind: "TraefikService"}, []string{"v1alpha1"}}},
	Refs: func(in Input) ([]traffic.Ref, bool, error) {
		cfg := in.Routing().Traefik
		switch {
		case cfg == nil:
			return nil, false, nil
		case cfg.WeightedTraefikServiceName == "":
			return nil, true, errors.New("weightedTraefikServiceName must not be empty")
		}
		return []traffic.Ref{
			{
				Group:     "traefik.io",
				Kind:      "TraefikService",
				Namespace: in.Namespace,
				Name:      cfg.WeightedTraefikServiceName,
			},
		}, true, nil
	},
	Observe: func(in Input, ref traffic.Ref, objects *Objects) traffic.Observed {
		return observeBackends(in, ref, objects, "name", "spec", "weighted", "services")
	},
	Apply: func(_ Input, ref traffic.Ref, objects *Objects, split traffic.Split) {
		u := objects.Edit(ref)
		if u != nil {
			before := track(u, split)
			weighted := object(u.Object, "spec", "weighted")
			weighted["services"] = shareBackends(weighted["services"], "name", before, split)
		}
	},
	Weights: true,
}
