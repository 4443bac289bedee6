package agent

import (
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	syncs     *prometheus.CounterVec
	objects   *prometheus.CounterVec
	checkouts *prometheus.HistogramVec
	events    *prometheus.HistogramVec
	commits   *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		syncs:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "argosy_sync_operations_total", Help: "Operations that ended, by phase."}, []string{"phase"}),
		objects:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "argosy_sync_objects_total", Help: "Objects written, by action and outcome."}, []string{"action", "outcome"}),
		checkouts: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "argosy_sync_checkout_seconds", Help: "Time to resolve and render a source, by outcome."}, []string{"outcome"}),
		events:    prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "argosy_sync_event_seconds", Help: "Time to handle one event, by consumer and error class."}, []string{"consumer", "class"}),
		commits:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "argosy_sync_image_commits_total", Help: "Image updates, by outcome."}, []string{"outcome"}),
	}
	r.MustRegister(m.syncs, m.objects, m.checkouts, m.events, m.commits)
	return m
}

func (m *metrics) observe(consumer string) func(fault.Class, time.Duration) {
	return func(class fault.Class, took time.Duration) {
		m.events.WithLabelValues(consumer, string(class)).Observe(took.Seconds())
	}
}

func (m *metrics) count(outcomes []outcome) {
	for _, o := range outcomes {
		verdict := "ok"
		if o.err != nil {
			verdict = "failed"
		}
		m.objects.WithLabelValues(string(o.item.Action), verdict).Inc()
	}
}
