package flow

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow/exactjson"
	"github.com/argosy-mesh/argosy/libs/flow/expression"
	"github.com/argosy-mesh/argosy/libs/flow/tag"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// publish makes what a unit left behind known to its successors.
func (k *engine) publish(s scope, prefix string, o outcome) {
	if o.items == nil {
		s.publishNode(prefix, o.node)
		return
	}
	delete(s.absent, prefix)
	s.values[prefix+".id"], s.values[prefix+".status"] = o.node.ID, string(o.node.Phase)
	results, all := []json.RawMessage{}, []map[string]string{}
	byName := map[string][]string{}
	for n := range k.nodesOf(o) {
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
	for _, name := range k.outputNames(o.calls) {
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

// outputNames are the output parameters that the template of a call promises; none when it is only known by its item.
func (k *engine) outputNames(c call) []string {
	t, _, err := k.load(c)
	if err != nil || t.Outputs == nil {
		return nil
	}
	var names []string
	for _, p := range t.Outputs.Parameters {
		names = append(names, p.Name)
	}
	return names
}

// aggregate joins the values of a loop's items: real JSON if all are lists or objects, else strings. Source: Argo Workflows.
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

// follow replaces "from" of artifacts, whose other tags are resolved, by the place it points to. Those that point to nothing are left out, and named with
// the reason: whether they are needed only the one who gets them knows. Text that names nothing that could ever be there is
// an error.
func (s scope) follow(artifacts []v1alpha1.Artifact) (found []v1alpha1.Artifact, missing map[string]string, err error) {
	for _, a := range artifacts {
		source, reason, err := s.source(a)
		switch {
		case err != nil:
			return nil, nil, fmt.Errorf("artifact %q: %w", a.Name, err)
		case reason != "":
			if missing == nil {
				missing = map[string]string{}
			}
			missing[a.Name] = reason
			if a.Optional {
				missing[a.Name] = ""
			}
			continue
		case source != nil:
			a.ArtifactLocation, a.Archive, a.From, a.FromExpression = source.ArtifactLocation, source.Archive, "", ""
		}
		found = append(found, a)
	}
	return found, missing, nil
}

// source is what an artifact points to: nil when it points to nothing else, a reason when that is not there.
func (s scope) source(a v1alpha1.Artifact) (source *v1alpha1.Artifact, missing string, err error) {
	expression, from := a.FromExpression, ""
	if expression == "" && a.From != "" {
		if from, err = s.text(tag.Name(a.From)); err != nil {
			return nil, "", fmt.Errorf("from %s: %w", a.From, err)
		}
		expression = strings.TrimPrefix(from, "=")
	}
	switch {
	case expression == "":
		return nil, "", nil
	case a.FromExpression != "", expression != from:
		got, err := s.artifactOf(expression)
		if err != nil {
			return nil, "", fmt.Errorf("fromExpression: %w", err)
		}
		return &got, "", nil
	}
	if got, ok := s.artifact(from); ok {
		return &got, "", nil
	}
	if !a.Optional && !s.mayLack(from) {
		return nil, "", fmt.Errorf("from %s names nothing that exists", a.From)
	}
	return nil, fmt.Sprintf("from %s names nothing that is there", a.From), nil
}

// mayLack reports whether an artifact of that name could be there: what would have left it behind is known, and did not.
func (s scope) mayLack(name string) bool {
	if s.lacking[name] {
		return true
	}
	prefix, _, output := strings.Cut(name, ".outputs.artifacts.")
	_, known := s.value(prefix + ".status")
	return output && known
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
		global, err := s.text(p.GlobalName)
		if err != nil {
			return nil, fmt.Errorf("output parameter %q: globalName: %w", p.Name, err)
		}
		out.Parameters = append(out.Parameters, v1alpha1.Parameter{Name: p.Name, GlobalName: global, Value: v1alpha1.AnyStringPtr(value)})
	}
	artifacts := declared.DeepCopy().Artifacts
	if err := substituteArtifacts(artifacts, s); err != nil {
		return nil, fmt.Errorf("output artifacts: %w", err)
	}
	artifacts, missing, err := s.follow(artifacts)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(missing)) {
		if missing[name] != "" {
			return nil, fmt.Errorf("output artifact %q: %s", name, missing[name])
		}
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
	value, err := s.outputSource(*p.ValueFrom)
	if (err != nil || value == "") && p.ValueFrom.Default != nil {
		value, err = s.text(p.ValueFrom.Default.String())
	}
	if err != nil {
		return "", fmt.Errorf("output parameter %q: %w", p.Name, err)
	}
	return value, nil
}

// outputSource is what the expression or the reference of an output gives.
func (s scope) outputSource(from v1alpha1.ValueFrom) (string, error) {
	if from.Expression == "" {
		return s.text(from.Parameter)
	}
	source, err := s.text(from.Expression)
	if err != nil {
		return "", err
	}
	result, err := s.run(source)
	if err != nil {
		return "", err
	}
	if result == nil {
		return "", fmt.Errorf("expression %q gives nothing", source)
	}
	return expression.ResultText(result), nil
}

// substituteArtifacts replaces the tags of artifacts, but for "from", which is no text but names an artifact.
func substituteArtifacts(artifacts []v1alpha1.Artifact, s scope) error {
	if len(artifacts) == 0 {
		return nil
	}
	from := make([]string, len(artifacts))
	for i := range artifacts {
		from[i], artifacts[i].From = artifacts[i].From, ""
	}
	filled := artifacts
	err := substitute(&filled, s)
	copy(artifacts, filled)
	for i := range artifacts {
		artifacts[i].From = from[i]
	}
	return err
}

// substituteArguments replaces the tags of arguments, and what their artifacts point to. Missing are those that point to
// nothing, with the reason; it is empty for those that are optional.
func substituteArguments(args v1alpha1.Arguments, s scope) (out v1alpha1.Arguments, missing map[string]string, err error) {
	args = *args.DeepCopy()
	s.dropAbsent(&args)
	if err := substitute(&args.Parameters, s); err != nil {
		return args, nil, err
	}
	if err := substituteArtifacts(args.Artifacts, s); err != nil {
		return args, nil, err
	}
	args.Artifacts, missing, err = s.follow(args.Artifacts)
	return args, missing, err
}
