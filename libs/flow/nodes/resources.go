package nodes

import "github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"

// Resources are seconds of each resource that pods used: of cpu a core for a second is one, of memory 100Mi. Source:
// Argo Workflows, resourcesDuration.
type Resources = map[string]int64

func addResources(to, more Resources) Resources {
	for name, seconds := range more {
		if to == nil {
			to = Resources{}
		}
		to[name] += seconds
	}
	return to
}

// AllResources is what all pods of a run used.
func AllResources(nodes map[string]v1alpha1.NodeStatus) (sum Resources) {
	for _, n := range nodes {
		if n.Type == v1alpha1.NodeTypePod {
			sum = addResources(sum, n.ResourcesDuration)
		}
	}
	return sum
}

// ResourcesOf is what the pod of a node used; of one without a pod, what those of all nodes used that come after it by
// children, each once. Source: Argo Workflows.
func ResourcesOf(nodes map[string]v1alpha1.NodeStatus, id string) (sum Resources) {
	if nodes[id].Type == v1alpha1.NodeTypePod {
		return nodes[id].ResourcesDuration
	}
	seen := map[string]bool{id: true}
	for left := []string{id}; len(left) > 0; {
		next := left[len(left)-1]
		left = left[:len(left)-1]
		for _, child := range nodes[next].Children {
			if seen[child] {
				continue
			}
			seen[child] = true
			left = append(left, child)
			if nodes[child].Type == v1alpha1.NodeTypePod {
				sum = addResources(sum, nodes[child].ResourcesDuration)
			}
		}
	}
	return sum
}
