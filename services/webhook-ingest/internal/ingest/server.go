package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/libs/obs"
	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/core"
	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/wal"
	"github.com/prometheus/client_golang/prometheus"
)

// plainText is what answers are, unless they say otherwise.
var plainText = []string{"text/plain; charset=utf-8"}

// healthPath is asked by load balancers. Source: Argo Events, startServer.
const healthPath = "/health"

// server is the front door of all routes.
type server struct {
	routes  *routes
	sink    *sink
	tel     *obs.Telemetry
	client  *http.Client // for registries
	fetch   *fetcher
	limiter *limiter
	answers *prometheus.HistogramVec
	timers  sync.Map // of answerKey to prometheus.Observer
	refused *refusals
}

type answerKey struct{ provider, class string }

// answered notes how long an answer took.
func (s *server) answered(provider, class string, began time.Time) {
	key := answerKey{provider, class}
	timer, ok := s.timers.Load(key)
	if !ok {
		timer, _ = s.timers.LoadOrStore(key, s.answers.WithLabelValues(provider, class))
	}
	timer.(prometheus.Observer).Observe( //nolint:forcetypeassert // nothing else is put there
		time.Since(began).Seconds(),
	)
}

func newServer(r *routes, out *sink, tel *obs.Telemetry) *server {
	s := &server{
		routes:  r,
		sink:    out,
		tel:     tel,
		client:  &http.Client{},
		fetch:   newFetcher(),
		limiter: out.limiter,
		refused: newRefusals(),
		answers: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "argosy_ingest_request_seconds", Help: "Time to answer a hook, by provider and what became of it.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}, []string{"provider", "class"}),
	}
	tel.Registry.MustRegister(s.answers)
	return s
}

// ServeHTTP answers one hook: 2xx only after every event of it is durable.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	route, tail, found := s.routes.find(asked{r.Method, r.Host, r.URL.Path})
	if !found && r.URL.Path == healthPath {
		_, _ = io.WriteString(w, "OK") // as upstream answers on each port
		return
	}
	if !found {
		http.Error(w, "no event source listens on this path", http.StatusNotFound)
		s.answered("none", "unknown_route", began)
		return
	}
	out := s.handle(w, r, route, tail)
	s.answered(route.Provider, out.Class, began)
	if out.Status >= http.StatusBadRequest || out.Class == core.NotUnderstood {
		s.refused.note(route, out.Class)
	}
	if out.Class == core.NotUnderstood {
		s.tel.Log.WarnContext(
			r.Context(), "hook is not understood, no event comes of it", "eventsource",
			route.Namespace+"/"+route.EventSource, "event", route.Event, "kind", route.Provider,
		)
	}
	if out.Status == http.StatusServiceUnavailable || out.Status == http.StatusTooManyRequests {
		// Spread the return of many senders over some seconds.
		w.Header().Set("Retry-After", strconv.Itoa(5+int(began.UnixNano()%10)))
	}
	w.Header()["Content-Type"] = plainText
	for name, value := range out.Header {
		w.Header().Set(name, value)
	}
	if out.Status != http.StatusOK {
		w.WriteHeader(out.Status)
	}
	// Plain text, or what the sender itself asked to have back.
	_, _ = io.WriteString(w, out.Text)
}

func (s *server) handle(w http.ResponseWriter, r *http.Request, route core.Route, tail string) core.Outcome {
	if !s.limiter.allow(route) {
		return core.Outcome{
			Status: http.StatusTooManyRequests, Class: "rate_limited", Text: "too fast; send it again later",
		}
	}
	length := r.ContentLength
	if r.Header.Get("Content-Encoding") != "" {
		length = -1
	}
	leave, ok := s.limiter.enter(length)
	if !ok {
		return core.Outcome{Status: http.StatusServiceUnavailable, Class: "busy", Text: "busy; send it again later"}
	}
	defer leave()
	memory := takeMemory()
	defer memory.give()
	err := memory.readBody(w, r)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return core.Outcome{
			Status: http.StatusRequestEntityTooLarge,
			Class:  "too_large",
			Text:   fmt.Sprintf("the body is over %d bytes", int64(core.MaxBody)),
		}
	case err != nil:
		return core.Outcome{Status: http.StatusBadRequest, Class: "malformed", Text: "the body cannot be read"}
	}
	req := core.Request{
		Method: r.Method, Header: r.Header, Body: memory.body.Bytes(), Tail: tail, Now: time.Now(),
		Room: memory.roomFor(),
	}
	if r.URL.RawQuery != "" {
		req.Query = r.URL.Query()
	}
	return s.decide(r, route, req)
}

func (s *server) decide(r *http.Request, route core.Route, req core.Request) core.Outcome {
	url, err := core.Needs(route, req)
	if err != nil {
		return core.Refusal(err)
	}
	if url != "" {
		if req.Fetched, err = s.fetch.cached(r.Context(), url); err != nil {
			return s.refuse(r, route, err)
		}
	}
	out := core.Decide(route, req)
	for _, item := range out.Items {
		if err := s.publish(r, route, item); err != nil {
			return s.refuse(r, route, err)
		}
	}
	if out.Visit != "" {
		if _, err := s.fetch.get(r.Context(), out.Visit); err != nil {
			return s.refuse(r, route, err)
		}
	}
	return out
}

func (s *server) refuse(r *http.Request, route core.Route, err error) core.Outcome {
	class := "bus_away"
	switch {
	case fault.Of(err) == fault.Poison:
		// Sent again it would be refused again.
		s.tel.Log.WarnContext(
			r.Context(), "hook can never be stored and is refused", "eventsource",
			route.Namespace+"/"+route.EventSource, "event", route.Event, "error", err,
		)
		return core.Outcome{Status: http.StatusUnprocessableEntity, Class: "unstorable", Text: err.Error()}
	case errors.Is(err, bus.ErrFull) || errors.Is(err, wal.ErrFull):
		class = "full"
	}
	s.tel.Log.ErrorContext(
		r.Context(), "hook was not accepted", "eventsource", route.Namespace+"/"+route.EventSource, "event",
		route.Event, "class", class, "error", err,
	)
	return core.Outcome{Status: http.StatusServiceUnavailable, Class: class, Text: "not stored; send it again"}
}

func (s *server) publish(r *http.Request, route core.Route, item core.Item) error {
	cause := lineage.FromMessage(item.Message)
	if item.Image != nil {
		var attached bool
		if cause, attached = enrich(r.Context(), s.client, route, item.Image); attached {
			return nil
		}
	}
	if cause.Trace == "" {
		cause.Trace = item.Trace
	}
	if cause.Trace == "" {
		cause.Trace = r.Header.Get("Traceparent")
	}
	// A sender that hangs up does not take its event back: it is stored, or found out when it is sent again.
	return s.sink.put(context.WithoutCancel(r.Context()), route, item, cause)
}
