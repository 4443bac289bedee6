package lint

import (
	"fmt"
	"strconv"

	"github.com/argosy-mesh/argosy/libs/flow/metric"
	"github.com/argosy-mesh/argosy/libs/flow/tag"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// metrics looks at what is reported. What is wrong with it keeps nothing from running, so that all of it is a warning.
func (k *linter) metrics(path string, m *v1alpha1.Metrics) {
	if m == nil {
		return
	}
	for i := range m.Prometheus {
		k.metric(fmt.Sprintf("%s.metrics.prometheus[%d]", path, i), m.Prometheus[i])
	}
}

func (k *linter) metric(path string, p v1alpha1.Prometheus) {
	if !tagged(p.Name) && !metric.ValidName(p.Name) {
		k.warnf(path+".name", "%q may hold letters, digits, '_' and ':'", p.Name)
	}
	if p.Help == "" {
		k.warnf(path, "help is missing")
	}
	kinds, value := 0, ""
	if p.Counter != nil {
		kinds, value = kinds+1, p.Counter.Value
	}
	if p.Histogram != nil {
		kinds, value = kinds+1, p.Histogram.Value
		if len(p.Histogram.Buckets) == 0 {
			k.warnf(path+".histogram", "buckets is missing")
		}
	}
	if p.Gauge != nil {
		kinds, value = kinds+1, p.Gauge.Value
		k.gauge(path+".gauge", *p.Gauge)
	}
	if kinds != 1 {
		k.warnf(path, "it must be exactly one of counter, gauge, histogram")
		return
	}
	if _, err := strconv.ParseFloat(value, 64); err != nil && !tagged(value) {
		k.warnf(path, "value %q is no number", value)
	}
}

func (k *linter) gauge(path string, g v1alpha1.Gauge) {
	switch g.Operation {
	case "", "Set", "Add", "Sub":
	default:
		k.warnf(path+".operation", "%q is none of [Set Add Sub]", g.Operation)
	}
	if g.Realtime == nil || !*g.Realtime {
		return
	}
	if g.Operation != "" {
		k.warnf(path+".operation", "has no meaning in real time")
	}
	if tags := tag.List(g.Value); len(tags) != 1 || tags[0] != "duration" && tags[0] != "workflow.duration" {
		k.warnf(path+".value", "%q does not run: {{duration}} and {{workflow.duration}} do", g.Value)
	}
}
