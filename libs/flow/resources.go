package flow

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// Resources are seconds of each resource that pods used: of cpu a core for a second is one, of memory 100Mi. Source: Argo
// Workflows, resourcesDuration.
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

// resourcesVariable begins the names of variables of metrics.
const resourcesVariable = "resourcesDuration."

// resourceValues are the variables of metrics about a node that used resources. They are looked up only for metrics that
// mention them: a node may hold many.
func (k *engine) resourceValues(m v1alpha1.Metrics, id string) map[string]string {
	text, err := json.Marshal(m)
	if err != nil || !strings.Contains(string(text), resourcesVariable) {
		return nil
	}
	out := map[string]string{resourcesVariable + "cpu": "0", resourcesVariable + "memory": "0"}
	for name, seconds := range ResourcesOf(k.nodes, id) {
		out[resourcesVariable+name] = strconv.FormatInt(seconds, 10)
	}
	return out
}
