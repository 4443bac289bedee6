package appset

import (
	"fmt"

	"github.com/argosy-mesh/argosy/libs/script"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// pluginKind gives what a service answers, and what it was asked with. Source: the plugin generator of Argo CD.
func pluginKind() kind {
	return asking("plugin", dearNet, func(
		g *v1alpha1.PluginGenerator, all []map[string]any, e *engine,
	) ([]Params, error) {
		asked := map[string]any{}
		for name, raw := range g.Input.Parameters {
			v, err := script.Decode(raw)
			if err != nil {
				return nil, fmt.Errorf("input.parameters.%s: %w", name, err)
			}
			asked[name] = v
		}
		out := make([]Params, len(all))
		for i, answer := range all {
			tree := plainTree(answer)
			tree["generator"] = map[string]any{"input": map[string]any{"parameters": plain(asked)}}
			out[i] = e.params(tree)
		}
		return out, nil
	})
}
