package ingest

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/libs/obs"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/core"
	"github.com/prometheus/client_golang/prometheus"
)

// sink makes an event of what came in, from a hook or from a source that is read,
// and hands it to the intake.
type sink struct {
	intake  *intake
	limiter *limiter
	tel     *obs.Telemetry

	// The names are those of Argo Events, for the dashboards that people have.
	sent, sendFailed, failed *prometheus.CounterVec
	took                     *prometheus.SummaryVec
	dropped                  *prometheus.CounterVec

	mu     sync.RWMutex
	meters map[meterKey]*meters
}

// meters are the metrics of one event, found once: looking them up takes as long as much else of a hook.
type meters struct {
	sent, sendFailed, failed, dropped prometheus.Counter
	took                              prometheus.Observer
}

type meterKey struct{ namespace, eventSource, event string }

func (s *sink) metersOf(route core.Route) *meters {
	key := meterKey{route.Namespace, route.EventSource, route.Event}
	s.mu.RLock()
	m := s.meters[key]
	s.mu.RUnlock()
	if m != nil {
		return m
	}
	labels := []string{route.Namespace, route.EventSource, route.Event}
	m = &meters{
		sent: s.sent.WithLabelValues(
			labels...),
		sendFailed: s.sendFailed.WithLabelValues(labels...),
		failed:     s.failed.WithLabelValues(labels...),
		dropped:    s.dropped.WithLabelValues(labels...),
		took:       s.took.WithLabelValues(labels...),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.meters[key] = m
	return m
}

func newSink(in *intake, tel *obs.Telemetry) *sink {
	labels := []string{"namespace", "eventsource_name", "event_name"}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	s := &sink{
		intake:  in,
		limiter: newLimiter(),
		tel:     tel,
		meters:  map[meterKey]*meters{},
		sent:    counter("argo_events_events_sent_total", "Events made durable.", labels...),
		sendFailed: counter(
			"argo_events_events_sent_failed_total",
			"Events that could not be made durable; their sender tries again.",
			labels...),
		failed: counter(
			"argo_events_events_processing_failed_total",
			"Events whose filter could not be evaluated.",
			labels...),
		took: prometheus.NewSummaryVec(prometheus.SummaryOpts{
			Name:       "argo_events_event_processing_duration_milliseconds",
			Help:       "Time from the arrival of an event until it is durable.",
			Objectives: map[float64]float64{0.5: 0.05, 0.9: 0.01, 0.99: 0.001},
		}, labels),
		dropped: counter("argosy_ingest_filtered_total", "Events that a filter dropped.", labels...),
	}
	tel.Registry.MustRegister(s.sent, s.sendFailed, s.failed, s.took, s.dropped)
	tel.Registry.MustRegister(
		prometheus.NewGaugeFunc(
			prometheus.GaugeOpts{
				Name: "argosy_ingest_local_log_records", Help: "Events kept locally because the bus is away.",
			},
			func() float64 { return float64(in.wal.Len()) },
		),
	)
	tel.Registry.MustRegister(
		prometheus.NewGaugeFunc(
			prometheus.GaugeOpts{
				Name: "argosy_ingest_deliveries_known",
				Help: "Deliveries that are recognised when they come again.",
			},
			func() float64 { return float64(in.seen.len()) },
		),
	)
	tel.Registry.MustRegister(
		prometheus.NewGaugeFunc(
			prometheus.GaugeOpts{
				Name: "argosy_ingest_local_log_head_age_seconds",
				Help: "How long the oldest event of the local log has been waiting for the bus.",
			},
			func() float64 { return in.headAge().Seconds() },
		),
	)
	tel.Registry.MustRegister(
		prometheus.NewGaugeFunc(
			prometheus.GaugeOpts{
				Name: "argosy_ingest_set_aside_events",
				Help: "Events that can never be stored on the bus and are kept in the folder set-aside of the local log.",
			},
			func() float64 { return float64(in.set.len()) },
		),
	)
	return s
}

// put returns when the event of an item is durable, or when the filter of its
// route does not want it. An item without an id gets one.
func (s *sink) put(ctx context.Context, route core.Route, item core.Item, cause lineage.Lineage) error {
	began := time.Now()
	data := []byte(item.Data)
	if item.Image != nil {
		e, err := bus.NewEvent("-", "-", item.Type, item.Image)
		if err != nil {
			return err
		}
		data = e.Data()
	}
	meters := s.metersOf(route)
	if keep, err := kept(route.Filter, data); !keep {
		// As upstream: an expression that cannot be evaluated wants nothing.
		if err != nil {
			meters.failed.Inc()
			s.tel.Log.WarnContext(
				ctx, "filter could not be evaluated, event is dropped", "eventsource",
				route.Namespace+"/"+route.EventSource, "event", route.Event, "event_id", item.ID, "error", err,
			)
		}
		meters.dropped.Inc()
		return nil
	}
	ctx, span, trace := s.tel.Start(ctx, "ingest "+route.Provider, cause.Trace)
	defer span.End()
	if cause.Trace == "" {
		cause.Trace = trace
	}
	subject, e := subjectOf(route), bus.WithLineage(envelope(route, item, data), bounded(cause))
	err := s.intake.accept(ctx, subject, e)
	if fault.Of(err) == fault.Poison && item.Read {
		s.intake.keepAside(ctx, subject, e, err)
		return nil
	}
	if err != nil {
		meters.sendFailed.Inc()
		return err
	}
	meters.sent.Inc()
	meters.took.Observe(float64(time.Since(began).Microseconds()) / 1000)
	return nil
}

func subjectOf(route core.Route) string {
	return events.EventSubject(route.Namespace, route.EventSource, route.Event)
}

func kept(f core.Filter, data []byte) (bool, error) {
	if f == nil {
		return true, nil
	}
	return f.Keep(data)
}

// envelope has the envelope that Sensors know. Source: Argo Events: source is the
// EventSource, subject the event, type the bare kind. The data is JSON already and
// is not encoded again.
func envelope(route core.Route, item core.Item, data []byte) bus.Event {
	if item.ID == "" {
		item.ID = rand.Text()
	}
	item.ID = plainID(item.ID)
	var e bus.Event
	e.SetSpecVersion("1.0")
	e.SetID(item.ID)
	e.SetSource(route.EventSource)
	e.SetType(item.Type)
	e.SetSubject(route.Event)
	e.SetTime(time.Now())
	e.SetDataContentType("application/json")
	e.DataEncoded = data
	if item.Pushed != nil {
		for name, value := range item.Pushed.Attributes() {
			e.SetExtension(name, value)
		}
	}
	return e
}
