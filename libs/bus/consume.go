package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/nats-io/nats.go/jetstream"
)

// Delivery is one event as it arrived.
type Delivery struct {
	Event
	Subject  string
	Sequence uint64    // position in the stream
	Attempt  int       // 1 for the first delivery
	Stored   time.Time // when the server stored it
}

// Outgoing is an event for a subject.
type Outgoing struct {
	Subject string
	Event   Event
}

// Handler reacts to one delivery. Its outputs are published before the delivery
// is acknowledged. An error decides by its class: retry comes back later, poison
// goes to the dead letters, stale is acknowledged. The context ends with the grace
// of a consumer that was stopped, not when it begins to drain. Deliveries may repeat.
type Handler func(ctx context.Context, d Delivery) ([]Outgoing, error)

// Consumer describes a durable subscription that replicas share.
type Consumer struct {
	Stream string
	Name   string    // durable name; replicas with the same name share the work
	Since  time.Time // where a new consumer starts; zero means the oldest event
	// the sequence at which a new consumer starts, instead of Since; 0 means Since
	Start   uint64
	Filters []string // subjects; none means all
	// event types that are handled; others are acknowledged unread; none means all
	Types []string
	// extensions any of which makes an event handled whatever its type
	Having      []string
	Concurrency int // handlers at once; 0 means 1, which keeps the order
	// one event at a time over all replicas, in the order of the stream
	Serial     bool
	MaxDeliver int // deliveries before the dead letters; 0 means 10
	// how long one attempt may take before another replica gets it; 0 means 30 s
	AckWait time.Duration
	Backoff func(attempt int) time.Duration             // wait before the next attempt; nil means DefaultBackoff
	Observe func(class fault.Class, took time.Duration) // called once per handled delivery; may be nil
	// Grace is how long handlers may go on once the consumer is stopped; then their contexts end with [ErrStopped], and
	// what they had in hand goes back to the stream. 0 means DefaultGrace.
	Grace time.Duration
	// Declared is told what the server said to the consumer: nil when it has it. It is told again after each
	// interruption; an error that wraps [ErrRefused] does not get better by waiting. May be nil.
	Declared func(error)
	// while events come, how long they gather before they are fetched together; 0 means each comes at once
	Linger time.Duration
}

// DefaultGrace is within the time that a process has to stop: what is in hand goes back to the stream before the
// process is killed with it.
const DefaultGrace = 15 * time.Second

// ErrStopped is the cause of the end of a handler's context when its consumer was stopped and the grace is over.
var ErrStopped = errors.New("the consumer was stopped")

// ErrRefused is the cause of a consumer that the server does not take, such as one over the limit of its stream.
var ErrRefused = errors.New("the bus refuses the consumer")

// DefaultBackoff doubles from 200 ms to a minute.
func DefaultBackoff(attempt int) time.Duration {
	return min(200*time.Millisecond<<min(attempt-1, 10), time.Minute)
}

func (c Consumer) withDefaults() Consumer {
	if c.Concurrency == 0 || c.Serial {
		c.Concurrency = 1
	}
	if c.MaxDeliver == 0 {
		c.MaxDeliver = 10
	}
	if c.AckWait == 0 {
		c.AckWait = 30 * time.Second
	}
	if c.Backoff == nil {
		c.Backoff = DefaultBackoff
	}
	if c.Grace == 0 {
		c.Grace = DefaultGrace
	}
	if c.Observe == nil {
		c.Observe = func(fault.Class, time.Duration) {}
	}
	if c.Declared == nil {
		c.Declared = func(error) {}
	}
	return c
}

// Consume runs h over a durable consumer until ctx ends, then lets the handlers
// at work finish. It survives the server going away for any time.
func (b *Bus) Consume(ctx context.Context, c Consumer, h Handler) error {
	w := b.worker(ctx, c, h)
	defer w.end(ctx)()
	for ctx.Err() == nil {
		if err := w.pull(ctx); err != nil && ctx.Err() == nil {
			b.log.WarnContext(ctx, "consumer interrupted", "consumer", c.Name, "error", err)
			pause(ctx, reconnectWait)
		}
	}
	return nil
}

func (b *Bus) worker(ctx context.Context, c Consumer, h Handler) *worker {
	c = c.withDefaults()
	w := &worker{bus: b, consumer: c, handle: h, slots: make(chan struct{}, c.Concurrency)}
	w.handling, w.cut = context.WithCancelCause(context.WithoutCancel(ctx))
	return w
}

// end returns what waits for the handlers at work, for the grace once ctx has ended.
func (w *worker) end(ctx context.Context) func() {
	unhook := context.AfterFunc(ctx, func() { time.AfterFunc(w.consumer.Grace, func() { w.cut(ErrStopped) }) })
	return func() {
		w.busy.Wait()
		unhook()
		w.cut(nil)
	}
}

// DeleteConsumer removes a durable consumer with its position. One that is not there is no
// error.
func (b *Bus) DeleteConsumer(ctx context.Context, stream, consumer string) error {
	if err := b.js.DeleteConsumer(ctx, stream, consumer); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return fmt.Errorf("forget consumer %s of %s: %w", consumer, stream, err)
	}
	return nil
}

type worker struct {
	bus      *Bus
	consumer Consumer
	handle   Handler
	slots    chan struct{}
	busy     sync.WaitGroup
	handling context.Context //nolint:containedctx // of the handlers, which outlives that of the consumer
	cut      context.CancelCauseFunc

	// enough, when closed, ends a pull once what has come is handled; nil never does.
	enough <-chan struct{}
	// progress is told of each delivery that was handled, and with what is pending at first; may be nil.
	progress func(sequence, pending uint64)
}

// pull reads until the iterator breaks, which it does when the consumer is gone
// or the connection was away for long.
func (w *worker) pull(ctx context.Context) error {
	cons, err := w.declare(ctx)
	if ctx.Err() == nil {
		w.consumer.Declared(err)
	}
	if err != nil {
		return err
	}
	info := cons.CachedInfo()
	if w.progress != nil {
		w.progress(0, info.NumPending+uint64(info.NumAckPending))
	}
	src, err := w.source(ctx, cons)
	if err != nil {
		return fmt.Errorf("pull from %s: %w", w.consumer.Name, err)
	}
	in := w.receive(src, info.Config.MaxAckPending)
	defer in.giveBack(w, src)
	enough := w.enough
	for {
		select {
		case w.slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		case <-enough:
			enough = nil
			src.Drain()
			continue
		}
		select {
		case a, ok := <-in.arrived:
			if !ok {
				<-w.slots
				return in.broke
			}
			w.busy.Go(func() {
				defer func() { <-w.slots }()
				w.one(w.handling, a)
			})
		case <-ctx.Done():
			<-w.slots
			return nil
		case <-enough:
			enough = nil
			<-w.slots
			src.Drain()
		}
	}
}

// declare creates the consumer, or brings it up to date. Where one begins that is there already stays as it is.
func (w *worker) declare(ctx context.Context) (jetstream.Consumer, error) {
	cfg := w.config()
	cons, err := w.bus.js.CreateOrUpdateConsumer(ctx, w.consumer.Stream, cfg)
	if _, answered := errors.AsType[*jetstream.APIError](err); answered {
		if there, look := w.bus.js.Consumer(ctx, w.consumer.Stream, w.consumer.Name); look == nil {
			began := there.CachedInfo().Config
			cfg.DeliverPolicy, cfg.OptStartSeq = began.DeliverPolicy, began.OptStartSeq
			cfg.OptStartTime = began.OptStartTime
			cons, err = w.bus.js.CreateOrUpdateConsumer(ctx, w.consumer.Stream, cfg)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("declare consumer %s on %s: %w", w.consumer.Name, w.consumer.Stream, refusedBy(err))
	}
	return cons, nil
}

func (w *worker) config() jetstream.ConsumerConfig {
	cfg := jetstream.ConsumerConfig{
		Durable: w.consumer.Name, FilterSubjects: w.consumer.Filters,
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: w.consumer.AckWait,
		// The limit of attempts is kept here, not by the server, because the server
		// would drop silently what must go to the dead letters.
		MaxDeliver: -1, MaxAckPending: max(4*w.consumer.Concurrency, 64),
	}
	if w.consumer.Linger > 0 {
		cfg.MaxAckPending = max(cfg.MaxAckPending, 2*gathered)
	}
	if w.consumer.Serial {
		cfg.MaxAckPending = 1
	}
	switch {
	case w.consumer.Start > 0:
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, w.consumer.Start
	case !w.consumer.Since.IsZero():
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &w.consumer.Since
	}
	return cfg
}

// arrival is a message that came and waits for a handler. The server is told that it is in good hands until done is
// called.
type arrival struct {
	jetstream.Msg
	done func()
}

// inbox takes messages as they come: one that waits for a free handler is kept alive like one that is handled, or the
// server would hand it to somebody else meanwhile.
type inbox struct {
	arrived chan arrival
	broke   error // why no more come; read after arrived was closed
}

func (w *worker) receive(src source, most int) *inbox {
	in := &inbox{arrived: make(chan arrival, most)}
	go func() {
		defer close(in.arrived)
		for {
			m, err := w.next(src)
			if err != nil {
				in.broke = err
				return
			}
			in.arrived <- arrival{Msg: m, done: w.keepAlive(m)}
		}
	}()
	return in
}

// giveBack ends the source and returns what no handler took.
func (in *inbox) giveBack(w *worker, src source) {
	src.Stop()
	go func() {
		for a := range in.arrived {
			a.done()
			if err := a.Nak(); err != nil {
				w.bus.log.Debug("answer to the bus was lost", "consumer", w.consumer.Name, "error", err)
			}
		}
	}()
}

// refusedBy marks what the server will refuse again, as against one that is away or busy.
func refusedBy(err error) error {
	var api *jetstream.APIError
	if errors.As(err, &api) && api.Code < 500 && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return errors.Join(ErrRefused, err)
	}
	return err
}

// next is the next message that is of a wanted type, as far as its headers tell.
func (w *worker) next(src source) (jetstream.Msg, error) {
	for {
		m, err := src.Next()
		if err != nil || !w.unwanted(m) {
			return m, err
		}
		if err := m.Ack(); err != nil {
			w.bus.log.Warn(
				"answer to the bus was lost", "consumer", w.consumer.Name, "subject", m.Subject(), "error", err,
			)
		}
	}
}

func (w *worker) unwanted(m jetstream.Msg) bool {
	if len(w.consumer.Types) == 0 || structured(m.Headers()) {
		return false
	}
	for _, name := range w.consumer.Having {
		if first(m.Headers(), headerPrefix+name) != "" {
			return false
		}
	}
	kind := first(m.Headers(), headerPrefix+"type")
	return kind != "" && !slices.Contains(w.consumer.Types, percentDecode(kind))
}

// one handles a message from arrival to its acknowledgement.
func (w *worker) one(ctx context.Context, a arrival) {
	began, m := time.Now(), a.Msg
	meta, err := m.Metadata()
	if err != nil {
		a.done()
		w.bus.log.ErrorContext(ctx, "message without metadata", "subject", m.Subject(), "error", err)
		return
	}
	d := Delivery{
		Subject: m.Subject(), Sequence: meta.Sequence.Stream, Attempt: int(meta.NumDelivered), Stored: meta.Timestamp,
	}
	err = w.attempt(ctx, m, &d)
	a.done()
	w.settle(ctx, m, d, err)
	w.consumer.Observe(fault.Of(err), time.Since(began))
	if w.progress != nil {
		w.progress(d.Sequence, meta.NumPending)
	}
}

func (w *worker) attempt(ctx context.Context, m jetstream.Msg, d *Delivery) error {
	if d.Attempt > 2*w.consumer.MaxDeliver {
		// Reached only when handlers were stopped or their processes died: a message that kills its
		// consumer must not do so for ever, and one that was only interrupted still has its chances.
		return fault.Poisonf("%d deliveries ended without an answer", d.Attempt-1)
	}
	e, err := decode(m.Headers(), m.Data())
	if err != nil {
		return err
	}
	if d.Event, err = w.bus.checkOut(ctx, e); err != nil {
		return err
	}
	outputs, err := w.handle(ctx, *d)
	for _, out := range outputs {
		if perr := w.bus.Publish(ctx, out.Subject, out.Event); perr != nil {
			return errors.Join(err, perr)
		}
	}
	return err
}

func (w *worker) settle(ctx context.Context, m jetstream.Msg, d Delivery, err error) {
	if err != nil && ctx.Err() != nil {
		// The handler was stopped: whatever it says now is no verdict.
		w.bus.log.InfoContext(
			ctx, "event goes back, its handler was stopped", "consumer", w.consumer.Name, "subject", d.Subject,
			"event_id", d.ID(), "error", err,
		)
		if answer := m.Nak(); answer != nil {
			w.bus.log.WarnContext(ctx, "answer to the bus was lost", "consumer", w.consumer.Name, "error", answer)
		}
		return
	}
	log := w.bus.log.With("consumer", w.consumer.Name, "subject", d.Subject, "event_id", d.ID(), "attempt", d.Attempt)
	class := fault.Of(err)
	if class == fault.Retry && d.Attempt >= w.consumer.MaxDeliver {
		class = fault.Poison
	}
	var answer error
	switch class {
	case fault.Retry:
		log.WarnContext(ctx, "event will be retried", "error", err)
		answer = m.NakWithDelay(w.consumer.Backoff(d.Attempt))
	case fault.Poison:
		log.ErrorContext(ctx, "event moved to the dead letters", "error", err)
		if answer = w.bury(ctx, m, d, err); answer == nil {
			answer = m.TermWithReason(short(err.Error()))
		}
	case fault.Stale:
		log.DebugContext(ctx, "event was overtaken", "error", err)
		answer = m.Ack()
	default:
		answer = m.Ack()
	}
	if answer != nil {
		// The delivery will come again after AckWait; handlers allow for that.
		log.WarnContext(ctx, "answer to the bus was lost", "error", answer)
	}
}

// keepAlive tells the server that work goes on, so that a long handler is not
// taken for a dead one.
func (w *worker) keepAlive(m jetstream.Msg) (done func()) {
	var (
		mu    sync.Mutex
		ended bool
		again *time.Timer
	)
	mu.Lock()
	defer mu.Unlock()
	again = time.AfterFunc(w.consumer.AckWait/3, func() {
		mu.Lock()
		defer mu.Unlock()
		if !ended && w.handling.Err() == nil { // a handler that does not heed the end does not keep its event
			_ = m.InProgress() // best effort: at worst the delivery repeats
			again.Reset(w.consumer.AckWait / 3)
		}
	})
	return func() {
		mu.Lock()
		defer mu.Unlock()
		ended = true
		again.Stop()
	}
}

func short(s string) string { return s[:min(len(s), 1024)] }
