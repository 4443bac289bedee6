package flow

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/Masterminds/sprig/v3"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/theory/jsonpath"
)

// Bounds of an expression: manifests are untrusted.
const (
	maxExpressionNodes = 10_000
)

// later are names whose value a template's tag may have to wait for. Source: Argo Workflows leaves an expression that
// mentions one of them as it is while the name is unknown.
var later = regexp.MustCompile(`\b(item|retries|lastRetry|workflow\.status|workflow\.failures)\b`)

// evaluate runs an expression and returns its result as the text that replaces the tag.
func (s scope) evaluate(source string) (string, bool, error) {
	for _, name := range later.FindAllString(source, -1) {
		if !s.knows(name) {
			return "", false, nil
		}
	}
	result, err := s.run(source)
	if err != nil {
		return "", false, err
	}
	return resultText(result), true, nil
}

// knows reports whether name, or something below it, has a value.
func (s scope) knows(name string) bool {
	for at := &s; at != nil; at = at.outer {
		for key := range at.values {
			if key == name || strings.HasPrefix(key, name+".") {
				return true
			}
		}
	}
	return false
}

// run evaluates an expression over all values as nested maps.
func (s scope) run(source string) (any, error) { return evaluate(source, s.environment()) }

// condition evaluates an expression that must be true or false.
func (s scope) condition(source string) (bool, error) {
	result, err := s.run(source)
	if err != nil {
		return false, err
	}
	return truth(source, result)
}

// artifactOf evaluates an expression that must give an artifact.
func (s scope) artifactOf(source string) (v1alpha1.Artifact, error) {
	result, err := s.run(source)
	if err != nil {
		return v1alpha1.Artifact{}, err
	}
	a, ok := result.(v1alpha1.Artifact)
	if !ok {
		return a, fmt.Errorf("expression %q: gives no artifact", source)
	}
	return a, nil
}

func (s scope) environment() map[string]any {
	env := map[string]any{}
	for at := &s; at != nil; at = at.outer {
		for key, value := range at.values {
			nest(env, key, value)
		}
		for key, value := range at.artifacts {
			nest(env, key, value)
		}
		for prefix := range at.absent {
			// What did not run has outputs without values, so that "?? default" works.
			nest(env, prefix+".outputs.parameters", map[string]any{})
		}
	}
	maps.Copy(env, functions())
	return env
}

// functions are those that upstream adds to the language.
func functions() map[string]any {
	library := sprig.GenericFuncMap()
	for _, unsafe := range []string{"env", "expandenv", "getHostByName"} {
		delete(library, unsafe)
	}
	return map[string]any{
		"asInt":    func(v any) (int, error) { return strconv.Atoi(text(v)) },
		"asFloat":  func(v any) (float64, error) { return strconv.ParseFloat(text(v), 64) },
		"toJson":   jsonText,
		"jsonpath": selectJSON,
		"sprig":    library,
	}
}

func text(v any) string {
	if f, ok := v.(float64); ok {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

// selectJSON returns what a JSONPath finds in JSON text: the value when it is one, else the list of them.
func selectJSON(document, path string) (any, error) {
	var value any
	if err := json.Unmarshal([]byte(document), &value); err != nil {
		return nil, fmt.Errorf("jsonpath: the text is not JSON: %w", err)
	}
	p, err := jsonpath.Parse(path)
	if err != nil {
		return nil, fmt.Errorf("jsonpath %q: %w", path, err)
	}
	found := slices.Collect(p.Select(value).All())
	if len(found) == 1 {
		return found[0], nil
	}
	return found, nil
}

// nest puts a value at a dotted name, unless an inner scope has put one there.
func nest(root map[string]any, name string, value any) {
	at := root
	parts := strings.Split(name, ".")
	for _, part := range parts[:len(parts)-1] {
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
