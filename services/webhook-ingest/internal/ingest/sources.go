package ingest

import (
	"context"
	"encoding/json"
	"errors"
	controller "github.com/argosy-mesh/argosy/services/webhook-ingest/internal/controller/eventsource"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/libs/eventsource"
	"github.com/argosy-mesh/argosy/libs/identity"
	"github.com/argosy-mesh/argosy/libs/kube/actas"
	"github.com/argosy-mesh/argosy/libs/kube/secret"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/core"
	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/pull"
	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/remote"
	"github.com/prometheus/client_golang/prometheus"
)

// The rest between attempts to read a source that broke.
const (
	firstPause = time.Second
	longPause  = time.Minute
	// stableAfter is how long a source must have run for the pause to start over.
	stableAfter = time.Minute
)

// sources runs the readers of all EventSources, or the keepers of their hooks. It
// owns their goroutines.
type sources struct {
	kinds    map[string]func(*v1alpha1.EventSourceSpec) map[string]pull.Reader
	topic    string // of the conditions: "Event" or "Hook"
	sink     *sink
	secrets  *secret.Reader
	own      identity.Own
	accounts *actas.Accounts
	owns     func(key string) bool
	changed  func(key string) // an EventSource whose status may say something new
	running  *prometheus.GaugeVec

	mu   sync.Mutex
	ctx  context.Context //nolint:containedctx // it lives as long as the process; readers are started by reconciles, which end
	byES map[string]map[string]*reading
	last map[string]*reading // by EventSource and event, the newest one until it has ended: the next waits for it
	busy sync.WaitGroup
}

// reading is one source that is read, or that another replica reads.
type reading struct {
	declared  string // its part of the manifest
	elsewhere bool
	finish    func(context.Context) // undoes what it left at others; may be nil
	cancel    context.CancelFunc
	done      chan struct{}

	mu    sync.Mutex
	state controller.State
}

// newSources runs what is read.
func newSources(out *sink, secrets *secret.Reader, accounts *actas.Accounts, owns func(string) bool) *sources {
	s := &sources{
		kinds:    pull.Kinds,
		topic:    controller.AboutEvents,
		sink:     out,
		secrets:  secrets,
		accounts: accounts,
		owns:     owns,
		changed:  func(string) {},
		byES:     map[string]map[string]*reading{},
		last:     map[string]*reading{},
		ctx:      context.Background(),
		running: prometheus.NewGaugeVec(
			prometheus.GaugeOpts{
				Name: "argo_events_event_service_running_total",
				Help: "Events of an EventSource that are read by this replica.",
			},
			[]string{"namespace", "eventsource_name"},
		),
	}
	out.tel.Registry.MustRegister(s.running)
	return s
}

// newHooks keeps hooks at those who send them.
func newHooks(out *sink, secrets *secret.Reader, owns func(string) bool) *sources {
	s := &sources{
		kinds:   remote.Kinds,
		topic:   controller.AboutHooks,
		sink:    out,
		secrets: secrets,
		owns:    owns,
		changed: func(string) {},
		byES:    map[string]map[string]*reading{},
		last:    map[string]*reading{},
		ctx:     context.Background(),
		running: prometheus.NewGaugeVec(
			prometheus.GaugeOpts{
				Name: "argosy_ingest_hooks_kept",
				Help: "Events of an EventSource whose hooks this replica keeps at their sender.",
			},
			[]string{"namespace", "eventsource_name"},
		),
	}
	out.tel.Registry.MustRegister(s.running)
	return s
}

// run lets readers work until ctx ends, then waits for them.
func (s *sources) run(ctx context.Context) error {
	<-ctx.Done()
	s.mu.Lock()
	for _, readings := range s.byES {
		for _, r := range readings {
			r.cancel()
		}
	}
	s.mu.Unlock()
	s.busy.Wait()
	return nil
}

// Set starts and stops readers until they are those that an EventSource declares,
// and returns how they are. It waits for none of them: a slow broker holds nobody else.
func (s *sources) Set(_ context.Context, es *v1alpha1.EventSource) []controller.State {
	key := es.Namespace + "/" + es.Name
	wanted, kinds := map[string]pull.Reader{}, map[string]string{}
	declared := map[string]string{}
	for _, kind := range slices.Sorted(maps.Keys(s.kinds)) {
		for event, reader := range s.kinds[kind](&es.Spec) {
			wanted[event], kinds[event] = reader, kind
			declared[event] = part(es, kind, event)
		}
	}
	refused := eventsource.Refusals(eventsource.Check(es))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byES[key] == nil {
		s.byES[key] = map[string]*reading{}
	}
	readings, owner := s.byES[key], s.owns(key)
	for event, r := range readings {
		elsewhere := !owner && !wanted[event].AllReplicas
		if declared[event] != r.declared || elsewhere != r.elsewhere {
			r.cancel()
			delete(readings, event)
		}
		if _, still := wanted[event]; !still && owner {
			s.finish( //nolint:contextcheck // what is undone at the other side must not be cut short with the reconcile
				r,
			)
		}
	}
	var states []controller.State
	for _, event := range slices.Sorted(maps.Keys(wanted)) {
		if readings[event] == nil {
			route := core.Route{
				Namespace: es.Namespace, EventSource: es.Name, Event: event, Provider: kinds[event],
				Account: accountOf(es),
			}
			perSecond, burst := core.RateOf(es.Spec.RateLimit)
			route.Rate, route.Burst = slower(perSecond, burst, wanted[event].Limit)
			reader := wanted[event]
			if why := refused[event]; why != "" && s.topic == controller.AboutEvents {
				reader = pull.Reader{AllReplicas: reader.AllReplicas, Run: never(why)}
			}
			readings[event] = s.start( //nolint:contextcheck // a reader outlives the reconcile that starts it
				route, reader, declared[event], !owner && !reader.AllReplicas,
			)
		}
		states = append(states, readings[event].look())
	}
	s.count(es.Namespace, es.Name, readings)
	return states
}

// refusedError marks what only another manifest can help.
type refusedError struct{ why string }

func (e *refusedError) Error() string { return e.why }

// never reads nothing: the manifest cannot be served.
func never(why string) pull.Run {
	return func(context.Context, pull.Env, pull.Emit) error { return &refusedError{why} }
}

// slower returns the lower of a rate and a limit for each second, of which 0 means
// none, and how many may come at once.
func slower(perSecond float64, burst int, limit float64) (rate float64, atOnce int) {
	if perSecond == 0 || limit > 0 && limit < perSecond {
		return limit, max(1, int(limit))
	}
	return perSecond, burst
}

func (s *sources) count(namespace, name string, readings map[string]*reading) {
	if len(readings) == 0 {
		s.running.DeleteLabelValues(namespace, name)
		return
	}
	n := 0
	for _, r := range readings {
		if !r.elsewhere {
			n++
		}
	}
	s.running.WithLabelValues(namespace, name).Set(float64(n))
}

// Halt stops all readers of an EventSource that cannot be read just now.
func (s *sources) Halt(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.byES[key] {
		r.cancel()
	}
	delete(s.byES, key)
}

// Remove stops all readers of an EventSource that is gone.
func (s *sources) Remove(key string) {
	s.mu.Lock()
	gone := slices.Collect(maps.Values(s.byES[key]))
	s.mu.Unlock()
	s.Halt(key)
	for _, r := range gone {
		s.finish(r)
	}
}

// finishTime bounds the removal of what an event left at others.
const finishTime = time.Minute

// finish lets an event that is gone undo what it left at others.
func (s *sources) finish(r *reading) {
	if r.finish == nil {
		return
	}
	s.busy.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), finishTime)
		defer cancel()
		select {
		case <-r.done:
		case <-ctx.Done():
		}
		r.finish(ctx)
	})
}

// part is the text of one event in the manifest: a reader starts over when it
// changes.
func part(es *v1alpha1.EventSource, kind, event string) string {
	var spec map[string]json.RawMessage
	var kinds map[string]json.RawMessage
	text, err := json.Marshal(es.Spec)
	if err != nil || json.Unmarshal(text, &spec) != nil || json.Unmarshal(spec[kind], &kinds) != nil {
		return kind
	}
	return kind + string(kinds[event]) + string(spec["rateLimit"]) + accountOf(es)
}

// accountOf is the service account of an EventSource, "" for the default one of its namespace. Source: Argo Events,
// whose pods run as it.
func accountOf(es *v1alpha1.EventSource) string {
	if es.Spec.Template == nil {
		return ""
	}
	return es.Spec.Template.ServiceAccountName
}

// start begins a reader once the one before it of the same event has ended: two of one source must not read side by
// side. The caller holds mu.
func (s *sources) start(route core.Route, reader pull.Reader, declared string, elsewhere bool) *reading {
	ctx, cancel := context.WithCancel(s.ctx)
	r := &reading{
		declared:  declared,
		elsewhere: elsewhere,
		cancel:    cancel,
		done:      make(chan struct{}),
		state:     controller.State{Topic: s.topic, Event: route.Event, Elsewhere: elsewhere},
	}
	if elsewhere {
		close(r.done)
		return r
	}
	if reader.Finish != nil {
		r.finish = func(ctx context.Context) {
			if err := reader.Finish(ctx, s.env(route, r)); err != nil {
				s.sink.tel.Log.WarnContext(
					ctx, "what an event left at its sender stays there", "eventsource",
					route.Namespace+"/"+route.EventSource, "event", route.Event, "error", err,
				)
			}
		}
	}
	key := route.Namespace + "/" + route.EventSource + "/" + route.Event
	before := s.last[key]
	s.last[key] = r
	s.busy.Go(func() {
		defer s.ended(key, r)
		if before != nil {
			<-before.done // also when this one is not wanted any more: the next relies on it
		}
		if ctx.Err() == nil {
			s.keep(ctx, route, reader, r)
		}
	})
	return r
}

// ended lets the next reader begin.
func (s *sources) ended(key string, r *reading) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last[key] == r {
		delete(s.last, key)
	}
	close(r.done)
}

func (r *reading) look() controller.State {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state
}

// turn changes the state and reports whether that was news.
func (r *reading) turn(up bool, failure string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	news := r.state.Up != up || r.state.Failure != failure
	r.state.Up, r.state.Failure = up, failure
	return news
}

// remark keeps what the status should say for as long as this reader lives.
func (r *reading) remark(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.Note = text
}

// tell notes how a source is, and has the status say so.
func (s *sources) tell(route core.Route, r *reading, up bool, failure string) {
	if r.turn(up, failure) {
		s.changed(route.Namespace + "/" + route.EventSource)
	}
}

// env is what the reader of a route works with.
func (s *sources) env(route core.Route, r *reading) pull.Env {
	return pull.Env{
		Namespace:   route.Namespace,
		EventSource: route.EventSource,
		Event:       route.Event,
		Secrets:     s.secrets,
		Own:         s.own,
		Accounts:    s.accounts,
		Account:     route.Account,
		Positions: positions{
			s.sink.intake.bus.KV(bus.PositionsBucket), route.Provider,
		},
		Log: s.sink.tel.Log,
		Up:  func() { s.tell(route, r, true, "") },
		Note: func(text string) {
			r.remark(time.Now().UTC().Format(time.RFC3339) + ": " + text)
			s.changed(route.Namespace + "/" + route.EventSource)
		},
	}
}

// keep reads a source again and again until ctx ends.
func (s *sources) keep(ctx context.Context, route core.Route, reader pull.Reader, r *reading) {
	key := route.Namespace + "/" + route.EventSource
	log := s.sink.tel.Log.With("eventsource", key, "event", route.Event, "kind", route.Provider)
	filter, err := filterOf(reader)
	if err != nil {
		s.tell(route, r, false, err.Error()) // only another manifest can help
		return
	}
	if filter != nil {
		route.Filter = filter
	}
	env := s.env(route, r)
	wait := firstPause
	for ctx.Err() == nil {
		began := time.Now()
		err := reader.Run(
			ctx,
			env,
			func(ctx context.Context, id string, data any) error { return s.emit(ctx, route, id, data) },
		)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = errors.New("the source ended")
		}
		s.tell(route, r, false, err.Error())
		if _, refused := errors.AsType[*refusedError](err); refused {
			return
		}
		if time.Since(began) > stableAfter {
			wait = firstPause
		}
		log.WarnContext(ctx, "source broke, it is read again later", "error", err, "pause", wait)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		wait = min(2*wait, longPause)
	}
}

func filterOf(reader pull.Reader) (*eventsource.Filter, error) {
	if reader.Filter == nil {
		return nil, nil
	}
	return eventsource.NewFilter(reader.Filter.Expression)
}

// kinds whose events have another type than their name. Source: Argo Events, the
// constants of EventSourceType.
var otherTypes = map[string]string{"pubSub": "pubsub"}

// emit is pull.Emit for one route: it waits as long as nothing can be made durable,
// which stops the reading.
func (s *sources) emit(ctx context.Context, route core.Route, id string, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		s.sink.tel.Log.ErrorContext(
			ctx, "message cannot be an event, it is dropped", "eventsource", route.Namespace+"/"+route.EventSource,
			"event", route.Event, "error", err,
		)
		return nil
	}
	if err := s.sink.limiter.wait(ctx, route); err != nil {
		return err
	}
	kind := route.Provider
	if other, ok := otherTypes[kind]; ok {
		kind = other
	}
	for wait := forwardPause; ; wait = min(2*wait, 10*time.Second) {
		err := s.sink.put(ctx, route, core.Item{ID: id, Type: kind, Data: text, Read: true}, lineage.Lineage{})
		if err == nil {
			return nil
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
