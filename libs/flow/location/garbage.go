package location

import (
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// When artifacts are taken away. Source: Argo Workflows, artifactGC.strategy; anything else keeps them.
const (
	GCOnCompletion = "OnWorkflowCompletion"
	GCOnDeletion   = "OnWorkflowDeletion"
)

// Waste is an artifact that is to be taken away.
type Waste struct {
	Node     string                    `json:"node"` // its id
	Name     string                    `json:"name"`
	Location v1alpha1.ArtifactLocation `json:"location"` // complete
}

// Garbage lists what a strategy takes away of the artifacts that pods stored. An artifact's own strategy wins over that
// of the workflow.
func Garbage(nodes []v1alpha1.NodeStatus, spec v1alpha1.WorkflowSpec, repository *v1alpha1.ArtifactRepository,
	strategy string) []Waste {
	var out []Waste
	listed := map[string]bool{}
	for i := range nodes {
		n := &nodes[i]
		if n.Type != v1alpha1.NodeTypePod || n.Outputs == nil {
			continue // others name what pods stored
		}
		for _, a := range n.Outputs.Artifacts {
			if a.Deleted || strategyOf(a, spec) != strategy {
				continue
			}
			place := Relocate(repository, a.ArtifactLocation)
			id := Where(place) + "\n" + Key(place)
			if storeOf(place) == nil || listed[id] {
				continue
			}
			listed[id] = true
			out = append(out, Waste{Node: n.ID, Name: a.Name, Location: place})
		}
	}
	return out
}

func strategyOf(a v1alpha1.Artifact, spec v1alpha1.WorkflowSpec) string {
	if a.ArtifactGC != nil && a.ArtifactGC.Strategy != "" {
		return a.ArtifactGC.Strategy
	}
	if spec.ArtifactGC != nil {
		return spec.ArtifactGC.Strategy
	}
	return ""
}
