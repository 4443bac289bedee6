package flow

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow/expression"
	"github.com/argosy-mesh/argosy/libs/flow/tag"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// MetricKind is a kind of metric of Prometheus.
type MetricKind string

// The kinds of metrics that manifests define.
const (
	MetricCounter   MetricKind = "counter"
	MetricGauge     MetricKind = "gauge"
	MetricHistogram MetricKind = "histogram"
)

// Metric is one value to report for a manifest's metrics.
type Metric struct {
	Name      string // without the prefix that all have
	Help      string
	Labels    map[string]string
	Kind      MetricKind
	Operation string // of a gauge: Set, Add or Sub; empty is Set
	Value     float64
	Buckets   []float64 // of a histogram
	// Since makes a gauge whose value is the time since then in seconds, until Until when that is set.
	Since, Until time.Time
	// Problem says why there is no value; then only Name is set.
	Problem string
}

// metricName is what Prometheus takes for a name.
var metricName = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)

// labelName is what Prometheus takes for the name of a label; those that begin with "__" are its own.
var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// ValidMetricName reports whether a metric may be called so.
func ValidMetricName(name string) bool { return metricName.MatchString(name) }

// subject is what a metric is about: a node or the run.
type subject struct {
	realtime map[string]time.Time // variables that run, and since when
	end      time.Time            // zero while it goes on
}

// measureNode reports the metrics of a template for its node: those in real time when it begins, all when it has ended.
func (k *engine) measureNode(t v1alpha1.Template, sc scope, n v1alpha1.NodeStatus, begins bool) {
	if t.Metrics == nil || n.ID == "" || n.StartedAt == nil || !begins && !n.Phase.Fulfilled() {
		return
	}
	about := subject{realtime: map[string]time.Time{"duration": n.StartedAt.Time, "workflow.duration": k.w.Run.StartedAt}}
	last := k.w.Now
	if n.Phase.Fulfilled() {
		if n.FinishedAt != nil {
			last = n.FinishedAt.Time
		}
		about.end = last
	}
	values := map[string]string{"status": string(n.Phase), "duration": seconds(last.Sub(n.StartedAt.Time)), "exitCode": "0"}
	if n.Type == v1alpha1.NodeTypeRetry {
		values["retries"] = strconv.Itoa(max(len(n.Children)-1, 0))
	}
	maps.Copy(values, k.resourceValues(*t.Metrics, n.ID))
	if out := n.Outputs; out != nil {
		if out.ExitCode != nil {
			values["exitCode"] = *out.ExitCode
		}
		if out.Result != nil {
			values["outputs.result"] = *out.Result
		}
		for _, p := range out.Parameters {
			if p.Value != nil {
				values["outputs.parameters."+p.Name] = p.Value.String()
			}
		}
	}
	k.measure(t.Metrics.Prometheus, sc.with(values), about)
}

// measureRetry reports the metrics of a template for the node that holds its attempts. Source: Argo Workflows reports
// them for each attempt, and for all of them.
func (k *engine) measureRetry(c call, t v1alpha1.Template, n v1alpha1.NodeStatus) {
	if t.Metrics == nil || !n.Phase.Fulfilled() {
		return
	}
	if sc, _, err := k.inputs(c, t); err == nil {
		k.measureNode(t, sc, k.nodes[n.ID], false)
	}
}

// measureRun reports the metrics of the workflow: those in real time when it begins, all when it has ended.
func (k *engine) measureRun(change *RunChange) {
	if k.w.Spec.Metrics == nil || k.globals.values == nil || change.StartedAt == nil && change.FinishedAt == nil {
		return
	}
	about := subject{realtime: map[string]time.Time{"workflow.duration": k.w.Run.StartedAt}}
	if change.FinishedAt != nil {
		about.end = *change.FinishedAt
	}
	took := seconds(k.w.Now.Sub(k.w.Run.StartedAt))
	values := map[string]string{"workflow.status": string(change.Phase), "status": string(change.Phase), "workflow.duration": took, "duration": took}
	maps.Copy(values, k.resourceValues(*k.w.Spec.Metrics, k.id(k.w.Name)))
	sc := k.globals.inner(values)
	k.measure(k.w.Spec.Metrics.Prometheus, sc, about)
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }

func (k *engine) measure(list []v1alpha1.Prometheus, sc scope, about subject) {
	for i := range list {
		if about.end.IsZero() && !realtime(list[i]) {
			continue
		}
		m, wanted, err := sc.metric(list[i], about)
		if err != nil {
			m, wanted = Metric{Name: list[i].Name, Problem: err.Error()}, true
		}
		if wanted {
			k.metrics = append(k.metrics, m)
		}
	}
}

func realtime(p v1alpha1.Prometheus) bool {
	return p.Gauge != nil && p.Gauge.Realtime != nil && *p.Gauge.Realtime
}

// metric resolves one metric; false means that its condition does not hold.
func (s scope) metric(p v1alpha1.Prometheus, about subject) (m Metric, wanted bool, err error) {
	condition, err := s.text(p.When)
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
	if err := substitute(&head, s); err != nil {
		return m, false, err
	}
	switch {
	case !ValidMetricName(head.Name):
		return m, false, fmt.Errorf("name %q may hold letters, digits, '_' and ':'", head.Name)
	case head.Help == "":
		return m, false, errors.New("help is missing")
	}
	m = Metric{Name: head.Name, Help: head.Help, Labels: map[string]string{}}
	for _, l := range head.Labels {
		if !labelName.MatchString(l.Key) || strings.HasPrefix(l.Key, "__") {
			return m, false, fmt.Errorf("label %q may hold letters, digits and '_'", l.Key)
		}
		m.Labels[l.Key] = l.Value
	}
	return m, true, s.fill(&m, p, about)
}

// fill gives a metric its kind and value.
func (s scope) fill(m *Metric, p v1alpha1.Prometheus, about subject) error {
	var text string
	switch {
	case p.Counter != nil:
		m.Kind, text = MetricCounter, p.Counter.Value
	case p.Gauge != nil:
		m.Kind, m.Operation, text = MetricGauge, p.Gauge.Operation, p.Gauge.Value
	case p.Histogram != nil:
		m.Kind, text = MetricHistogram, p.Histogram.Value
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
		since, ok := about.realtime[tag.Name(text)]
		if !ok {
			return fmt.Errorf("value %q does not run; {{duration}} and {{workflow.duration}} do", text)
		}
		m.Since, m.Until = since, about.end
		return nil
	}
	text, err := s.text(text)
	if err != nil {
		return err
	}
	if m.Value, err = strconv.ParseFloat(strings.TrimSpace(text), 64); err != nil {
		return fmt.Errorf("value %q is no number", text)
	}
	if m.Kind == MetricCounter && m.Value < 0 {
		return fmt.Errorf("value %q: a counter does not fall", text)
	}
	return nil
}
