package analysis

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

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
		return v1alpha1.AnalysisRunSpec{}, errors.New("no template has a metric")
	}
	if finite {
		for i := range spec.Metrics {
			bound(&spec.Metrics[i], plainValues(spec.Args))
		}
	}
	return spec, validate(spec)
}

// Endless names the metrics of a run that nothing but a verdict or a person would end: they have an interval and
// neither count nor consecutiveSuccessLimit. Where the steps of a rollout wait for a run, [Merge] gives them an end,
// of which people should be warned; upstream refuses the Rollout.
func Endless(spec v1alpha1.AnalysisRunSpec) []string {
	var out []string
	known := plainValues(spec.Args)
	for _, m := range spec.Metrics {
		if b, err := boundsOf(m, known); err == nil && b.endless {
			out = append(out, m.Name)
		}
	}
	return out
}

// Bounded is the warning for people about a metric that [Merge] gave an end.
func Bounded(m v1alpha1.Metric) string {
	return fmt.Sprintf(
		"metric %q has an interval and no count: where steps wait for it, it is measured %s times (failureLimit + 1); "+
			"set count to say how often",
		m.Name,
		m.Count,
	)
}

// CheckRollout reports what is wrong with an analysis that a rollout asks for, and of what people should be warned:
// an analysis that must end by itself has metrics that would not. known are the templates that can be reached.
func CheckRollout(
	a v1alpha1.RolloutAnalysis, known Templates, resolve Resolve, finite bool,
) (warnings []string, err error) {
	if len(a.Templates) == 0 {
		return nil, errors.New("templates: must not be empty")
	}
	open, err := Merge(a, known, resolve, false)
	if err != nil || !finite {
		return nil, err
	}
	ended, err := Merge(a, known, resolve, true)
	if err != nil {
		return nil, err
	}
	endless := Endless(open)
	for _, m := range ended.Metrics {
		if slices.Contains(endless, m.Name) {
			warnings = append(warnings, Bounded(m))
		}
	}
	return warnings, nil
}

// bound gives a metric an end, unless it has one.
func bound(m *v1alpha1.Metric, known values) {
	b, err := boundsOf(*m, known)
	if err != nil || !b.endless {
		return
	}
	m.Count = new(intstr.FromInt32(max(b.failure, 0) + 1))
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
	case !reflect.DeepEqual(*had, arg):
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
		if args[i].Value != nil && args[i].ValueFrom != nil {
			return fmt.Errorf("argument %q has both value and valueFrom", args[i].Name)
		}
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
