package analysis

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Resolve returns the value of an argument that a rollout takes from somewhere.
type Resolve func(v1alpha1.ArgumentValueFrom) (string, error)

// Templates are the specs that can be reached, by reference.
type Templates = map[v1alpha1.AnalysisTemplateRef]v1alpha1.AnalysisTemplateSpec

// Merge makes the spec of a run of all templates an analysis names, nested ones included, with every argument given.
// A finite run ends by itself: a metric with an interval but no count is then measured once more than it may fail.
func Merge(
	a v1alpha1.RolloutAnalysis, templates Templates, resolve Resolve, finite bool,
) (v1alpha1.AnalysisRunSpec, error) {
	m := merging{templates: templates, seen: map[v1alpha1.AnalysisTemplateRef]bool{}}
	if err := m.all(a.Templates); err != nil {
		return v1alpha1.AnalysisRunSpec{}, err
	}
	spec := m.spec
	if err := give(spec.Args, a.Args, resolve); err != nil {
		return v1alpha1.AnalysisRunSpec{}, err
	}
	spec.DryRun = append(spec.DryRun, a.DryRun...)
	spec.MeasurementRetention = append(spec.MeasurementRetention, a.MeasurementRetention...)
	if len(spec.Metrics) == 0 {
		return v1alpha1.AnalysisRunSpec{}, fmt.Errorf("no template has a metric")
	}
	if finite {
		for i := range spec.Metrics {
			bound(&spec.Metrics[i])
		}
	}
	return spec, validate(spec)
}

// bound gives a metric an end.
func bound(m *v1alpha1.Metric) {
	if m.Interval == "" || m.Count != nil && m.Count.String() != "0" {
		return
	}
	limit, err := number(m.FailureLimit, 0)
	if err != nil || limit < 0 {
		limit = 0
	}
	m.Count = new(intstr.FromInt32(limit + 1))
}

type merging struct {
	templates Templates
	seen      map[v1alpha1.AnalysisTemplateRef]bool
	spec      v1alpha1.AnalysisRunSpec
}

func (m *merging) all(refs []v1alpha1.AnalysisTemplateRef) error {
	for _, ref := range refs {
		if m.seen[ref] {
			continue
		}
		m.seen[ref] = true
		t, ok := m.templates[ref]
		if !ok {
			return fmt.Errorf("%s %q is not there", kindOf(ref), ref.TemplateName)
		}
		if err := m.one(*t.DeepCopy()); err != nil {
			return fmt.Errorf("%s %q: %w", kindOf(ref), ref.TemplateName, err)
		}
		if err := m.all(t.Templates); err != nil {
			return err
		}
	}
	return nil
}

func kindOf(ref v1alpha1.AnalysisTemplateRef) string {
	if ref.ClusterScope {
		return "ClusterAnalysisTemplate"
	}
	return "AnalysisTemplate"
}

func (m *merging) one(t v1alpha1.AnalysisTemplateSpec) error {
	for _, metric := range t.Metrics {
		if slices.ContainsFunc(m.spec.Metrics, func(o v1alpha1.Metric) bool { return o.Name == metric.Name }) {
			return fmt.Errorf("two metrics have the name %q", metric.Name)
		}
		m.spec.Metrics = append(m.spec.Metrics, metric)
	}
	for _, arg := range t.Args {
		if err := m.argument(arg); err != nil {
			return err
		}
	}
	m.spec.DryRun = append(m.spec.DryRun, t.DryRun...)
	m.spec.MeasurementRetention = append(m.spec.MeasurementRetention, t.MeasurementRetention...)
	return nil
}

func (m *merging) argument(arg v1alpha1.Argument) error {
	i := slices.IndexFunc(m.spec.Args, func(o v1alpha1.Argument) bool { return o.Name == arg.Name })
	if i < 0 {
		m.spec.Args = append(m.spec.Args, arg)
		return nil
	}
	had := &m.spec.Args[i]
	switch {
	case arg.Value == nil && arg.ValueFrom == nil:
	case had.Value == nil && had.ValueFrom == nil:
		*had = arg
	case had.Value != nil && arg.Value != nil && *had.Value == *arg.Value:
	default:
		return fmt.Errorf("argument %q has two different defaults", arg.Name)
	}
	return nil
}

// give sets the arguments of a template from those of a rollout. A rollout may give arguments that nobody asks for.
func give(args []v1alpha1.Argument, given []v1alpha1.AnalysisRunArgument, resolve Resolve) error {
	for _, g := range given {
		i := slices.IndexFunc(args, func(o v1alpha1.Argument) bool { return o.Name == g.Name })
		if i < 0 {
			continue
		}
		value := g.Value
		if g.ValueFrom != nil {
			v, err := resolve(*g.ValueFrom)
			if err != nil {
				return fmt.Errorf("argument %q: %w", g.Name, err)
			}
			value = v1alpha1.AnyStringPtr(v)
		}
		args[i] = v1alpha1.Argument{Name: g.Name, Value: value}
	}
	for i := range args {
		if from := args[i].ValueFrom; from != nil && from.FieldRef != nil {
			v, err := resolve(v1alpha1.ArgumentValueFrom{FieldRef: from.FieldRef})
			if err != nil {
				return fmt.Errorf("argument %q: %w", args[i].Name, err)
			}
			args[i].Value, args[i].ValueFrom = v1alpha1.AnyStringPtr(v), nil
		}
		if args[i].Value == nil && args[i].ValueFrom == nil {
			return fmt.Errorf("argument %q has no value", args[i].Name)
		}
	}
	return nil
}

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
		return "", fmt.Errorf("valueFrom is empty")
	}
}

// pathToken is one step of a field path: a name, ['a quoted name'] or [an index].
var pathToken = regexp.MustCompile(`\['([^']+)'\]|\[(\d+)\]|\.?([^.\[\]]+)`)

func field(ro *v1alpha1.Rollout, path string) (string, error) {
	text, err := json.Marshal(ro)
	if err != nil {
		return "", fmt.Errorf("encode the rollout: %w", err)
	}
	var at any
	if err := json.Unmarshal(text, &at); err != nil {
		return "", fmt.Errorf("read the rollout: %w", err)
	}
	for _, token := range pathToken.FindAllStringSubmatch(path, -1) {
		if at = walk(at, token); at == nil {
			return "", fmt.Errorf("field %q is not set", path)
		}
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

func walk(at any, token []string) any {
	if list, ok := at.([]any); ok && token[2] != "" {
		if i, err := strconv.Atoi(token[2]); err == nil && i < len(list) {
			return list[i]
		}
		return nil
	}
	object, _ := at.(map[string]any)
	return object[token[1]+token[3]]
}

// placeholder is {{args.name}}, spaces allowed.
var placeholder = regexp.MustCompile(`\{\{\s*args\.([A-Za-z0-9_.-]+)\s*\}\}`)

// Substitute puts the values of arguments into every text of a metric.
func Substitute(m v1alpha1.Metric, values map[string]string) (v1alpha1.Metric, error) {
	text, err := json.Marshal(m)
	if err != nil {
		return m, fmt.Errorf("encode metric %q: %w", m.Name, err)
	}
	var missing []string
	filled := placeholder.ReplaceAllStringFunc(string(text), func(hit string) string {
		name := placeholder.FindStringSubmatch(hit)[1]
		value, ok := values[name]
		if !ok {
			missing = append(missing, name)
			return hit
		}
		quoted, err := json.Marshal(value)
		if err != nil {
			missing = append(missing, name)
			return hit
		}
		return strings.TrimSuffix(strings.TrimPrefix(string(quoted), `"`), `"`)
	})
	if len(missing) > 0 {
		return m, fmt.Errorf("metric %q: no value for args.%s", m.Name, strings.Join(missing, ", args."))
	}
	var out v1alpha1.Metric
	if err := json.Unmarshal([]byte(filled), &out); err != nil {
		return m, fmt.Errorf("metric %q with its arguments: %w", m.Name, err)
	}
	return out, nil
}
