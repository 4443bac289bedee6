package analysis

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
)

// Problem is what is wrong with a document of analysis.
type Problem struct {
	// Path is where, such as spec.metrics[0].successCondition.
	Path string
	// Warning says that the document works, though perhaps not as meant.
	Warning bool
	// Text says what is wrong and what to do.
	Text string
}

// String returns "path: text".
func (p Problem) String() string { return p.Path + ": " + p.Text }

// LintTemplate reports the problems of a template by itself. Values of arguments are not known, templates that it
// names are not looked at.
func LintTemplate(spec v1alpha1.AnalysisTemplateSpec) []Problem {
	l := &linting{}
	if len(spec.Metrics) == 0 && len(spec.Templates) == 0 {
		l.addf("spec.metrics", "must have a metric, or spec.templates name templates that have")
	}
	l.arguments(spec.Args, false)
	l.metrics(spec.Metrics, spec.Args, nil)
	if len(spec.Templates) == 0 {
		// With more templates, the rules may be about their metrics.
		l.rules(spec.Metrics, spec.DryRun, spec.MeasurementRetention)
	}
	return l.found
}

// LintRun reports the problems of a run, whose arguments must have values.
func LintRun(spec v1alpha1.AnalysisRunSpec) []Problem {
	l := &linting{}
	if len(spec.Metrics) == 0 {
		l.addf("spec.metrics", "must have a metric")
	}
	l.arguments(spec.Args, true)
	l.metrics(spec.Metrics, spec.Args, plainValues(spec.Args))
	l.rules(spec.Metrics, spec.DryRun, spec.MeasurementRetention)
	return l.found
}

type linting struct{ found []Problem }

func (l *linting) addf(path, format string, args ...any) {
	l.found = append(l.found, Problem{Path: path, Text: fmt.Sprintf(format, args...)})
}

func (l *linting) warnf(path, format string, args ...any) {
	l.found = append(l.found, Problem{Path: path, Warning: true, Text: fmt.Sprintf(format, args...)})
}

func (l *linting) arguments(args []v1alpha1.Argument, given bool) {
	seen := map[string]bool{}
	for i, a := range args {
		at := fmt.Sprintf("spec.args[%d]", i)
		switch {
		case a.Name == "":
			l.addf(at+".name", "must not be empty")
		case seen[a.Name]:
			l.addf(at+".name", "another argument is named %q too", a.Name)
		case a.Value != nil && a.ValueFrom != nil:
			l.addf(at, "has both value and valueFrom; give one")
		case given && a.Value == nil && a.ValueFrom == nil:
			l.addf(at+".value", "argument %q has no value", a.Name)
		}
		seen[a.Name] = true
	}
}

func (l *linting) metrics(metrics []v1alpha1.Metric, args []v1alpha1.Argument, known values) {
	seen := map[string]bool{}
	for i, m := range metrics {
		at := fmt.Sprintf("spec.metrics[%d]", i)
		switch {
		case m.Name == "":
			l.addf(at+".name", "must not be empty")
		case seen[m.Name]:
			l.addf(at+".name", "two metrics have the name %q", m.Name)
		}
		seen[m.Name] = true
		if names := Providers(m.Provider); len(names) != 1 {
			l.addf(at+".provider", "must have exactly one provider, not %d %v", len(names), names)
		}
		l.limits(at, m, known)
		l.condition(at+".successCondition", m.SuccessCondition, m)
		l.condition(at+".failureCondition", m.FailureCondition, m)
		for _, name := range Mentioned(m) {
			if !slices.ContainsFunc(args, func(a v1alpha1.Argument) bool { return a.Name == name }) {
				l.addf(at, "{{args.%s}} is no argument of this document; declare it in spec.args", name)
			}
		}
	}
}

func (l *linting) limits(at string, m v1alpha1.Metric, known values) {
	b, err := boundsOf(m, known)
	if err != nil {
		l.addf(at, "%v", strings.TrimPrefix(err.Error(), fmt.Sprintf("metric %q: ", m.Name)))
		return
	}
	if b.count > 0 && b.failure >= b.count {
		l.warnf(at+".failureLimit", "%d can never be exceeded in %d measurements", b.failure, b.count)
	}
	if b.count > 0 && b.inconclusive >= b.count {
		l.warnf(at+".inconclusiveLimit", "%d can never be exceeded in %d measurements", b.inconclusive, b.count)
	}
	if b.count > 0 && b.consecutiveSuccess > b.count {
		l.warnf(
			at+".consecutiveSuccessLimit",
			"%d can never be reached in %d measurements",
			b.consecutiveSuccess,
			b.count,
		)
	}
}

func (l *linting) rules(metrics []v1alpha1.Metric, dry []v1alpha1.DryRun, keep []v1alpha1.MeasurementRetention) {
	for i, rule := range dry {
		if _, err := matching(metrics, rule.MetricName); err != nil {
			l.addf(fmt.Sprintf("spec.dryRun[%d].metricName", i), "%v; it is a Go regular expression", err)
		}
	}
	for i, rule := range keep {
		if _, err := matching(metrics, rule.MetricName); err != nil {
			l.addf(
				fmt.Sprintf("spec.measurementRetention[%d].metricName", i),
				"%v; it is a Go regular expression",
				err,
			)
		}
	}
}

// bare is a condition that compares the whole result.
var bare = regexp.MustCompile(`^\s*result\s*[<>=!]`)

func (l *linting) condition(at, condition string, m v1alpha1.Metric) {
	if condition == "" {
		return
	}
	plain := placeholder.ReplaceAllString(condition, "1")
	if err := readable(plain); err != nil {
		l.addf(at, "%v", err)
		return
	}
	if looks := wholeOnly(plain); looks != "" {
		l.warnf(at, "%s looks at the whole result, whatever it is given; (result?.x ?? 0) looks at a part", looks)
	}
	if m.Provider.Prometheus != nil && bare.MatchString(plain) &&
		!strings.HasPrefix(strings.TrimSpace(m.Provider.Prometheus.Query), "scalar(") {
		l.warnf(at, "a query that gives a vector gives a list: compare result[0], or wrap the query in scalar(...)")
	}
}

// unknownResult is what conditions may use where no result is known yet; see [environment].
type unknownResult struct {
	Result  any                        `expr:"result"`
	AsInt   func(any) (int64, error)   `expr:"asInt"`
	AsFloat func(any) (float64, error) `expr:"asFloat"`
	IsNaN   func(any) (bool, error)    `expr:"isNaN"`
	IsInf   func(any) (bool, error)    `expr:"isInf"`
	IsNil   func(any) bool             `expr:"isNil"`
	Default func(a, b any) any         `expr:"default"`
}

// readable reports why a condition cannot be read.
func readable(condition string) error {
	if len(condition) > maxSource {
		return fmt.Errorf("%w: longer than %d bytes", ErrBudget, maxSource)
	}
	b := &budget{turns: maxTurns, weight: maxWeight}
	_, err := expr.Compile(condition, append(b.options(), expr.Env(unknownResult{}))...)
	if err != nil {
		return fmt.Errorf("cannot be read: %w", err)
	}
	return nil
}

// wholeOnly names a function that does not look at what it is given, "" when there is none.
func wholeOnly(condition string) string {
	program, err := expr.Compile(condition, expr.Env(unknownResult{}))
	if err != nil {
		return ""
	}
	v := &wholeVisitor{}
	tree := program.Node()
	ast.Walk(&tree, v)
	return v.found
}

type wholeVisitor struct{ found string }

// Visit looks at one node.
func (v *wholeVisitor) Visit(node *ast.Node) {
	call, is := (*node).(*ast.CallNode)
	if !is || len(call.Arguments) == 0 {
		return
	}
	callee, is := call.Callee.(*ast.IdentifierNode)
	if !is || callee.Value != "isNil" && callee.Value != "default" {
		return
	}
	if given, is := call.Arguments[0].(*ast.IdentifierNode); !is || given.Value != "result" {
		v.found = callee.Value
	}
}

// Errors joins the problems that are no warnings; nil when there are none.
func Errors(found []Problem) error {
	var out []error
	for _, p := range found {
		if !p.Warning {
			out = append(out, errors.New(p.String()))
		}
	}
	return errors.Join(out...)
}
