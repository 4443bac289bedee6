package analysis

import (
	"errors"
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
	// maxRetention bounds what one metric may add to an object of at most 1.5 MB.
	maxRetention = 500
	// errorPause is the pause after a measurement that could not be made, whatever the interval says.
	errorPause = 10 * time.Second
	// unlimited switches failureLimit and inconclusiveLimit off.
	unlimited = -1
)

// bounds are the limits of a metric as numbers.
type bounds struct {
	count, failure, inconclusive, consecutiveError, consecutiveSuccess int32
	interval, delay                                                    time.Duration
	// endless says that nothing but a verdict or a person ends the metric.
	endless bool
}

// values are the arguments of a run that are plain text, by name. A nil map stands for arguments that are not known
// yet: a limit that is one counts as its default then.
type values = map[string]string

func boundsOf(m v1alpha1.Metric, known values) (b bounds, err error) {
	for _, f := range []struct {
		into     *int32
		value    *intstr.IntOrString
		fallback int32
		least    int32
		name     string
	}{
		{&b.count, m.Count, 0, 0, "count"},
		{&b.failure, m.FailureLimit, 0, unlimited, "failureLimit"},
		{&b.inconclusive, m.InconclusiveLimit, 0, unlimited, "inconclusiveLimit"},
		{&b.consecutiveError, m.ConsecutiveErrorLimit, defaultErrorLimit, 0, "consecutiveErrorLimit"},
		{&b.consecutiveSuccess, m.ConsecutiveSuccessLimit, 0, 0, "consecutiveSuccessLimit"},
	} {
		if *f.into, err = number(f.value, f.fallback, known); err != nil {
			return b, fmt.Errorf("metric %q: %s: %w", m.Name, f.name, err)
		}
		if *f.into < f.least {
			return b, fmt.Errorf("metric %q: %s: %d is less than %d", m.Name, f.name, *f.into, f.least)
		}
	}
	if b.interval, err = length(m.Interval, known); err != nil {
		return b, fmt.Errorf("metric %q: interval: %w", m.Name, err)
	}
	if b.delay, err = length(m.InitialDelay, known); err != nil {
		return b, fmt.Errorf("metric %q: initialDelay: %w", m.Name, err)
	}
	if b.count == 0 && m.Interval == "" {
		b.count = 1
	}
	if b.count > 1 && m.Interval == "" {
		return b, fmt.Errorf("metric %q: an interval is needed for count %d", m.Name, b.count)
	}
	b.endless = b.count == 0 && b.consecutiveSuccess == 0
	return b, nil
}

// number reads a limit.
func number(v *intstr.IntOrString, fallback int32, known values) (int32, error) {
	if v == nil {
		return fallback, nil
	}
	text, is, err := filled(v.String(), known)
	if err != nil || !is {
		return fallback, err
	}
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is no whole number", text)
	}
	return int32(n), nil
}

func length(d v1alpha1.DurationString, known values) (time.Duration, error) {
	if d == "" {
		return 0, nil
	}
	text, is, err := filled(string(d), known)
	if err != nil || !is {
		return 0, err
	}
	out, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("%q is no duration such as 30s or 5m", text)
	}
	if out < 0 {
		return 0, fmt.Errorf("%q is negative", text)
	}
	return out, nil
}

// filled puts arguments into the text of a limit; false means that they are not known yet.
func filled(text string, known values) (out string, is bool, err error) {
	if !strings.Contains(text, "{{") {
		return text, true, nil
	}
	if known == nil {
		return "", false, nil
	}
	if out, err = Expand(text, known); err != nil {
		return "", false, err
	}
	return out, true, nil
}

// plainValues are the arguments of a run that have a value, by the names that placeholders have for them.
func plainValues(args []v1alpha1.Argument) values {
	out := values{}
	for _, a := range args {
		if a.Value != nil {
			out["args."+a.Name] = a.Value.String()
		}
	}
	return out
}

// validate reports what can be known to be wrong before anything is measured.
func validate(spec v1alpha1.AnalysisRunSpec) error {
	if len(spec.Metrics) == 0 {
		return errors.New("no metrics are given")
	}
	known, names := plainValues(spec.Args), map[string]bool{}
	for i, m := range spec.Metrics {
		if names[m.Name] {
			return fmt.Errorf("two metrics have the name %q", m.Name)
		}
		names[m.Name] = true
		if n := len(Providers(m.Provider)); n != 1 {
			return fmt.Errorf("metrics[%d] %q: exactly one provider must be given, not %d", i, m.Name, n)
		}
		if _, err := boundsOf(m, known); err != nil {
			return err
		}
	}
	return rulesMatch(spec.Metrics, spec.DryRun, spec.MeasurementRetention)
}

// rulesMatch reports a rule that is no pattern or that no metric matches.
func rulesMatch(metrics []v1alpha1.Metric, dry []v1alpha1.DryRun, keep []v1alpha1.MeasurementRetention) error {
	for i, rule := range dry {
		if _, err := matching(metrics, rule.MetricName); err != nil {
			return fmt.Errorf("dryRun[%d]: %w", i, err)
		}
	}
	for i, rule := range keep {
		if _, err := matching(metrics, rule.MetricName); err != nil {
			return fmt.Errorf("measurementRetention[%d]: %w", i, err)
		}
	}
	return nil
}

// matching returns the names of the metrics that a rule is about: an unanchored pattern, so that "*" is none.
func matching(metrics []v1alpha1.Metric, rule string) (map[string]bool, error) {
	names := map[string]bool{}
	pattern, err := regexp.Compile(rule)
	if err == nil {
		for _, m := range metrics {
			if pattern.MatchString(m.Name) {
				names[m.Name] = true
			}
		}
	}
	if len(names) == 0 {
		//nolint:staticcheck // upstream's words
		return nil, fmt.Errorf("Rule didn't match any metric name(s): %q", rule)
	}
	return names, nil
}
