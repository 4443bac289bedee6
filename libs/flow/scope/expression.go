package scope

import (
	"fmt"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/libs/flow/expression"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// later are names whose value a template's tag may have to wait for. Source: Argo Workflows leaves an expression that
// mentions one of them as it is while the name is unknown.
var later = []string{"item", "retries", "lastRetry", "workflow.status", "workflow.failures"}

// mentioned are those of the later names that an expression refers to.
func mentioned(source string) []string {
	if !slices.ContainsFunc(later, func(name string) bool {
		return strings.Contains(source, name[strings.LastIndex(name, ".")+1:])
	}) {
		return nil
	}
	return slices.DeleteFunc(expression.Names(source), func(name string) bool { return !slices.Contains(later, name) })
}

// expression runs an expression and returns its result as the text that replaces the tag.
func (s Scope) expression(source string) (string, bool, error) {
	for _, name := range mentioned(source) {
		if !s.knows(name) {
			if name == "item" && s.mode == FinalTags {
				return "", false, s.itemError(name)
			}
			return "", false, nil
		}
	}
	if len(s.hidden) > 0 && slices.ContainsFunc(expression.Parameters(source),
		func(name string) bool { return s.hidden[name] }) {
		return "", false, nil
	}
	result, err := s.Evaluate(source)
	if err != nil || result == nil && s.mode == LooseTags {
		return "", false, err
	}
	return expression.ResultText(result), true, nil
}

// knows reports whether name, or something below it, has a value.
func (s Scope) knows(name string) bool {
	for at := &s; at != nil; at = at.outer {
		for key := range at.values {
			if key == name || strings.HasPrefix(key, name+".") {
				return true
			}
		}
	}
	return false
}

// Evaluate evaluates an expression over all values as nested maps.
func (s Scope) Evaluate(source string) (any, error) {
	return expression.Evaluate(source, s.environment())
}

// artifactOf evaluates an expression that must give an artifact.
func (s Scope) artifactOf(source string) (v1alpha1.Artifact, error) {
	result, err := s.Evaluate(source)
	if err != nil {
		return v1alpha1.Artifact{}, err
	}
	a, ok := result.(artifactValue)
	if !ok {
		return v1alpha1.Artifact{}, fmt.Errorf("expression %q: gives no artifact", source)
	}
	return a.whole, nil
}

// artifactValue is an artifact in an expression: it can be chosen as a whole, and asked for its name and path.
type artifactValue struct {
	Name string `expr:"name"`
	Path string `expr:"path"`

	whole v1alpha1.Artifact
}

// environment is all values as nested maps.
func (s Scope) environment() map[string]any {
	env := map[string]any{}
	for at := &s; at != nil; at = at.outer {
		// Artifacts go first: the path of one is a value below its name.
		for key, a := range at.artifacts {
			nest(env, key, artifactValue{Name: a.Name, Path: a.Path, whole: a})
		}
		for key, value := range at.values {
			nest(env, key, value)
		}
		for prefix := range at.absent {
			// What did not run has outputs without values, so that "?? default" works.
			nest(env, prefix+".outputs.parameters", map[string]any{})
		}
	}
	return env
}

// nest puts a value at a dotted name, unless an inner scope has put one there.
func nest(root map[string]any, name string, value any) {
	at := root
	parts := strings.Split(name, ".")
	for _, part := range parts[:len(parts)-1] {
		if _, whole := at[part].(artifactValue); whole {
			return // it has its path
		}
		next, ok := at[part].(map[string]any)
		if !ok {
			next = map[string]any{}
			at[part] = next
		}
		at = next
	}
	last := parts[len(parts)-1]
	if _, taken := at[last]; !taken {
		at[last] = value
	}
}

// Condition evaluates an expression that must be true or false, whose tags are resolved first.
func (s Scope) Condition(source string) (bool, error) {
	source, err := s.Text(source)
	if err != nil {
		return false, err
	}
	return expression.Holds(source, s.environment())
}
