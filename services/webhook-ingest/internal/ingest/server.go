package ingest

import (
	"compress/gzip"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/libs/obs"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/core"
	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/wal"
	"github.com/prometheus/client_golang/prometheus"
)

// server is the front door of all routes.
type server struct {
	routes  *routes
	intake  *intake
	tel     *obs.Telemetry
	client  *http.Client // for registries
	answers *prometheus.HistogramVec
}

func newServer(r *routes, i *intake, tel *obs.Telemetry) *server {
	s := &server{routes: r, intake: i, tel: tel, client: &http.Client{}, answers: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "argosy_ingest_request_seconds", Help: "Time to answer a hook, by provider and what became of it.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
	}, []string{"provider", "class"})}
	tel.Registry.MustRegister(s.answers)
	tel.Registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "argosy_ingest_local_log_records", Help: "Events kept locally because the bus is away."},
		func() float64 { return float64(i.wal.Len()) }))
	return s
}

// ServeHTTP answers one hook: 2xx only after every event of it is durable.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	route, found := s.routes.find(r.URL.Path)
	if !found {
		http.Error(w, "no event source listens on this path", http.StatusNotFound)
		s.answers.WithLabelValues("none", "unknown_route").Observe(time.Since(began).Seconds())
		return
	}
	out := s.handle(w, r, route)
	s.answers.WithLabelValues(route.Provider, out.Class).Observe(time.Since(began).Seconds())
	if out.Status == http.StatusServiceUnavailable {
		// Spread the return of many senders over some seconds.
		w.Header().Set("Retry-After", strconv.Itoa(5+int(began.UnixNano()%10)))
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(out.Status)
	fmt.Fprintln(w, out.Text)
}

func (s *server) handle(w http.ResponseWriter, r *http.Request, route core.Route) core.Outcome {
	body, err := readBody(w, r)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return core.Outcome{Status: http.StatusRequestEntityTooLarge, Class: "too_large", Text: fmt.Sprintf("the body is over %d bytes", int64(core.MaxBody))}
	case err != nil:
		return core.Outcome{Status: http.StatusBadRequest, Class: "malformed", Text: "the body cannot be read"}
	}
	out := core.Decide(route, core.Request{Method: r.Method, Header: r.Header, Query: r.URL.Query(), Body: body, Now: time.Now()})
	for _, item := range out.Items {
		if err := s.publish(r, route, item); err != nil {
			return s.refuse(r, route, err)
		}
	}
	return out
}

func (s *server) refuse(r *http.Request, route core.Route, err error) core.Outcome {
	class := "bus_away"
	if errors.Is(err, bus.ErrFull) || errors.Is(err, wal.ErrFull) {
		class = "full"
	}
	s.tel.Log.ErrorContext(r.Context(), "hook was not accepted", "eventsource", route.Namespace+"/"+route.EventSource, "event", route.Event, "class", class, "error", err)
	return core.Outcome{Status: http.StatusServiceUnavailable, Class: class, Text: "not stored; send it again"}
}

// readBody caps what was sent, and what it unpacks to.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	capped := http.MaxBytesReader(w, r.Body, core.MaxBody)
	if !strings.EqualFold(r.Header.Get("Content-Encoding"), "gzip") {
		return io.ReadAll(capped)
	}
	unzipped, err := gzip.NewReader(capped)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(http.MaxBytesReader(w, unzipped, core.MaxBody))
}

func (s *server) publish(r *http.Request, route core.Route, item core.Item) error {
	if item.ID == "" {
		item.ID = rand.Text()
	}
	cause := lineage.FromMessage(item.Message)
	if route.Registry != "" {
		item, cause = enrich(r.Context(), s.client, route, item)
	}
	parent := cause.Trace
	if parent == "" {
		parent = r.Header.Get("Traceparent")
	}
	ctx, span, trace := s.tel.Start(r.Context(), "ingest "+route.Provider, parent)
	defer span.End()
	e, err := bus.NewEvent(item.ID, route.EventSource, item.Type, item.Data)
	if err != nil {
		return err
	}
	e.SetSubject(route.Event)
	e.SetTime(time.Now())
	if cause.Trace == "" {
		cause.Trace = trace
	}
	return s.intake.accept(ctx, events.EventSubject(route.Namespace, route.EventSource, route.Event), bus.WithLineage(e, cause))
}
