// Package status says what the object of a workflow shows of its run.
package status

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/nodes"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Limit bounds the projection; beyond it the nodes are served from the
// journal only. etcd refuses objects over 1.5 MiB.
const Limit = 512 << 10

// Of is what is shown of the state of a run, but for what the state does not say.
func Of(state flow.Run) v1alpha1.WorkflowStatus {
	status := v1alpha1.WorkflowStatus{Phase: state.Phase, Message: state.Message, Nodes: state.Nodes,
		Outputs: state.Outputs}
	if !state.StartedAt.IsZero() {
		at := metav1.NewTime(state.StartedAt)
		status.StartedAt = &at
	}
	if !state.FinishedAt.IsZero() {
		at := metav1.NewTime(state.FinishedAt)
		status.FinishedAt = &at
		status.Conditions = append(status.Conditions, v1alpha1.Condition{Type: Completed, Status: "True"})
	}
	if state.Phase.Completed() || len(state.Nodes) <= Many {
		status.ResourcesDuration = nodes.AllResources(state.Nodes)
		status.Nodes = summed(state.Nodes)
	}
	return status
}

// sumMost is up to how many nodes those that hold others show what was used below them: each looks at all that come
// after.
const sumMost = 3000

// summed are nodes with what was used below those that have ended and hold others.
func summed(all map[string]v1alpha1.NodeStatus) map[string]v1alpha1.NodeStatus {
	if len(all) > sumMost || !slices.ContainsFunc(slices.Collect(maps.Values(all)),
		func(n v1alpha1.NodeStatus) bool { return n.ResourcesDuration != nil }) {
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

// Progress is how far a run is, as upstream prints it.
func Progress(done, all int) string { return fmt.Sprintf("%d/%d", done, all) }

// Change is what a status changes of an object, with the labels and annotations that a run gives its workflow. With a
// version it changes only that.
func Change(version string, status v1alpha1.WorkflowStatus, own *v1alpha1.Metadata) ([]byte, error) {
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
	labels[object.LabelPhase] = string(status.Phase)
	if status.Phase.Completed() {
		labels[object.LabelCompleted] = "true"
	}
	metadata["labels"] = labels
	return encodeStatus(metadata, status)
}

// leastNode is fewer bytes than the text of any node has.
const leastNode = 150

// encodeStatus is the change that shows a status. What makes it too large is left out, and taken away where it was
// shown before: first the nodes, then the outputs.
func encodeStatus(metadata map[string]any, status v1alpha1.WorkflowStatus) ([]byte, error) {
	nodes := status.Nodes
	if len(nodes)*leastNode > Limit {
		status.Nodes = nil // not even tried
	}
	body, err := json.Marshal(map[string]any{"metadata": metadata, "status": status})
	if err != nil {
		return nil, fmt.Errorf("encode status: %w", err)
	}
	if len(body) <= Limit && len(status.Nodes) == len(nodes) {
		return body, nil
	}
	status.Nodes = nil
	status.Conditions = append(status.Conditions,
		v1alpha1.Condition{Type: "NodesOmitted", Status: "True",
			Message: "the nodes are too large for this object; its journal has them"})
	for _, without := range [][]string{{"nodes"}, {"nodes", "outputs"}} {
		if body, err = json.Marshal(map[string]any{"metadata": metadata, "status": bare(status, without)}); err != nil {
			return nil, fmt.Errorf("encode status: %w", err)
		}
		if len(body) <= Limit {
			break
		}
	}
	return body, nil
}

// bare is a status as JSON has it, with fields that are taken away.
func bare(status v1alpha1.WorkflowStatus, fields []string) map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	if json.Unmarshal(object.JSON(status), &out) != nil {
		return nil
	}
	for _, name := range fields {
		out[name] = json.RawMessage("null")
	}
	return out
}

// Completed tells runs that ended. Source: Argo Workflows, whose retry turns it to False.
const Completed = "Completed"

// Many is how many nodes are so many that a run at work is shown less often, and without sums.
const Many = 300
