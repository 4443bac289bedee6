package meter

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/prometheus/client_golang/prometheus"
)

// metricPrefix begins the names of the metrics of workflows. Source: Argo Workflows.
const metricPrefix = "argo_workflows_"

// seriesLimit bounds how many series manifests may define; the one that was not touched for longest makes way.
const seriesLimit = 10_000

// series are the metrics that manifests define, as they are scraped.
type series struct {
	now func() time.Time
	// owns reports whether a run is still this replica's: what runs on is told by one replica only.
	owns func(workflow string) bool
	// taken are the names of other metrics, with their kinds: one name in two places would spoil the whole page.
	taken map[string]flow.MetricKind

	mu       sync.Mutex
	families map[string]family
	known    map[string]*serie
}

// family is what all series of a name have in common: Prometheus takes no two ways of saying it.
type family struct {
	help string
	kind flow.MetricKind
}

// serie is one metric with one set of labels.
type serie struct {
	name     string
	labels   prometheus.Labels
	workflow string // namespace/name, whose run touched it last
	value    float64
	since    time.Time // of a gauge that runs
	until    time.Time
	buckets  map[float64]uint64 // of a histogram: how many values were not over each bound
	count    uint64
	touched  time.Time
}

func newSeries(now func() time.Time, owns func(string) bool) *series {
	return &series{now: now, owns: owns, taken: ownNames(), families: map[string]family{}, known: map[string]*serie{}}
}

// take adds one value. What does not fit to what is known of its name is an error.
func (s *series) take(workflow string, m flow.Metric) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f, ok := s.families[m.Name]; ok && (f.help != m.Help || f.kind != m.Kind) {
		return fmt.Errorf("metric %s: it is known as a %s with the help %q", m.Name, f.kind, f.help)
	}
	if s.collides(m.Name, m.Kind) {
		return fmt.Errorf("metric %s: the name is taken by another metric", m.Name)
	}
	if _, err := prometheus.NewConstMetric(describe(m.Name, m.Help, m.Labels), prometheus.GaugeValue, 0); err != nil {
		return fmt.Errorf("metric %s: %w", m.Name, err)
	}
	key := keyOf(m)
	one := s.known[key]
	if one == nil {
		s.makeRoom()
		one = &serie{name: m.Name, labels: m.Labels, buckets: map[float64]uint64{}}
		s.known[key] = one
	}
	s.families[m.Name] = family{help: m.Help, kind: m.Kind}
	one.workflow, one.touched = workflow, s.now()
	one.take(m)
	return nil
}

// histogramSuffixes are what the series of a histogram add to its name.
var histogramSuffixes = []string{"_bucket", "_sum", "_count"}

// collides reports whether a name, or one that follows from it, is that of another metric.
func (s *series) collides(name string, kind flow.MetricKind) bool {
	if _, is := s.taken[name]; is {
		return true
	}
	for _, suffix := range histogramSuffixes {
		if base, cut := strings.CutSuffix(name, suffix); cut &&
			(s.taken[base] == flow.MetricHistogram || s.families[base].kind == flow.MetricHistogram) {
			return true
		}
		if kind != flow.MetricHistogram {
			continue
		}
		_, ours := s.families[name+suffix]
		if _, theirs := s.taken[name+suffix]; ours || theirs {
			return true
		}
	}
	return false
}

func (s *serie) take(m flow.Metric) {
	switch {
	case !m.Since.IsZero():
		s.since, s.until = m.Since, m.Until
	case m.Kind == flow.MetricCounter, m.Operation == "Add":
		s.value += m.Value
	case m.Operation == "Sub":
		s.value -= m.Value
	case m.Kind == flow.MetricHistogram:
		s.value += m.Value
		s.count++
		for _, bound := range m.Buckets {
			if s.buckets[bound] += 0; m.Value <= bound {
				s.buckets[bound]++
			}
		}
	default:
		s.value = m.Value
	}
}

// makeRoom drops the series that was not touched for longest when there are too many.
func (s *series) makeRoom() {
	if len(s.known) < seriesLimit {
		return
	}
	oldest := ""
	for key, one := range s.known {
		if oldest == "" || one.touched.Before(s.known[oldest].touched) {
			oldest = key
		}
	}
	name := s.known[oldest].name
	delete(s.known, oldest)
	for _, one := range s.known {
		if one.name == name {
			return
		}
	}
	delete(s.families, name)
}

func keyOf(m flow.Metric) string {
	var b strings.Builder
	b.WriteString(m.Name)
	for _, name := range slices.Sorted(maps.Keys(m.Labels)) {
		fmt.Fprintf(&b, "\x00%s\x00%s", name, m.Labels[name])
	}
	return b.String()
}

func describe(name, help string, labels prometheus.Labels) *prometheus.Desc {
	return prometheus.NewDesc(metricPrefix+name, help, nil, labels)
}

// Describe says nothing: what there is, manifests say later.
func (s *series) Describe(chan<- *prometheus.Desc) {}

// Collect gives the values as they are now.
func (s *series) Collect(out chan<- prometheus.Metric) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.known {
		f := s.families[one.name]
		desc, value := describe(one.name, f.help, one.labels), one.value
		if !one.since.IsZero() {
			until := one.until
			if until.IsZero() {
				if !s.owns(one.workflow) {
					continue
				}
				until = s.now()
			}
			value = until.Sub(one.since).Seconds()
		}
		switch f.kind {
		case flow.MetricHistogram:
			out <- prometheus.MustNewConstHistogram(desc, one.count, value, one.buckets)
		case flow.MetricCounter:
			out <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, value)
		default:
			out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value)
		}
	}
}
