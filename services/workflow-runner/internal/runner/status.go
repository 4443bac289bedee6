package runner

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/nodes"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// statusLimit bounds the projection; beyond it the nodes are served from the
// journal only. etcd refuses objects over 1.5 MiB.
const statusLimit = 512 << 10

func statusOf(state flow.Run) v1alpha1.WorkflowStatus {
	status := v1alpha1.WorkflowStatus{Phase: state.Phase, Message: state.Message, Nodes: state.Nodes, Outputs: state.Outputs}
	if !state.StartedAt.IsZero() {
		at := metav1.NewTime(state.StartedAt)
		status.StartedAt = &at
	}
	if !state.FinishedAt.IsZero() {
		at := metav1.NewTime(state.FinishedAt)
		status.FinishedAt = &at
		status.Conditions = append(status.Conditions, v1alpha1.Condition{Type: completedCondition, Status: "True"})
	}
	if state.Phase.Completed() || len(state.Nodes) <= showMany {
		status.ResourcesDuration = nodes.AllResources(state.Nodes)
		status.Nodes = summed(state.Nodes)
	}
	return status
}

// sumMost is up to how many nodes those that hold others show what was used below them: each looks at all that come after.
const sumMost = 3000

// summed are nodes with what was used below those that have ended and hold others.
func summed(all map[string]v1alpha1.NodeStatus) map[string]v1alpha1.NodeStatus {
	if len(all) > sumMost || !slices.ContainsFunc(slices.Collect(maps.Values(all)), func(n v1alpha1.NodeStatus) bool { return n.ResourcesDuration != nil }) {
		return all
	}
	out := maps.Clone(all)
	for id, n := range out {
		if n.Type != v1alpha1.NodeTypePod && n.Phase.Fulfilled() {
			n.ResourcesDuration = nodes.ResourcesOf(all, id)
			out[id] = n
		}
	}
	return out
}

// progressText is how far a run is, as upstream prints it.
func progressText(done, all int) string { return fmt.Sprintf("%d/%d", done, all) }

// change is what a status changes of an object, with the labels and annotations that a run gives its workflow. With a
// version it changes only that.
func change(version string, status v1alpha1.WorkflowStatus, own *v1alpha1.Metadata) ([]byte, error) {
	labels, metadata := map[string]string{}, map[string]any{}
	if version != "" {
		metadata["resourceVersion"] = version
	}
	if own != nil {
		maps.Copy(labels, own.Labels)
		if len(own.Annotations) > 0 {
			metadata["annotations"] = own.Annotations
		}
	}
	labels[labelPhase] = string(status.Phase)
	if status.Phase.Completed() {
		labels[labelCompleted] = "true"
	}
	metadata["labels"] = labels
	return encodeStatus(metadata, status)
}

// leastNode is fewer bytes than the text of any node has.
const leastNode = 150

// encodeStatus is the change that shows a status. What makes it too large is left out, and taken away where it was shown
// before: first the nodes, then the outputs.
func encodeStatus(metadata map[string]any, status v1alpha1.WorkflowStatus) ([]byte, error) {
	nodes := status.Nodes
	if len(nodes)*leastNode > statusLimit {
		status.Nodes = nil // not even tried
	}
	body, err := json.Marshal(map[string]any{"metadata": metadata, "status": status})
	if err != nil {
		return nil, fmt.Errorf("encode status: %w", err)
	}
	if len(body) <= statusLimit && len(status.Nodes) == len(nodes) {
		return body, nil
	}
	status.Nodes = nil
	status.Conditions = append(status.Conditions, v1alpha1.Condition{Type: "NodesOmitted", Status: "True", Message: "the nodes are too large for this object; its journal has them"})
	for _, without := range [][]string{{"nodes"}, {"nodes", "outputs"}} {
		if body, err = json.Marshal(map[string]any{"metadata": metadata, "status": bare(status, without)}); err != nil {
			return nil, fmt.Errorf("encode status: %w", err)
		}
		if len(body) <= statusLimit {
			break
		}
	}
	return body, nil
}

// bare is a status as JSON has it, with fields that are taken away.
func bare(status v1alpha1.WorkflowStatus, fields []string) map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	if json.Unmarshal(mustJSON(status), &out) != nil {
		return nil
	}
	for _, name := range fields {
		out[name] = json.RawMessage("null")
	}
	return out
}

// completedCondition tells runs that ended. Source: Argo Workflows, whose retry turns it to False.
const completedCondition = "Completed"

// showMany is how many nodes are so many that a run at work is shown less often, and without sums.
const showMany = 300
