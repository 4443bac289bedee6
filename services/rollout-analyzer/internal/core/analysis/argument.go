package analysis

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// FromRollout takes the value of an argument from a rollout.
func FromRollout(ro *v1alpha1.Rollout, from v1alpha1.ArgumentValueFrom, latest, stable string) (string, error) {
	switch {
	case from.PodTemplateHashValue != nil && *from.PodTemplateHashValue == "Stable":
		return stable, nil
	case from.PodTemplateHashValue != nil && *from.PodTemplateHashValue == "Latest":
		return latest, nil
	case from.PodTemplateHashValue != nil:
		return "", fmt.Errorf("podTemplateHashValue %q is neither Stable nor Latest", *from.PodTemplateHashValue)
	case from.FieldRef != nil:
		return field(ro, from.FieldRef.FieldPath)
	default:
		return "", errors.New("valueFrom is empty")
	}
}

// pathToken is one step of a field path: a name, ['a quoted name'] or [an index].
var pathToken = regexp.MustCompile(`\['([^']+)'\]|\[(\d+)\]|\.?([^.\[\]]+)`)

// annotated is a label or an annotation, or all of them, as the downward API of pods names them.
var annotated = regexp.MustCompile(`^metadata\.(labels|annotations)(?:\['([^']+)'\])?$`)

func field(ro *v1alpha1.Rollout, path string) (string, error) {
	if parts := annotated.FindStringSubmatch(path); parts != nil {
		of := ro.Labels
		if parts[1] == "annotations" {
			of = ro.Annotations
		}
		if parts[2] != "" {
			return of[parts[2]], nil // one that there is not is empty, as in pods
		}
		return listed(of), nil
	}
	text, err := json.Marshal(ro)
	if err != nil {
		return "", fmt.Errorf("encode the rollout: %w", err)
	}
	var at any
	if err := json.Unmarshal(text, &at); err != nil {
		return "", fmt.Errorf("read the rollout: %w", err)
	}
	read := 0
	for _, token := range pathToken.FindAllStringSubmatchIndex(path, -1) {
		if token[0] != read {
			return "", fmt.Errorf("field path %q cannot be read at %q", path, path[read:])
		}
		read = token[1]
		if at = walk(at, path, token); at == nil {
			return "", fmt.Errorf("field %q is not set", path)
		}
	}
	if read == 0 || read != len(path) {
		return "", fmt.Errorf("field path %q cannot be read at %q", path, path[read:])
	}
	switch v := at.(type) {
	case string:
		return v, nil
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	case bool:
		return strconv.FormatBool(v), nil
	default:
		out, err := json.Marshal(v)
		return string(out), err
	}
}

// listed writes labels as the downward API does.
func listed(of map[string]string) string {
	var lines []string
	for _, key := range slices.Sorted(maps.Keys(of)) {
		lines = append(lines, key+"="+strconv.Quote(of[key]))
	}
	return strings.Join(lines, "\n")
}

func walk(at any, path string, token []int) any {
	part := func(i int) string {
		if token[2*i] < 0 {
			return ""
		}
		return path[token[2*i]:token[2*i+1]]
	}
	if list, ok := at.([]any); ok && part(2) != "" {
		if i, err := strconv.Atoi(part(2)); err == nil && i < len(list) {
			return list[i]
		}
		return nil
	}
	object, _ := at.(map[string]any)
	return object[part(1)+part(3)]
}

// placeholder is {{args.name}}, spaces allowed; also what experiments offer, such as
// {{templates.baseline.podTemplateHash}} and {{experiment.availableAt}}.
var placeholder = regexp.MustCompile(`\{\{\s*((?:args|templates|experiment)\.[A-Za-z0-9_.-]+)\s*\}\}`)

// Expand puts values into a text by the names in its placeholders, such as args.service. The error names those that
// have no value.
func Expand(text string, known map[string]string) (string, error) {
	return expand(text, known, func(value string) (string, error) { return value, nil })
}

func expand(text string, known map[string]string, quote func(string) (string, error)) (string, error) {
	var missing []string
	out := placeholder.ReplaceAllStringFunc(text, func(hit string) string {
		name := placeholder.FindStringSubmatch(hit)[1]
		value, ok := known[name]
		if ok {
			if quoted, err := quote(value); err == nil {
				return quoted
			}
		}
		missing = append(missing, name)
		return hit
	})
	if len(missing) > 0 {
		return "", fmt.Errorf("no value for %s", strings.Join(missing, ", "))
	}
	return out, nil
}

// Substitute puts the values of arguments, by their names, into every text of a metric. What a value holds is never
// read as part of the metric's structure.
func Substitute(m v1alpha1.Metric, args map[string]string) (v1alpha1.Metric, error) {
	text, err := json.Marshal(m)
	if err != nil {
		return m, fmt.Errorf("encode metric %q: %w", m.Name, err)
	}
	known := make(map[string]string, len(args))
	for name, value := range args {
		known["args."+name] = value
	}
	filled, err := expand(string(text), known, func(value string) (string, error) {
		quoted, err := json.Marshal(value)
		return strings.TrimSuffix(strings.TrimPrefix(string(quoted), `"`), `"`), err
	})
	if err != nil {
		return m, fmt.Errorf("metric %q: %w", m.Name, err)
	}
	var out v1alpha1.Metric
	if err := json.Unmarshal([]byte(filled), &out); err != nil {
		return m, fmt.Errorf("metric %q with its arguments: %w", m.Name, err)
	}
	return out, nil
}

// Mentioned are the names of arguments in the placeholders of a metric, sorted.
func Mentioned(m v1alpha1.Metric) []string {
	text, err := json.Marshal(m)
	if err != nil {
		return nil
	}
	names := map[string]bool{}
	for _, hit := range placeholder.FindAllStringSubmatch(string(text), -1) {
		if name, is := strings.CutPrefix(hit[1], "args."); is {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}
