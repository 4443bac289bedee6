package application

import (
	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	syncs     *prometheus.CounterVec
	objects   *prometheus.CounterVec
	checkouts *prometheus.HistogramVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		syncs: prometheus.NewCounterVec(
			prometheus.CounterOpts{Name: "argosy_sync_operations_total", Help: "Operations that ended, by phase."},
			[]string{"phase"},
		),
		objects: prometheus.NewCounterVec(
			prometheus.CounterOpts{Name: "argosy_sync_objects_total", Help: "Objects written, by action and outcome."},
			[]string{"action", "outcome"},
		),
		checkouts: prometheus.NewHistogramVec(
			prometheus.HistogramOpts{
				Name: "argosy_sync_checkout_seconds", Help: "Time to resolve and render a source, by outcome.",
			},
			[]string{"outcome"},
		),
	}
	r.MustRegister(m.syncs, m.objects, m.checkouts)
	return m
}

func (m *metrics) count(outcomes []outcome) {
	for _, o := range outcomes {
		verdict := "ok"
		if o.err != nil {
			verdict = "failed"
		}
		m.objects.WithLabelValues(string(o.task.Action), verdict).Inc()
	}
}
