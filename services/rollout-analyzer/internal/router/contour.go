package router

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/traffic"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// contour shares the traffic by the weights of HTTPProxies; upstream does it by a plugin. Source:
// argoproj-labs/rollouts-plugin-trafficrouter-contour.
var contour = Router{
	Field: "plugins." + contourPlugin,
	Kinds: []Kind{{schema.GroupKind{Group: "projectcontour.io", Kind: "HTTPProxy"}, []string{"v1"}}},
	Refs: func(in Input) (refs []traffic.Ref, named bool, err error) {
		raw, is := in.Routing().Plugins[contourPlugin]
		if !is {
			return nil, false, nil
		}
		var cfg struct {
			HTTPProxies []string `json:"httpProxies"`
		}
		if err := json.Unmarshal(raw, &cfg); err != nil {
			return nil, true, fmt.Errorf("read the configuration: %w", err)
		}
		if len(cfg.HTTPProxies) == 0 {
			return nil, true, errors.New("httpProxies names none")
		}
		for _, name := range cfg.HTTPProxies {
			refs = append(
				refs, traffic.Ref{Group: "projectcontour.io", Kind: "HTTPProxy", Namespace: in.Namespace, Name: name},
			)
		}
		return refs, true, nil
	},
	Observe: func(in Input, ref traffic.Ref, objects *Objects) traffic.Observed {
		u := objects.Get(ref)
		if u == nil {
			return traffic.Observed{Missing: true}
		}
		return weightsOf(in, contourServices(u.Object), "name")
	},
	Apply: func(_ Input, ref traffic.Ref, objects *Objects, split traffic.Split) {
		u := objects.Edit(ref)
		if u == nil {
			return
		}
		before := track(u, split)
		for _, route := range contourRoutes(u.Object) {
			route["services"] = shareBackends(route["services"], "name", before, split)
		}
	},
	Weights: true,
}

// contourPlugin is the key of trafficRouting.plugins of Contour.
const contourPlugin = "argoproj-labs/contour"

func contourRoutes(tree map[string]any) []map[string]any {
	routes := objectsOf(at(tree, "spec", "routes"))
	if tcp, is := at(tree, "spec", "tcpproxy").(map[string]any); is {
		routes = append(routes, tcp)
	}
	return routes
}

func contourServices(tree map[string]any) (out []any) {
	for _, route := range contourRoutes(tree) {
		out = append(out, route["services"])
	}
	return out
}
