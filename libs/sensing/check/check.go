// Package check says what of a Sensor cannot work and what has no effect. The service and lint both ask it, so that
// neither knows more than the other.
package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/libs/sensing"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// Result is what was found.
type Result struct {
	Program *sensing.Program
	// Problems keep a part from working: a trigger with one never fires, or fails each time.
	Problems []sensing.Problem
	// Warnings are about what has no effect, or another one than it seems.
	Warnings []sensing.Problem
}

// Sensor compiles a Sensor and looks at all of it.
func Sensor(s *v1alpha1.Sensor) Result {
	options, err := sensing.ParseOptions(s.Annotations[sensing.OptionsAnnotation])
	r := Result{Program: sensing.Compile(&s.Spec, options)}
	if err != nil {
		r.Problems = append(r.Problems, sensing.Problem{Path: "metadata.annotations", Trigger: -1, Err: err})
	}
	r.Problems = append(r.Problems, r.Program.Problems()...)
	l := &look{result: &r, dependencies: map[string]bool{}}
	for i := range s.Spec.Dependencies {
		l.dependencies[s.Spec.Dependencies[i].Name] = true
	}
	for i := range s.Spec.Dependencies {
		l.dependency(i, &s.Spec.Dependencies[i])
	}
	for i := range s.Spec.Triggers {
		l.trigger = i
		l.one(fmt.Sprintf("spec.triggers[%d]", i), &s.Spec.Triggers[i])
	}
	return r
}

// Stops reports whether a trigger has a problem.
func (r Result) Stops(trigger int) bool {
	return slices.ContainsFunc(r.Problems, func(p sensing.Problem) bool { return p.Trigger == trigger })
}

// look gathers what it finds.
type look struct {
	result       *Result
	dependencies map[string]bool
	trigger      int
	given        []string // paths of the template that trigger.parameters set
}

func (l *look) wrongf(path, format string, args ...any) {
	l.result.Problems = append(
		l.result.Problems, sensing.Problem{Path: path, Trigger: l.trigger, Err: fmt.Errorf(format, args...)},
	)
}

func (l *look) warnf(path, format string, args ...any) {
	l.result.Warnings = append(
		l.result.Warnings, sensing.Problem{Path: path, Trigger: l.trigger, Err: fmt.Errorf(format, args...)},
	)
}

func (l *look) dependency(i int, d *v1alpha1.EventDependency) {
	l.trigger = -1
	at := fmt.Sprintf("spec.dependencies[%d]", i)
	l.operator(at+".filtersLogicalOperator", d.FiltersLogicalOperator)
	if d.Transform != nil && d.Transform.JQ != "" && d.Transform.Script != "" {
		l.warnf(at+".transform.script", "has no effect beside jq: give one of the two")
	}
	if d.Name != "" && l.unused(d.Name) {
		l.warnf(at+".name", "no trigger waits for %q: name it in template.conditions, or take it out", d.Name)
	}
	f := d.Filters
	if f == nil {
		return
	}
	l.operator(at+".filters.dataLogicalOperator", f.DataLogicalOperator)
	l.operator(at+".filters.exprLogicalOperator", f.ExprLogicalOperator)
	for j := range f.Data {
		if c := f.Data[j].Comparator; f.Data[j].Type == "bool" && !slices.Contains([]string{"", "=", "==", "!="}, c) {
			l.warnf(fmt.Sprintf("%s.filters.data[%d].comparator", at, j), "%q is taken for =: bools know = and !=", c)
		}
	}
	for j := range f.Exprs {
		l.expression(fmt.Sprintf("%s.filters.exprs[%d]", at, j), f.Exprs[j])
	}
	if c := f.Context; c != nil && (c.ID != "" || c.SpecVersion != "" || c.Time != nil) {
		l.warnf(
			at+".filters.context",
			"only type, subject, source and datacontenttype are compared; take id, specversion and time out",
		)
	}
}

// unused reports whether no trigger waits for a dependency; what a trigger that cannot be read waits for, nobody knows.
func (l *look) unused(name string) bool {
	all := l.result.Program.Mentions()
	return len(all) > 0 &&
		!slices.ContainsFunc(all, func(names []string) bool { return len(names) == 0 || slices.Contains(names, name) })
}

func (l *look) operator(path, operator string) {
	if !slices.Contains([]string{"", "and", "or"}, operator) {
		l.warnf(path, "%q is taken for \"and\": write \"and\" or \"or\"", operator)
	}
}

func (l *look) expression(at string, f v1alpha1.ExprFilter) {
	used, err := sensing.Variables(f.Expr)
	if err != nil {
		return // told already
	}
	var given []string
	for i, field := range f.Fields {
		if slices.Contains(given, field.Name) {
			l.warnf(
				fmt.Sprintf("%s.fields[%d].name", at, i), "another field is named %q too, and does not count",
				field.Name,
			)
		}
		if given = append(given, field.Name); !slices.Contains(used, field.Name) {
			l.warnf(
				fmt.Sprintf("%s.fields[%d].name", at, i),
				"the expression does not use %q; an event without it is rejected all the same", field.Name,
			)
		}
	}
	for _, name := range used {
		if !slices.Contains(given, name) {
			l.warnf(at+".expr", "uses %q, which no field gives: add it to fields, or put it in quotes", name)
		}
	}
}

func (l *look) one(at string, t *v1alpha1.Trigger) {
	if t.Template == nil {
		return // told already
	}
	name := t.Template.Name
	kind, err := sensing.KindOf(t.Template)
	if err != nil {
		l.wrongf(at+".template", "%w", err)
	}
	if kind == "k8s" && name != "" && sensing.LabelValue(name) != name {
		l.warnf(
			at+".template.name",
			"%q is no value of a label: objects carry the label events.argoproj.io/trigger=%s; use letters, digits, - _ . and at most 63 of them",
			name, sensing.LabelValue(name),
		)
	}
	for i, reset := range t.Template.ConditionsReset {
		if reset.ByTime == nil {
			l.warnf(fmt.Sprintf("%s.template.conditionsReset[%d]", at, i), "has no effect without byTime")
		}
	}
	l.given = nil
	for _, p := range t.Parameters {
		l.given = append(l.given, p.Dest)
	}
	l.parameters(at+".parameters", t.Parameters, true)
	l.templateFields(at+".parameters", t.Parameters, kind)
	l.policy(at, t, kind)
	l.retry(at+".retryStrategy", t.RetryStrategy)
	l.rate(at+".rateLimit", t.RateLimit)
	if kind != "" {
		l.kind(at+".template."+kind, kind, t.Template)
	}
	if t.DLQTrigger != nil {
		l.dead(at+".dlqTrigger", *t.DLQTrigger)
	}
}

func (l *look) rate(path string, r *v1alpha1.TriggerRateLimit) {
	if r != nil && (r.RequestsPerUnit <= 0 || !slices.Contains([]string{"", "Second", "Minute", "Hour"}, r.Unit)) {
		l.wrongf(
			path, "%d per %q is no rate; requestsPerUnit is above 0, unit is Second, Minute or Hour", r.RequestsPerUnit,
			r.Unit,
		)
	}
}

func (l *look) dead(at string, t v1alpha1.Trigger) {
	if t.DLQTrigger != nil {
		l.warnf(at+".dlqTrigger", "has no effect: a dlqTrigger has none of its own")
		t.DLQTrigger = nil
	}
	if t.Template == nil {
		l.wrongf(at+".template", "is missing")
	}
	l.one(at, &t)
}

func (l *look) policy(at string, t *v1alpha1.Trigger, kind string) {
	p := t.Policy
	if p == nil {
		return
	}
	if p.K8s != nil && kind != "k8s" {
		l.warnf(at+".policy.k8s", "has no effect on a trigger of kind %s", kind)
	}
	if p.Status != nil && !slices.Contains([]string{"http", "openWhisk", "awsLambda"}, kind) {
		l.warnf(at+".policy.status", "has no effect on a trigger of kind %s", kind)
	}
	if p.K8s != nil {
		l.retry(at+".policy.k8s.backoff", p.K8s.Backoff)
	}
}

func (l *look) retry(path string, b *v1alpha1.EventBackoff) {
	if b == nil {
		return
	}
	if d := b.Duration; d != nil && d.IsText {
		if !sensing.IsDuration(d.Text) {
			l.warnf(path+".duration", "%q is no duration such as 10s, nor a number of nanoseconds: 1s is meant", d.Text)
		}
	}
	if b.Steps < 0 {
		l.warnf(path+".steps", "%d is taken for 5", b.Steps)
	}
}

// touched reports whether a parameter sets a path, or something around or below it.
func touched(dests []string, path string) bool {
	return slices.ContainsFunc(dests, func(dest string) bool {
		return dest == path || strings.HasPrefix(dest, path+".") || strings.HasPrefix(path, dest+".")
	})
}
