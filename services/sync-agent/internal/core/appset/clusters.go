package appset

import (
	"errors"
	"fmt"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// Cluster is a destination that the installation knows.
type Cluster struct {
	Name, Server, Project string
	Labels, Annotations   map[string]string // of its Secret
	// Implicit is the installation's own cluster where no Secret describes it.
	Implicit bool
}

// clustersKind gives the clusters that its selector matches. The implicit one has no labels: only a generator without a
// selector gives it.
func clustersKind() kind {
	k := asking("clusters", 0, func(g *v1alpha1.ClusterGenerator, all []Cluster, e *engine) ([]Params, error) {
		var out []Params
		for _, c := range all {
			ok, err := selects(&g.Selector, c.Labels)
			if err != nil {
				return nil, fmt.Errorf("selector.%w", err)
			}
			if !ok || c.Implicit && !selectsAll(g.Selector) {
				continue
			}
			out = append(out, e.params(c.params(e.tree)))
		}
		return out, nil
	})
	k.gather = func(spec map[string]any, sets []Params, e *engine) ([]Params, error) {
		if on, _ := spec["flatList"].(bool); !on {
			return sets, nil
		}
		if !e.tree {
			return nil, errors.New("flatList: a list is a parameter of Go templates; set spec.goTemplate")
		}
		list := make([]any, len(sets))
		for i, s := range sets {
			list[i] = map[string]any(s)
		}
		return []Params{{"clusters": list}}, nil
	}
	return k
}

func (c Cluster) params(tree bool) map[string]any {
	out := map[string]any{
		"name": c.Name, "nameNormalized": normalize(c.Name), "server": c.Server, "project": c.Project,
	}
	if c.Implicit && !tree {
		return out
	}
	out["metadata"] = map[string]any{"labels": plain(c.Labels), "annotations": plain(c.Annotations)}
	return out
}
