package scope

import (
	"encoding/json"
	"iter"
	"maps"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow/exactjson"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// PublishNode makes known what a node left behind.
func (s Scope) PublishNode(prefix string, n v1alpha1.NodeStatus) {
	v := s.values
	delete(s.absent, prefix)
	if n.Phase == v1alpha1.NodeSkipped || n.Phase == v1alpha1.NodeOmitted {
		s.absent[prefix] = true
	}
	v[prefix+".id"], v[prefix+".status"] = n.ID, string(n.Phase)
	v[prefix+".ip"], v[prefix+".hostNodeName"] = n.PodIP, n.HostNodeName
	if n.StartedAt != nil {
		v[prefix+".startedAt"] = n.StartedAt.UTC().Format(time.RFC3339)
	}
	if n.FinishedAt != nil {
		v[prefix+".finishedAt"] = n.FinishedAt.UTC().Format(time.RFC3339)
	}
	if n.Outputs == nil {
		return
	}
	if n.Outputs.ExitCode != nil {
		v[prefix+".exitCode"] = *n.Outputs.ExitCode
	}
	if n.Outputs.Result != nil {
		v[prefix+".outputs.result"] = *n.Outputs.Result
	}
	for _, p := range n.Outputs.Parameters {
		if p.Value != nil {
			v[prefix+".outputs.parameters."+p.Name] = p.Value.String()
		}
	}
	for _, a := range n.Outputs.Artifacts {
		s.artifacts[prefix+".outputs.artifacts."+a.Name] = a
	}
}

// PublishLoop makes known what the nodes of a loop left behind, and those output parameters that each promised.
func (s Scope) PublishLoop(prefix string, whole v1alpha1.NodeStatus, items iter.Seq[v1alpha1.NodeStatus],
	promised []string) {
	delete(s.absent, prefix)
	s.values[prefix+".id"], s.values[prefix+".status"] = whole.ID, string(whole.Phase)
	results, all := []json.RawMessage{}, []map[string]string{}
	byName := map[string][]string{}
	for n := range items {
		if n.Phase != v1alpha1.NodeSucceeded || n.Outputs == nil {
			continue
		}
		if n.Outputs.Result != nil {
			results = append(results, exactjson.Value(*n.Outputs.Result))
		}
		values := map[string]string{}
		for _, p := range n.Outputs.Parameters {
			values[p.Name] = p.Value.String()
			byName[p.Name] = append(byName[p.Name], p.Value.String())
		}
		if len(values) > 0 {
			all = append(all, values)
		}
	}
	for _, name := range promised {
		if byName[name] == nil {
			byName[name] = []string{}
		}
	}
	s.values[prefix+".outputs.result"] = exactjson.Text(results)
	s.values[prefix+".outputs.parameters"] = exactjson.Text(all)
	for name, values := range byName {
		s.values[prefix+".outputs.parameters."+name] = aggregate(values)
	}
}

// aggregate joins the values of a loop's items: real JSON if all are lists or objects, else strings. Source: Argo
// Workflows.
func aggregate(values []string) string {
	raw := make([]json.RawMessage, len(values))
	for i, v := range values {
		trimmed := strings.TrimSpace(v)
		if trimmed == "" || trimmed[0] != '{' && trimmed[0] != '[' || !json.Valid([]byte(v)) {
			return exactjson.Text(values)
		}
		raw[i] = json.RawMessage(v)
	}
	return exactjson.Text(raw)
}

// AddMetadata makes the labels and annotations of the workflow known: those it was made with, and those its run gave
// it.
func (s Scope) AddMetadata(labels, annotations map[string]string, own *v1alpha1.Metadata) {
	labels, annotations = maps.Clone(labels), maps.Clone(annotations)
	if own != nil {
		labels, annotations = joined(labels, own.Labels), joined(annotations, own.Annotations)
	}
	for key, value := range labels {
		s.values["workflow.labels."+key] = value
	}
	for key, value := range annotations {
		s.values["workflow.annotations."+key] = value
	}
	for name, all := range map[string]map[string]string{"workflow.labels": labels,
		"workflow.annotations": annotations} {
		s.values[name], s.values[name+".json"] = exactjson.Text(all), exactjson.Text(all)
	}
}

func joined(under, over map[string]string) map[string]string {
	if under == nil {
		return maps.Clone(over)
	}
	maps.Copy(under, over)
	return under
}
