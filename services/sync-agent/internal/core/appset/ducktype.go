package appset

import (
	"fmt"
	"maps"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// Placements are what resources of some kind say of clusters.
type Placements struct {
	Items    []map[string]any // of the lists in their status
	MatchKey string           // field of an item that names a cluster
	Clusters []Cluster
}

// duckTypeKind gives the clusters that are decided for, with all that the decision says. An item that names no cluster
// of the installation is left out. Source: the clusterDecisionResource generator of Argo CD.
func duckTypeKind() kind {
	return asking("clusterDecisionResource", cheapNet,
		func(_ *v1alpha1.DuckTypeGenerator, d Placements, e *engine) ([]Params, error) {
			known := map[string]Cluster{}
			for _, c := range d.Clusters {
				known[c.Name] = c
			}
			var out []Params
			for i, item := range d.Items {
				name, ok := item[d.MatchKey].(string)
				if !ok {
					return nil, fmt.Errorf("decision %d has no text in %q, the matchKey of the ConfigMap", i, d.MatchKey)
				}
				c, there := known[name]
				if !there {
					continue
				}
				p := maps.Clone(item)
				p["name"], p["nameNormalized"], p["server"] = c.Name, normalize(c.Name), c.Server
				out = append(out, e.params(p))
			}
			return out, nil
		})
}
