package sensing

import (
	"fmt"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/libs/script"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/robfig/cron/v3"
)

// OptionsAnnotation of a Sensor corrects rules that others rely on: a list of the
// words of [ParseOptions], separated by commas.
const OptionsAnnotation = "argosy.dev/filters"

// Options correct defects of Argo Events. The zero value keeps them all.
type Options struct {
	// NotIn makes "!=" mean none of the values; else any that differs is enough.
	NotIn bool
	// OrSkipsErrors makes a filter that cannot be evaluated count as false under "or";
	// else it rejects the event that another filter accepts.
	OrSkipsErrors bool
	// ExactNames keeps a-b and a_b apart in conditions.
	ExactNames bool
}

// ParseOptions reads the words not-in, or-skips-errors, exact-names and strict,
// which is all of them.
func ParseOptions(text string) (Options, error) {
	var o Options
	for word := range strings.SplitSeq(text, ",") {
		switch strings.TrimSpace(word) {
		case "":
		case "not-in":
			o.NotIn = true
		case "or-skips-errors":
			o.OrSkipsErrors = true
		case "exact-names":
			o.ExactNames = true
		case "strict":
			o = Options{NotIn: true, OrSkipsErrors: true, ExactNames: true}
		default:
			return o, fmt.Errorf(
				"%s: %q is none of not-in, or-skips-errors, exact-names, strict", OptionsAnnotation, word,
			)
		}
	}
	return o, nil
}

// Problem is a part of a Sensor that cannot work. The rest does.
type Problem struct {
	Path    string // such as spec.dependencies[0].filters.exprs[1]
	Trigger int    // index in spec.triggers; -1 for a dependency or the whole
	Err     error
}

// String returns "path: reason".
func (p Problem) String() string { return p.Path + ": " + p.Err.Error() }

// Program is a Sensor ready to evaluate.
type Program struct {
	spec         *v1alpha1.SensorSpec
	options      Options
	dependencies []dependency
	triggers     []trigger
	problems     []Problem
}

type dependency struct {
	name, source, event string
	transform           transform
	accept              check
	broken              error
}

type trigger struct {
	condition condition
	resets    []cron.Schedule
	broken    error
}

// Compile prepares a Sensor. The spec must not be changed afterwards.
func Compile(spec *v1alpha1.SensorSpec, options Options) *Program {
	p := &Program{spec: spec, options: options}
	names := map[string]bool{}
	for i := range spec.Dependencies {
		d := &spec.Dependencies[i]
		path := fmt.Sprintf("spec.dependencies[%d]", i)
		compiled := dependency{name: d.Name, source: d.EventSourceName, event: d.EventName}
		switch {
		case d.Name == "":
			compiled.broken = fmt.Errorf("name: is empty")
		case names[d.Name]:
			compiled.broken = fmt.Errorf("name: another dependency is named %q too", d.Name)
		case d.EventSourceName == "" || d.EventName == "":
			compiled.broken = fmt.Errorf("eventSourceName and eventName: one is empty")
		default:
			compiled.compile(d, options)
		}
		names[d.Name] = true
		if compiled.broken != nil {
			p.problems = append(p.problems, Problem{Path: path, Trigger: -1, Err: compiled.broken})
		}
		p.dependencies = append(p.dependencies, compiled)
	}
	for i := range spec.Triggers {
		p.triggers = append(p.triggers, p.compileTrigger(i))
	}
	return p
}

func (d *dependency) compile(spec *v1alpha1.EventDependency, options Options) {
	if d.transform, d.broken = compileTransform(spec.Transform); d.broken != nil {
		return
	}
	d.accept, d.broken = compileFilters(spec, options)
}

func (p *Program) compileTrigger(i int) trigger {
	path := fmt.Sprintf("spec.triggers[%d].template", i)
	t := p.spec.Triggers[i].Template
	problem := func(where string, err error) trigger {
		p.problems = append(p.problems, Problem{Path: path + where, Trigger: i, Err: err})
		return trigger{broken: err}
	}
	if t == nil || t.Name == "" {
		return problem(".name", fmt.Errorf("is empty"))
	}
	for j := range i {
		if other := p.spec.Triggers[j].Template; other != nil && other.Name == t.Name {
			return problem(".name", fmt.Errorf("another trigger is named %q too", t.Name))
		}
	}
	var out trigger
	var err error
	if out.condition, err = conditionsOf(t.Conditions, p.spec.Dependencies, p.options.ExactNames); err != nil {
		return problem(".conditions", err)
	}
	for j, reset := range t.ConditionsReset {
		if reset.ByTime == nil {
			continue
		}
		schedule, err := scheduleOf(reset.ByTime)
		if err != nil {
			return problem(fmt.Sprintf(".conditionsReset[%d].byTime", j), err)
		}
		out.resets = append(out.resets, schedule)
	}
	return out
}

// Problems lists what cannot work.
func (p *Program) Problems() []Problem { return p.problems }

// Mentions are the dependencies that each trigger waits for, without those that cannot work.
func (p *Program) Mentions() [][]string {
	out := make([][]string, len(p.triggers))
	for i := range p.triggers {
		out[i] = p.triggers[i].condition.names
	}
	return out
}

// Waits reports whether a trigger may have to wait for more than one event, so that
// it needs a window.
func (p *Program) Waits(trigger int) bool {
	return p.triggers[trigger].broken == nil && p.triggers[trigger].condition.waits
}

// AnyWaits reports whether any trigger needs a window.
func (p *Program) AnyWaits() bool {
	return slices.ContainsFunc(p.triggers, func(t trigger) bool { return t.broken == nil && t.condition.waits })
}

// limitsOf is the budget of one script.
func limitsOf(w World) script.Limits {
	l := script.DefaultLimits()
	l.Alarm = w.Alarm
	return l
}
