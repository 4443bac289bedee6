package sensor

import (
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/prometheus/client_golang/prometheus"
)

// metrics are our own, and those that dashboards of Argo Events ask for, with the
// same names and labels.
type metrics struct {
	events   *prometheus.HistogramVec
	rejected *prometheus.CounterVec
	fired    *prometheus.CounterVec
	queued   *prometheus.CounterVec

	actions  *prometheus.CounterVec
	failures *prometheus.CounterVec
	gaveUp   *prometheus.CounterVec
	duration *prometheus.SummaryVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	own := []string{"namespace", "sensor", "trigger"}
	theirs := []string{"namespace", "sensor_name", "trigger_name"}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		events: prometheus.NewHistogramVec(
			prometheus.HistogramOpts{
				Name: "argosy_sensor_event_seconds", Help: "Time to handle one event, by error class.",
			},
			[]string{"namespace", "sensor", "class"},
		),
		rejected: counter(
			"argosy_sensor_events_rejected_total", "Events that a filter rejected, by filter.", "namespace", "sensor",
			"filter",
		),
		fired: counter(
			"argosy_sensor_triggers_total",
			"Triggers that fired, by error class.",
			append(own, "class")...),
		queued:   counter("argosy_sensor_firings_queued_total", "Firings that were put on the work queue.", own...),
		actions:  counter("argo_events_action_triggered_total", "Actions that were triggered.", theirs...),
		failures: counter("argo_events_action_failed_total", "Actions that failed.", theirs...),
		gaveUp: counter(
			"argo_events_action_retries_failed_total",
			"Actions that failed after all retries.",
			theirs...),
		duration: prometheus.NewSummaryVec(
			prometheus.SummaryOpts{Name: "argo_events_action_duration_milliseconds", Help: "Time of an action.",
				Objectives: map[float64]float64{0.5: 0.05, 0.9: 0.01, 0.99: 0.001}},
			theirs,
		),
	}
	r.MustRegister(m.events, m.rejected, m.fired, m.queued, m.actions, m.failures, m.gaveUp, m.duration)
	return m
}

// performed counts one attempt at an effect.
func (m *metrics) performed(s *v1alpha1.Sensor, trigger string, err error, took time.Duration) {
	m.fired.WithLabelValues(s.Namespace, s.Name, trigger, string(fault.Of(err))).Inc()
	m.actions.WithLabelValues(s.Namespace, s.Name, trigger).Inc()
	m.duration.WithLabelValues(s.Namespace, s.Name, trigger).Observe(float64(took) / float64(time.Millisecond))
	if err != nil {
		m.failures.WithLabelValues(s.Namespace, s.Name, trigger).Inc()
	}
}
