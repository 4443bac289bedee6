package analysis

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// The defaults of a metric.
const (
	defaultErrorLimit = 4
	defaultRetention  = 10
	// errorPause is the pause after a measurement that could not be made, whatever the interval says.
	errorPause = 10 * time.Second
)

// bounds are the limits of a metric as numbers.
type bounds struct {
	count, failure, inconclusive, consecutiveError, consecutiveSuccess int32
	interval, delay                                                    time.Duration
}

func boundsOf(m v1alpha1.Metric) (b bounds, err error) {
	for _, f := range []struct {
		into     *int32
		value    *intstr.IntOrString
		fallback int32
		name     string
	}{
		{&b.count, m.Count, 0, "count"}, {&b.failure, m.FailureLimit, 0, "failureLimit"},
		{&b.inconclusive, m.InconclusiveLimit, 0, "inconclusiveLimit"},
		{&b.consecutiveError, m.ConsecutiveErrorLimit, defaultErrorLimit, "consecutiveErrorLimit"},
		{&b.consecutiveSuccess, m.ConsecutiveSuccessLimit, 0, "consecutiveSuccessLimit"},
	} {
		if *f.into, err = number(f.value, f.fallback); err != nil {
			return b, fmt.Errorf("metric %q: %s: %w", m.Name, f.name, err)
		}
	}
	if b.interval, err = span(m.Interval); err != nil {
		return b, fmt.Errorf("metric %q: interval: %w", m.Name, err)
	}
	if b.delay, err = span(m.InitialDelay); err != nil {
		return b, fmt.Errorf("metric %q: initialDelay: %w", m.Name, err)
	}
	if m.FailureLimit == nil && b.consecutiveSuccess > 0 {
		// Asked for a row of successes only: single failures do not end it.
		b.failure = -1
	}
	if b.count == 0 && m.Interval == "" && b.consecutiveSuccess == 0 {
		b.count = 1
	}
	return b, nil
}

// number reads a limit; one that still is a placeholder counts as its default.
func number(v *intstr.IntOrString, fallback int32) (int32, error) {
	if v == nil || strings.Contains(v.StrVal, "{{") {
		return fallback, nil
	}
	n, err := strconv.ParseInt(v.String(), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is no whole number", v.String())
	}
	return int32(n), nil
}

func span(d v1alpha1.DurationString) (time.Duration, error) {
	if d == "" || strings.Contains(string(d), "{{") {
		return 0, nil
	}
	length, err := time.ParseDuration(string(d))
	if err != nil {
		return 0, fmt.Errorf("%q is no duration such as 30s or 5m", d)
	}
	return length, nil
}

// validate reports what can be known to be wrong before anything is measured.
func validate(spec v1alpha1.AnalysisRunSpec) error {
	for _, m := range spec.Metrics {
		b, err := boundsOf(m)
		if err != nil {
			return err
		}
		if b.count > 1 && m.Interval == "" {
			return fmt.Errorf("metric %q: an interval is needed for count %d", m.Name, b.count)
		}
	}
	for _, rule := range spec.DryRun {
		if _, err := matching(spec.Metrics, rule.MetricName); err != nil {
			return fmt.Errorf("dryRun: %w", err)
		}
	}
	for _, rule := range spec.MeasurementRetention {
		if _, err := matching(spec.Metrics, rule.MetricName); err != nil {
			return fmt.Errorf("measurementRetention: %w", err)
		}
	}
	return nil
}

// matching returns the names of the metrics that a rule is about.
func matching(metrics []v1alpha1.Metric, rule string) (map[string]bool, error) {
	pattern, err := regexp.Compile(rule)
	if err != nil {
		return nil, fmt.Errorf("%q is no pattern: %w", rule, err)
	}
	names := map[string]bool{}
	for _, m := range metrics {
		if pattern.MatchString(m.Name) {
			names[m.Name] = true
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%q matches no metric name", rule)
	}
	return names, nil
}
