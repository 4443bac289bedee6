package core

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/expr-lang/expr"
)

// scope holds the values of tags, and the artifacts that tags may name.
type scope struct {
	values    map[string]string
	artifacts map[string]v1alpha1.Artifact
}

func newScope() scope {
	return scope{values: map[string]string{}, artifacts: map[string]v1alpha1.Artifact{}}
}

// with copies the scope, so that siblings do not see each other's additions.
func (s scope) with(extra map[string]string) scope {
	next := scope{values: maps.Clone(s.values), artifacts: maps.Clone(s.artifacts)}
	maps.Copy(next.values, extra)
	return next
}

// globals are the variables of a workflow that are known everywhere.
func globals(w World) (scope, error) {
	s := newScope()
	v := s.values
	v["workflow.name"], v["workflow.namespace"], v["workflow.uid"] = w.Name, w.Namespace, w.UID
	v["workflow.mainEntrypoint"] = w.Spec.Entrypoint
	v["workflow.serviceAccountName"] = orDefault(w.Spec.ServiceAccountName, "default")
	v["workflow.creationTimestamp"] = w.Created.UTC().Format(time.RFC3339)
	v["workflow.creationTimestamp.RFC3339"] = w.Created.UTC().Format(time.RFC3339)
	v["workflow.creationTimestamp.s"] = strconv.FormatInt(w.Created.Unix(), 10)
	v["workflow.status"] = string(w.Run.Phase)
	if !w.Run.StartedAt.IsZero() {
		v["workflow.duration"] = fmt.Sprintf("%f", w.Now.Sub(w.Run.StartedAt).Seconds())
	}
	for key, value := range w.Labels {
		v["workflow.labels."+key] = value
	}
	for key, value := range w.Annotations {
		v["workflow.annotations."+key] = value
	}
	v["workflow.labels.json"], v["workflow.annotations.json"] = jsonText(w.Labels), jsonText(w.Annotations)
	return s, s.addArguments(w.Spec.Arguments)
}

func (s scope) addArguments(args *v1alpha1.Arguments) error {
	if args == nil {
		return nil
	}
	for _, p := range args.Parameters {
		value, ok := parameterValue(p)
		if !ok {
			return fmt.Errorf("spec.arguments.parameters: %q has no value", p.Name)
		}
		s.values["workflow.parameters."+p.Name] = value
	}
	s.values["workflow.parameters"] = jsonText(args.Parameters)
	s.values["workflow.parameters.json"] = s.values["workflow.parameters"]
	for _, a := range args.Artifacts {
		s.artifacts["workflow.artifacts."+a.Name] = a
	}
	return nil
}

func parameterValue(p v1alpha1.Parameter) (string, bool) {
	switch {
	case p.Value != nil:
		return p.Value.String(), true
	case p.Default != nil:
		return p.Default.String(), true
	case p.ValueFrom != nil && p.ValueFrom.Default != nil:
		return p.ValueFrom.Default.String(), true
	}
	return "", false
}

// strict are the prefixes whose tags must resolve; others may be meant for the
// program in the pod and stay as they are.
var strict = []string{"inputs.", "steps.", "tasks.", "workflow.parameters."}

// substitute replaces the tags in every string of v, which must be a pointer, by
// way of its JSON text.
func substitute[T any](v *T, s scope) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode for substitution: %w", err)
	}
	replaced, err := s.replace(string(text), jsonEscape)
	if err != nil {
		return err
	}
	var out T
	if err := json.Unmarshal([]byte(replaced), &out); err != nil {
		return fmt.Errorf("after substitution: %w", err)
	}
	*v = out
	return nil
}

// text replaces the tags in a plain string.
func (s scope) text(in string) (string, error) {
	return s.replace(in, func(v string) string { return v })
}

func (s scope) replace(in string, escape func(string) string) (string, error) {
	var out strings.Builder
	for {
		begin := strings.Index(in, "{{")
		if begin < 0 {
			break
		}
		end := strings.Index(in[begin:], "}}")
		if end < 0 {
			break
		}
		tag := in[begin+2 : begin+end]
		// Of nested braces the innermost is the tag.
		if inner := strings.LastIndex(tag, "{{"); inner >= 0 {
			begin += inner + 2
			tag = tag[inner+2:]
			end -= inner + 2
		}
		value, found, err := s.resolve(tag)
		if err != nil {
			return "", err
		}
		out.WriteString(in[:begin])
		if found {
			out.WriteString(escape(value))
		} else {
			out.WriteString("{{" + tag + "}}")
		}
		in = in[begin+end+2:]
	}
	out.WriteString(in)
	return out.String(), nil
}

func (s scope) resolve(tag string) (string, bool, error) {
	if source, ok := strings.CutPrefix(strings.TrimSpace(tag), "="); ok {
		return s.evaluate(jsonUnescape(source))
	}
	name := strings.TrimSpace(tag)
	if value, ok := s.values[name]; ok {
		return value, true, nil
	}
	for _, prefix := range strict {
		if strings.HasPrefix(name, prefix) {
			if _, artifact := s.artifacts[name]; artifact {
				return "", false, nil
			}
			return "", false, fmt.Errorf("{{%s}} has no value here", name)
		}
	}
	return "", false, nil
}

// evaluate runs an expr-lang expression over the values as nested maps.
func (s scope) evaluate(source string) (string, bool, error) {
	env := nest(s.values)
	env["asInt"] = func(v any) (int, error) { return strconv.Atoi(fmt.Sprint(v)) }
	env["asFloat"] = func(v any) (float64, error) { return strconv.ParseFloat(fmt.Sprint(v), 64) }
	env["toJson"] = jsonText
	program, err := expr.Compile(source, expr.Env(env), expr.AllowUndefinedVariables(), expr.MaxNodes(10_000))
	if err != nil {
		return "", false, fmt.Errorf("expression %q: %w", source, err)
	}
	result, err := expr.Run(program, env)
	if err != nil {
		return "", false, fmt.Errorf("expression %q: %w", source, err)
	}
	if text, ok := result.(string); ok {
		return text, true, nil
	}
	return jsonText(result), true, nil
}

func nest(values map[string]string) map[string]any {
	root := map[string]any{}
	for key, value := range values {
		at := root
		parts := strings.Split(key, ".")
		for _, part := range parts[:len(parts)-1] {
			next, ok := at[part].(map[string]any)
			if !ok {
				next = map[string]any{}
				at[part] = next
			}
			at = next
		}
		last := parts[len(parts)-1]
		if _, taken := at[last].(map[string]any); !taken {
			at[last] = value
		}
	}
	return root
}

func jsonText(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return "null"
	}
	return string(text)
}

func jsonEscape(v string) string {
	quoted := jsonText(v)
	return quoted[1 : len(quoted)-1]
}

func jsonUnescape(v string) string {
	var out string
	if json.Unmarshal([]byte(`"`+v+`"`), &out) != nil {
		return v
	}
	return out
}

func orDefault(v, fallback string) string {
	if v == "" {
		return fallback
	}
	return v
}
