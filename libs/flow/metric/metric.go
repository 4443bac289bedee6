// Package metric resolves the metrics that manifests define to values to report.
package metric

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/expression"
	"github.com/argosy-mesh/argosy/libs/flow/scope"
	"github.com/argosy-mesh/argosy/libs/flow/tag"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// Subject is what a metric is about: a node or the run.
type Subject struct {
	Realtime map[string]time.Time // variables that run, and since when
	End      time.Time            // zero while it goes on
}

// metricName is what Prometheus takes for a name.
var metricName = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)

// labelName is what Prometheus takes for the name of a label; those that begin with "__" are its own.
var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// ValidName reports whether a metric may be called so.
func ValidName(name string) bool { return metricName.MatchString(name) }

// Resolve are the metrics to report of those that a manifest defines. While their subject goes on they are those in
// real time.
func Resolve(list []v1alpha1.Prometheus, sc scope.Scope, about Subject) []flow.Metric {
	var out []flow.Metric
	for i := range list {
		if about.End.IsZero() && !realtime(list[i]) {
			continue
		}
		m, wanted, err := metricOf(list[i], sc, about)
		if err != nil {
			m, wanted = flow.Metric{Name: list[i].Name, Problem: err.Error()}, true
		}
		if wanted {
			out = append(out, m)
		}
	}
	return out
}

func realtime(p v1alpha1.Prometheus) bool {
	return p.Gauge != nil && p.Gauge.Realtime != nil && *p.Gauge.Realtime
}

// metricOf resolves one metric; false means that its condition does not hold.
func metricOf(p v1alpha1.Prometheus, s scope.Scope, about Subject) (m flow.Metric, wanted bool, err error) {
	condition, err := s.Text(p.When)
	if err == nil {
		wanted, err = expression.Condition(condition)
	}
	if err != nil || !wanted {
		return m, false, err
	}
	head := struct {
		Name, Help string
		Labels     []v1alpha1.MetricLabel
	}{p.Name, p.Help, p.Labels}
	if err := scope.Substitute(&head, s); err != nil {
		return m, false, err
	}
	switch {
	case !ValidName(head.Name):
		return m, false, fmt.Errorf("name %q may hold letters, digits, '_' and ':'", head.Name)
	case head.Help == "":
		return m, false, errors.New("help is missing")
	}
	m = flow.Metric{Name: head.Name, Help: head.Help, Labels: map[string]string{}}
	for _, l := range head.Labels {
		if !labelName.MatchString(l.Key) || strings.HasPrefix(l.Key, "__") {
			return m, false, fmt.Errorf("label %q may hold letters, digits and '_'", l.Key)
		}
		m.Labels[l.Key] = l.Value
	}
	return m, true, fill(&m, p, s, about)
}

// fill gives a metric its kind and value.
func fill(m *flow.Metric, p v1alpha1.Prometheus, s scope.Scope, about Subject) error {
	var text string
	switch {
	case p.Counter != nil:
		m.Kind, text = flow.MetricCounter, p.Counter.Value
	case p.Gauge != nil:
		m.Kind, m.Operation, text = flow.MetricGauge, p.Gauge.Operation, p.Gauge.Value
	case p.Histogram != nil:
		m.Kind, text = flow.MetricHistogram, p.Histogram.Value
		for _, b := range p.Histogram.Buckets {
			bound, err := b.Value.Float64()
			if err != nil {
				return fmt.Errorf("bucket %q is no number", b.Value)
			}
			m.Buckets = append(m.Buckets, bound)
		}
	default:
		return errors.New("one of counter, gauge and histogram is missing")
	}
	if realtime(p) {
		since, ok := about.Realtime[tag.Name(text)]
		if !ok {
			return fmt.Errorf("value %q does not run; {{duration}} and {{workflow.duration}} do", text)
		}
		m.Since, m.Until = since, about.End
		return nil
	}
	text, err := s.Text(text)
	if err != nil {
		return err
	}
	if m.Value, err = strconv.ParseFloat(strings.TrimSpace(text), 64); err != nil {
		return fmt.Errorf("value %q is no number", text)
	}
	if m.Kind == flow.MetricCounter && m.Value < 0 {
		return fmt.Errorf("value %q: a counter does not fall", text)
	}
	return nil
}
