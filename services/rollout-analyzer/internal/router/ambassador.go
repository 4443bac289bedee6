package router

import (
	"errors"
	"strings"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/traffic"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// ambassador shares the traffic of a Mapping by a second one beside it, which is deleted at weight 0: one without a
// weight would get all. Source: docs of Emissary-ingress, canary releases.
var ambassador = Router{
	Field: "ambassador",
	Kinds: []Kind{{
		schema.GroupKind{Group: "getambassador.io", Kind: "Mapping"}, []string{"v3alpha1", "v2", "v1"},
	}},
	Refs: func(in Input) (refs []traffic.Ref, named bool, err error) {
		cfg := in.Routing().Ambassador
		switch {
		case cfg == nil:
			return nil, false, nil
		case len(cfg.Mappings) == 0:
			return nil, true, errors.New("mappings names none")
		}
		for _, name := range cfg.Mappings {
			refs = append(
				refs, traffic.Ref{Group: "getambassador.io", Kind: "Mapping", Namespace: in.Namespace, Name: name},
			)
		}
		return refs, true, nil
	},
	Observe: func(in Input, ref traffic.Ref, objects *Objects) (out traffic.Observed) {
		u := objects.Get(ref)
		if u == nil {
			return traffic.Observed{Missing: true}
		}
		if at(u.Object, "spec", "weight") != nil {
			out.Problem = "has a weight of its own; the one that is named must be the one without"
			return out
		}
		if canary := objects.Get(ambassadorCanary(ref)); canary != nil {
			out.Problem = foreign(canary, in)
			out.CanaryWeight = whole(at(canary.Object, "spec", "weight"), 0)
		}
		return out
	},
	Apply: func(_ Input, ref traffic.Ref, objects *Objects, split traffic.Split) {
		u := objects.Get(ref)
		if u == nil {
			return
		}
		beside := ambassadorCanary(ref)
		if split.CanaryWeight == 0 {
			objects.Drop(beside)
			return
		}
		canary := objects.Make(beside)
		spec, _ := plain(u.Object["spec"]).(map[string]any)
		if spec == nil {
			return
		}
		service := text(spec["service"])
		scheme, rest, has := strings.Cut(service, "://")
		if !has {
			scheme, rest = "", service
		} else {
			scheme += "://"
		}
		_, port, ported := strings.Cut(rest, ":")
		spec["service"] = scheme + split.Canary
		if ported {
			spec["service"] = scheme + split.Canary + ":" + port
		}
		spec["weight"] = number(split.CanaryWeight)
		canary.Object["spec"] = spec
	},
}

func ambassadorCanary(ref traffic.Ref) traffic.Ref {
	ref.Name += "-canary"
	return ref
}
