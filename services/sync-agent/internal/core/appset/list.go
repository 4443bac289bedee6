package appset

import (
	"encoding/json"
	"fmt"

	"github.com/argosy-mesh/argosy/libs/script"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"sigs.k8s.io/yaml"
)

// listKind gives what the manifest lists, in elements or as YAML in a text.
func listKind() kind {
	return kind{field: "list", sets: func(spec map[string]any, _ any, e *engine) ([]Params, error) {
		g, err := decode[v1alpha1.ListGenerator](spec)
		if err != nil {
			return nil, err
		}
		all := g.Elements
		if g.ElementsYaml != "" {
			more, err := yaml.YAMLToJSON([]byte(g.ElementsYaml))
			if err != nil {
				return nil, fmt.Errorf("elementsYaml: %w", err)
			}
			var list []json.RawMessage
			if err := json.Unmarshal(more, &list); err != nil {
				return nil, fmt.Errorf("elementsYaml: it is no list: %w", err)
			}
			all = append(all, list...)
		}
		var out []Params
		for i, raw := range all {
			v, err := script.Decode(raw)
			if err != nil {
				return nil, fmt.Errorf("elements[%d]: %w", i, err)
			}
			m, ok := v.(map[string]any)
			if !ok {
				return nil, fmt.Errorf("elements[%d]: it is no object", i)
			}
			out = append(out, e.params(m))
		}
		return out, nil
	}}
}

// params makes a set of a tree.
func (e *engine) params(tree map[string]any) Params {
	if e.tree {
		return Params(plainTree(tree))
	}
	return flat(tree)
}
