package flow

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// publish makes what a unit left behind known to its successors.
func (k *walk) publish(s scope, prefix string, o outcome) {
	if o.items == nil {
		s.publishNode(prefix, o.node)
		return
	}
	delete(s.absent, prefix)
	s.values[prefix+".id"], s.values[prefix+".status"] = o.node.ID, string(o.node.Phase)
	var results []json.RawMessage
	var all []map[string]string
	byName := map[string][]string{}
	for n := range k.nodesOf(o) {
		if n.Phase != v1alpha1.NodeSucceeded || n.Outputs == nil {
			continue
		}
		if n.Outputs.Result != nil {
			results = append(results, asJSON(*n.Outputs.Result))
		}
		values := map[string]string{}
		for _, p := range n.Outputs.Parameters {
			values[p.Name] = p.Value.String()
			byName[p.Name] = append(byName[p.Name], p.Value.String())
		}
		all = append(all, values)
	}
	if results != nil {
		s.values[prefix+".outputs.result"] = jsonText(results)
	}
	s.values[prefix+".outputs.parameters"] = jsonText(all)
	for name, values := range byName {
		s.values[prefix+".outputs.parameters."+name] = aggregate(values)
	}
}

// aggregate joins the values of a loop's items: real JSON if all are lists or objects, else strings. Source: Argo Workflows.
func aggregate(values []string) string {
	raw := make([]json.RawMessage, len(values))
	for i, v := range values {
		trimmed := strings.TrimSpace(v)
		if trimmed == "" || trimmed[0] != '{' && trimmed[0] != '[' || !json.Valid([]byte(v)) {
			return jsonText(values)
		}
		raw[i] = json.RawMessage(v)
	}
	return jsonText(raw)
}

// asJSON keeps JSON as it is and quotes any other text.
func asJSON(v string) json.RawMessage {
	if json.Valid([]byte(v)) {
		return json.RawMessage(v)
	}
	return json.RawMessage(jsonText(v))
}

func (s scope) publishNode(prefix string, n v1alpha1.NodeStatus) {
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

// resultText is the result of an expression as a parameter: text as it is, anything else as JSON.
func resultText(result any) string {
	if text, ok := result.(string); ok {
		return text
	}
	return jsonText(result)
}

// follow replaces "from" of artifact arguments by the place it points to.
func (s scope) follow(artifacts []v1alpha1.Artifact) error {
	for i, a := range artifacts {
		if a.FromExpression != "" {
			source, err := s.artifactOf(a.FromExpression)
			if err != nil {
				return fmt.Errorf("artifact %q: fromExpression: %w", a.Name, err)
			}
			artifacts[i].ArtifactLocation, artifacts[i].Archive, artifacts[i].FromExpression = source.ArtifactLocation, source.Archive, ""
			continue
		}
		if a.From == "" {
			continue
		}
		source, ok := s.artifact(tagOf(a.From))
		if !ok {
			if a.Optional {
				continue
			}
			return fmt.Errorf("artifact %q: from %s names nothing that exists", a.Name, a.From)
		}
		artifacts[i].ArtifactLocation, artifacts[i].Archive, artifacts[i].From = source.ArtifactLocation, source.Archive, ""
	}
	return nil
}

// tagOf strips the braces of a reference.
func tagOf(from string) string {
	return strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(from), "{{"), "}}"))
}

// outputs resolves the outputs of a steps or dag template from what its children
// left behind.
func (s scope) outputs(declared *v1alpha1.Outputs) (*v1alpha1.Outputs, error) {
	if declared == nil {
		return nil, nil
	}
	out := &v1alpha1.Outputs{}
	for _, p := range declared.Parameters {
		value, err := s.outputParameter(p)
		if err != nil {
			return nil, err
		}
		out.Parameters = append(out.Parameters, v1alpha1.Parameter{Name: p.Name, GlobalName: p.GlobalName, Value: v1alpha1.AnyStringPtr(value)})
	}
	artifacts := append([]v1alpha1.Artifact(nil), declared.Artifacts...)
	if err := s.follow(artifacts); err != nil {
		return nil, err
	}
	out.Artifacts = artifacts
	return out, nil
}

func (s scope) outputParameter(p v1alpha1.Parameter) (string, error) {
	if p.ValueFrom == nil {
		if value, ok := parameterValue(p); ok {
			return s.text(value)
		}
		return "", fmt.Errorf("output parameter %q has neither value nor valueFrom", p.Name)
	}
	var value string
	var err error
	if p.ValueFrom.Expression != "" {
		var result any
		if result, err = s.run(p.ValueFrom.Expression); err == nil && result == nil {
			err = fmt.Errorf("expression %q gives nothing", p.ValueFrom.Expression)
		}
		value = resultText(result)
	} else {
		value, err = s.text(p.ValueFrom.Parameter)
	}
	if (err != nil || value == "") && p.ValueFrom.Default != nil {
		return p.ValueFrom.Default.String(), nil
	}
	if err != nil {
		return "", fmt.Errorf("output parameter %q: %w", p.Name, err)
	}
	return value, nil
}
