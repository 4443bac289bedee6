package flow

import "time"

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
