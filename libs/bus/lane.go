package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/nats-io/nats.go/jetstream"
)

// laneState is how a subscriber gets its events.
type laneState int

const (
	laneIdle    laneState = iota // not at all: its shard is not ours, or it is just placed
	laneJoins                    // events gather for it, and none is begun: it still reads on its own, or is new
	laneShares                   // from the shared reader
	laneParting                  // not at all: a consumer of its own is being made
	laneApart                    // from a consumer of its own
)

// lane is one subscriber, over all its versions.
type lane struct {
	id, key, name string // name of the consumer of its own
	shard         *shard
	now           *Subscription   // nil while nobody handles its events
	filters       []string        // of the last version
	joined        []string        // filters that are in the interest
	changed       chan struct{}   // closed when now changes
	gone          context.Context //nolint:containedctx // ends when it is removed
	leave         context.CancelFunc
	tending       sync.WaitGroup

	state   laneState
	from    uint64 // what is up to here is not for the shared reader
	mark    uint64 // the last event that was seen for it
	waiting []*item
	running int
	begun   map[uint64]*item // taken up here, and not yet behind everything that is not done
	order   []*item          // the same in order
	partAt  uint64           // where the consumer of its own is to begin
	covered chan struct{}    // closed when the reader has what it wants; nil when nobody waits for that
	broken  bool             // it was let go while it joined
}

// item is an event for one subscriber.
type item struct {
	lane   *lane
	open   *open
	event  *arrived
	by     *Subscription
	ended  chan struct{} // closed when its handler is done
	ok     bool          // with success
	failed error         // what its handler said
	closed bool          // it keeps the shard's position no more
	met    bool          // the subscriber's own consumer has brought it, and waits for its end
}

// errInterrupted is what an item ends with whose handler was stopped.
var errInterrupted = errors.New("interrupted")

// arrived is an event of the shared reader, which many may want.
type arrived struct {
	msg  jetstream.Msg
	meta *jetstream.MsgMetadata

	mu       sync.Mutex
	loaded   bool
	delivery Delivery
}

// load decodes the event, once for all.
func (a *arrived) load(ctx context.Context, b *Bus) (Delivery, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.loaded {
		return a.delivery, nil
	}
	d := Delivery{Subject: a.msg.Subject(), Sequence: a.meta.Sequence.Stream, Attempt: 1, Stored: a.meta.Timestamp}
	e, err := decode(a.msg.Headers(), a.msg.Data())
	if err != nil {
		return d, err
	}
	if d.Event, err = b.checkOut(ctx, e); err != nil {
		return d, err
	}
	a.delivery, a.loaded = d, true
	return d, nil
}

// Subscription is one version of a subscriber.
type Subscription struct {
	group    *Shared
	lane     *lane
	spec     Subscriber
	life     context.Context //nolint:containedctx // ends when it is stopped
	end      context.CancelFunc
	handling context.Context //nolint:containedctx // of its handlers
	cut      context.CancelCauseFunc
	busy     sync.WaitGroup
	done     chan struct{}
}

// Subscribe adds a subscriber, or changes the one with the same ID: it goes on where that was. What the older version
// has in hand may finish within its grace; what is interrupted then is handled by the new one.
func (s *Shared) Subscribe(spec Subscriber) *Subscription {
	spec.Consumer = spec.withDefaults()
	spec.Stream = s.cfg.Stream
	sub := &Subscription{group: s, spec: spec, done: make(chan struct{})}
	sub.life, sub.end = context.WithCancel(context.Background())
	sub.handling, sub.cut = context.WithCancelCause(context.Background())
	sub.busy.Add(1) // until it is stopped
	go func() {
		sub.busy.Wait()
		sub.cut(nil)
		close(sub.done)
	}()
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lanes[spec.ID]
	if l == nil {
		l = &lane{
			id: spec.ID, key: spec.Key, name: spec.Name, shard: s.shards[shardOf(spec.Key)],
			changed: make(chan struct{}), begun: map[uint64]*item{},
		}
		l.gone, l.leave = context.WithCancel(context.Background())
		s.lanes[spec.ID] = l
		l.shard.lanes[l] = struct{}{}
	}
	sub.lane = l
	if l.now != nil {
		l.now.stopped()
	}
	l.now, l.filters = sub, spec.Filters
	close(l.changed)
	l.changed = make(chan struct{})
	h := l.shard.held
	switch {
	case h == nil || h.releasing:
	case l.state == laneIdle:
		s.tend(l, h, s.late)
	case l.state == laneShares:
		s.join(l) // with what it wants now
		if !s.covers(l.filters) {
			s.reread()
		}
		if s.refused == nil {
			go spec.Declared(nil)
		}
		s.take(l)
	}
	return sub
}

// Stop ends a version. Its subscriber keeps its place, which is filled again by Subscribe, unless Remove follows. A
// version that was replaced is stopped already.
func (sub *Subscription) Stop() {
	s := sub.group
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := sub.lane; l.now == sub {
		l.now = nil
		sub.stopped()
		s.part(l)
	}
}

// Done is closed when nothing of a stopped version is at work any more.
func (sub *Subscription) Done() <-chan struct{} { return sub.done }

// stopped ends a version once. The lock of the group is held.
func (sub *Subscription) stopped() {
	sub.end()
	time.AfterFunc(sub.spec.Grace, func() { sub.cut(ErrStopped) })
	sub.busy.Done()
}

// Remove takes a subscriber out. It returns what waits until nothing more is written for it here.
func (s *Shared) Remove(id string) (wait func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lanes[id]
	if l == nil {
		return func() {}
	}
	l.leave()
	if l.now != nil {
		l.now.stopped()
		l.now = nil
	}
	s.clear(l)
	delete(l.shard.lanes, l)
	delete(s.lanes, id)
	return l.tending.Wait
}

// DeleteSubscriber removes what is stored of a subscriber: its place, and a consumer of its own by that name.
func (s *Shared) DeleteSubscriber(ctx context.Context, id, name string) error {
	return errors.Join(
		s.bus.DeleteConsumer(ctx, s.cfg.Stream, name), s.bus.KV(ReadersBucket).Purge(ctx, s.recordKey(id)),
	)
}

// clear takes everything out of a lane that it has of the shared reader. The lock is held.
func (s *Shared) clear(l *lane) {
	s.drop(l)
	s.unjoin(l)
	for _, it := range l.order {
		s.close(it)
	}
	l.order, l.begun = nil, map[uint64]*item{}
	l.state, l.from, l.mark, l.partAt, l.covered, l.broken = laneIdle, 0, 0, 0, nil, false
}

// join enters what a lane wants. The lock is held.
func (s *Shared) join(l *lane) {
	s.unjoin(l)
	l.joined = slices.Clone(l.filters)
	for _, f := range l.joined {
		s.interest.add(f, l)
		s.wanted[f]++
	}
}

func (s *Shared) unjoin(l *lane) {
	for _, f := range l.joined {
		s.interest.remove(f, l)
		if s.wanted[f]--; s.wanted[f] == 0 {
			delete(s.wanted, f)
		}
	}
	if len(l.joined) > 0 && len(s.wanted) == 0 {
		s.reread() // that is, not at all
	}
	l.joined = nil
}

// drop lets go of what waits. The lock is held.
func (s *Shared) drop(l *lane) {
	for _, it := range l.waiting {
		s.close(it)
	}
	l.waiting = nil
}

// close lets the position of the shard pass an item. The lock is held.
func (s *Shared) close(it *item) {
	if it.closed {
		return
	}
	it.closed = true
	o := it.open
	if o.left--; o.left > 0 {
		return
	}
	o.hold.open.Remove(o.at)
	o.hold.done = true
	o.items = nil
	s.opens--
	s.bytes -= o.size
	s.roomy.Broadcast()
}

// append adds an event to a lane. The lock is held.
func (s *Shared) append(l *lane, it *item) {
	it.open.items = append(it.open.items, it)
	it.open.left++
	l.waiting = append(l.waiting, it)
	if it.open.seq <= it.open.hold.careful && l.state == laneShares {
		s.part(l) // the server counts how often it is tried
		return
	}
	s.take(l)
	if len(l.waiting) > laneMost || len(l.order) > orderMost {
		s.part(l)
	}
}

// take begins what may begin. The lock is held.
func (s *Shared) take(l *lane) {
	h := l.shard.held
	for l.state == laneShares && l.now != nil && h != nil && !h.closing && len(l.waiting) > 0 &&
		l.running < l.now.spec.Concurrency {
		it := l.waiting[0]
		l.waiting[0] = nil
		l.waiting = l.waiting[1:]
		it.by, it.ended = l.now, make(chan struct{})
		l.begun[it.open.seq] = it
		l.order = append(l.order, it)
		l.running++
		it.by.busy.Add(1)
		h.busy.Go(func() { s.run(h, it) })
	}
}

// run handles an item and says how it went.
func (s *Shared) run(h *hold, it *item) {
	began := time.Now()
	ctx, cut := context.WithCancelCause(it.by.handling)
	unhook := context.AfterFunc(h.handling, func() { cut(context.Cause(h.handling)) })
	err := s.attempt(ctx, it)
	unhook()
	interrupted := ctx.Err() != nil
	cut(nil)
	it.by.spec.Observe(fault.Of(err), time.Since(began))
	away := err != nil && s.bus.Ready() != nil && fault.Of(err) == fault.Retry

	s.mu.Lock()
	defer s.mu.Unlock()
	defer close(it.ended)
	defer it.by.busy.Done()
	l := it.lane
	l.running--
	switch {
	case err == nil || fault.Of(err) == fault.Stale:
		it.ok = true
		s.close(it)
	case interrupted || away:
		it.failed = errInterrupted
		s.putBack(l, it)
		if away && !interrupted {
			time.AfterFunc(reconnectWait, func() { s.mu.Lock(); s.take(l); s.mu.Unlock() })
			return // it is not taken up at once
		}
	default:
		it.failed = err
		s.part(l) // whose consumer brings it again, and hears this as the word about its first attempt
	}
	for l.state == laneShares && len(l.order) > 0 && l.order[0].ok {
		delete(l.begun, l.order[0].open.seq)
		l.order[0] = nil
		l.order = l.order[1:]
	}
	s.take(l)
}

// putBack has an item wait again, at its place. The lock is held.
func (s *Shared) putBack(l *lane, it *item) {
	if i := slices.Index(l.order, it); i >= 0 {
		l.order = slices.Delete(l.order, i, i+1)
		delete(l.begun, it.open.seq)
	}
	if it.closed {
		return // the subscriber's own consumer has it
	}
	next := &item{lane: l, open: it.open, event: it.event}
	it.closed = true // for next
	it.open.items = append(it.open.items, next)
	i, _ := slices.BinarySearchFunc(l.waiting, it.open.seq, func(w *item, seq uint64) int {
		if w.open.seq < seq {
			return -1
		}
		return 1
	})
	l.waiting = slices.Insert(l.waiting, i, next)
}

func (s *Shared) attempt(ctx context.Context, it *item) error {
	d, err := it.event.load(ctx, s.bus)
	if err != nil {
		return err
	}
	outputs, err := it.by.spec.Handle(ctx, d)
	for _, out := range outputs {
		if perr := s.bus.Publish(ctx, out.Subject, out.Event); perr != nil {
			return errors.Join(err, perr)
		}
	}
	return err
}

// part has a subscriber read on its own, from the first event that it has not done. The lock is held.
func (s *Shared) part(l *lane) {
	h := l.shard.held
	if h == nil || h.releasing {
		return // whoever takes it next begins with what is not done
	}
	switch l.state {
	case laneJoins: // it has a consumer of its own, or is new
		s.drop(l)
		l.broken = true
	case laneShares:
		l.state = laneParting
		l.partAt = max(l.from, h.handed(s.read)) + 1
		s.unjoin(l)
		s.tend(l, h, s.leaveShared)
	}
}

// tend does in the background what a lane needs to get on. The lock is held.
func (s *Shared) tend(l *lane, h *hold, do func(ctx context.Context, l *lane, h *hold)) {
	if l.state == laneIdle {
		l.state = laneParting
	}
	ctx, cancel := context.WithCancel(l.gone)
	unhook := context.AfterFunc(h.life, cancel)
	l.tending.Add(1)
	h.busy.Go(func() {
		defer l.tending.Done()
		defer cancel()
		defer unhook()
		do(ctx, l, h)
	})
}

// begin places a subscriber that is new: where it is to start may be in the past.
func (s *Shared) begin(ctx context.Context, l *lane, h *hold) {
	for wait := saveEvery; ctx.Err() == nil && s.cfg.Alone(); wait = min(2*wait, 5*time.Second) {
		s.starting <- struct{}{}
		began, err := s.beginShared(ctx, l, h)
		<-s.starting
		if err == nil && !began {
			break // there is something to catch up with
		}
		if err == nil {
			return
		}
		s.log.DebugContext(ctx, "subscriber has not begun yet", "subscriber", l.key, "error", err)
		pause(ctx, wait)
	}
	s.apart(ctx, l, h)
}

// beginShared places a new subscriber beside the others when nothing is stored that it should see.
func (s *Shared) beginShared(ctx context.Context, l *lane, h *hold) (bool, error) {
	at, err := s.reserve(ctx, l)
	if err != nil {
		return false, err
	}
	s.mu.Lock()
	filters, since := l.filters, time.Time{}
	if l.now != nil {
		since = l.now.spec.Since
	}
	s.mu.Unlock()
	quiet, err := s.quiet(ctx, filters, since)
	if err == nil && quiet {
		err = s.remember(ctx, l, at)
	}
	if err != nil || !quiet {
		s.unreserve(l)
		return false, err
	}
	return s.enter(l, h, at), nil //nolint:contextcheck // what a lane does lives as long as its shard
}

// quiet says whether nothing is stored on subjects since a time.
func (s *Shared) quiet(ctx context.Context, filters []string, since time.Time) (bool, error) {
	stream, err := s.bus.js.Stream(ctx, s.cfg.Stream)
	if err != nil {
		return false, fmt.Errorf("look at stream %s: %w", s.cfg.Stream, err)
	}
	for _, f := range filters {
		if strings.ContainsAny(f, "*>") {
			return false, nil
		}
		last, err := stream.GetLastMsgForSubject(ctx, f)
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
		case err != nil:
			return false, fmt.Errorf("look at %s: %w", f, err)
		case !last.Time.Before(since):
			return false, nil
		}
	}
	return len(filters) > 0, nil
}

// late places a subscriber that came after its shard was taken.
func (s *Shared) late(ctx context.Context, l *lane, h *hold) {
	for ctx.Err() == nil {
		err := s.lateOnce(ctx, l, h)
		if err == nil {
			return
		}
		s.log.DebugContext(ctx, "subscriber has no place yet", "subscriber", l.key, "error", err)
		pause(ctx, reconnectWait)
	}
}

func (s *Shared) lateOnce(ctx context.Context, l *lane, h *hold) error {
	s.starting <- struct{}{}
	release := sync.OnceFunc(func() { <-s.starting })
	defer release()
	_, err := s.bus.js.Consumer(ctx, s.cfg.Stream, l.name)
	if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return err
	}
	if err == nil {
		release()
		s.apart(ctx, l, h)
		return nil
	}
	r, known, err := s.record(ctx, l.id)
	if err != nil {
		return err
	}
	release()
	if known {
		s.mu.Lock()
		l.partAt = max(r.From, h.began) + 1
		s.mu.Unlock()
		s.leaveShared(ctx, l, h)
		return nil
	}
	s.begin(ctx, l, h)
	return nil
}

// leaveShared makes the consumer of a subscriber that reads on its own from now on. Its position is the server's from
// then on, so that the shard's may go on.
func (s *Shared) leaveShared(ctx context.Context, l *lane, h *hold) {
	for wait := reconnectWait; ctx.Err() == nil; wait = min(2*wait, 5*time.Second) {
		err := s.makeConsumer(ctx, l, h)
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return
		}
		s.log.WarnContext(
			ctx, "subscriber stands still: it has no consumer of its own yet", "subscriber", l.key, "error", err,
		)
		s.mu.Lock()
		now := l.now
		s.mu.Unlock()
		if now != nil {
			now.spec.Declared(err)
		}
		pause(ctx, wait)
	}
	s.mu.Lock()
	if ctx.Err() != nil {
		s.mu.Unlock()
		return
	}
	l.state = laneApart
	s.drop(l)
	for _, it := range l.order {
		s.close(it)
		if it.open.seq < l.partAt {
			delete(l.begun, it.open.seq)
		}
	}
	s.mu.Unlock()
	s.log.DebugContext(ctx, "subscriber reads on its own", "subscriber", l.key, "from", l.partAt)
	s.apart(ctx, l, h)
}

func (s *Shared) makeConsumer(ctx context.Context, l *lane, h *hold) error {
	s.parting <- struct{}{}
	defer func() { <-s.parting }()
	// Only who holds the shard may make one: it would be read from there again, whenever that is.
	if err := s.save(ctx, h, s.cfg.Self); err != nil {
		if fault.Of(err) == fault.Stale {
			s.lost(h) //nolint:contextcheck // giving away outlives this
		}
		return err
	}
	s.mu.Lock()
	c := Consumer{Stream: s.cfg.Stream, Name: l.name, Filters: l.filters}
	if l.now != nil {
		c = l.now.spec.Consumer
	}
	l.partAt = l.undone()
	c.Start = l.partAt
	s.mu.Unlock()
	// In a stream that was made anew its sequence would be in the future.
	if err := s.isStream(ctx); err != nil {
		return err
	}
	w := &worker{bus: s.bus, consumer: c.withDefaults()}
	_, err := w.declare(ctx)
	return err
}

func (s *Shared) isStream(ctx context.Context) error {
	stream, err := s.bus.js.Stream(ctx, s.cfg.Stream)
	if err != nil {
		return fmt.Errorf("look at stream %s: %w", s.cfg.Stream, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !stream.CachedInfo().Created.Equal(s.created) {
		return fmt.Errorf("stream %s was made anew", s.cfg.Stream)
	}
	return nil
}

// unmet says whether something was taken up that the lane's own consumer has not brought yet.
func (l *lane) unmet() bool {
	if l.state != laneApart {
		return l.state == laneParting
	}
	for _, it := range l.begun {
		if !it.met {
			return true
		}
	}
	return false
}

// undone is where a consumer has to begin to see all that the lane has not done. The lock is held.
func (l *lane) undone() uint64 {
	at := l.partAt
	if len(l.waiting) > 0 {
		at = l.waiting[0].open.seq
	}
	for _, it := range l.order {
		if !it.ok {
			return min(at, it.open.seq)
		}
	}
	return at
}

// apart reads on its own for a subscriber until it has caught up with the others.
func (s *Shared) apart(ctx context.Context, l *lane, h *hold) {
	since, wait := time.Now(), saveEvery
	s.mu.Lock()
	if ctx.Err() == nil {
		l.state = laneApart
	}
	patient := l.partAt > 0 // it was slow: it is not moved to and fro
	s.mu.Unlock()
	for ctx.Err() == nil {
		s.mu.Lock()
		now, changed := l.now, l.changed
		s.mu.Unlock()
		if now == nil {
			select {
			case <-ctx.Done():
			case <-changed:
			}
			continue
		}
		until := time.Time{}
		if patient {
			until = since.Add(settled)
		}
		if s.onItsOwn(ctx, l, h, now, until) {
			return
		}
		patient, since = true, time.Now().Add(wait-settled)
		wait = min(2*wait, 5*time.Second)
	}
}

// onItsOwn reads for one version. True means that the subscriber is back with the others.
func (s *Shared) onItsOwn(ctx context.Context, l *lane, h *hold, sub *Subscription, until time.Time) bool {
	reading, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(sub.life, stop)() //nolint:contextcheck // it ends with either
	enough, near := make(chan struct{}), make(chan struct{}, 1)
	w := s.bus.worker(reading, sub.spec.Consumer, s.onceMore(l, sub))
	w.enough = enough
	w.progress = func(_, pending uint64) {
		if pending == 0 {
			select {
			case near <- struct{}{}:
			default:
			}
		}
	}
	ended := make(chan struct{})
	s.mu.Lock()
	if sub.life.Err() != nil {
		s.mu.Unlock()
		w.cut(nil)
		return false
	}
	sub.busy.Add(1)
	s.mu.Unlock()
	h.busy.Go(func() {
		defer sub.busy.Done()
		defer close(ended)
		defer w.end(reading)()
		w.pullAll(reading)
	})
	if !s.mayJoin(reading, l.name, near, until) {
		return false
	}
	at, err := s.reserve(reading, l)
	if err != nil {
		s.unreserve(l)
		return false
	}
	close(enough)
	select {
	case <-ended:
	case <-reading.Done():
		s.unreserve(l)
		return false
	}
	upTo, caughtUp, err := s.caughtUp(ctx, l.name, at)
	if err == nil && caughtUp {
		err = s.remember(ctx, l, upTo)
	}
	if err != nil || !caughtUp {
		s.unreserve(l)
		return false
	}
	for {
		// It may be gone though the answer was lost: there is no way back from here.
		if err := s.bus.DeleteConsumer(ctx, s.cfg.Stream, l.name); err == nil {
			break
		}
		if !pause(ctx, reconnectWait) {
			return true
		}
	}
	return s.enter(l, h, upTo) //nolint:contextcheck // what a lane does lives as long as its shard
}

// lookApart is how often the server is asked whether a subscriber that reads on its own has caught up, beside the word
// that comes with each event.
const lookApart = 5 * time.Second

// mayJoin waits until a subscriber has nearly caught up, for long enough, and nobody else reads for it. False means
// that ctx ended.
func (s *Shared) mayJoin(ctx context.Context, name string, near <-chan struct{}, until time.Time) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-near:
		case <-time.After(lookApart):
			if _, yes, err := s.caughtUp(ctx, name, 0); err != nil || !yes {
				continue
			}
		}
		if !pause(ctx, max(0, time.Until(until))) {
			return false
		}
		for !s.cfg.Alone() {
			if !pause(ctx, settled) {
				return false
			}
		}
		return true
	}
}

// caughtUp says whether the consumer of a subscriber has done everything up to a sequence, and how far it is.
func (s *Shared) caughtUp(ctx context.Context, name string, at uint64) (upTo uint64, yes bool, err error) {
	cons, err := s.bus.js.Consumer(ctx, s.cfg.Stream, name)
	if err != nil {
		return 0, false, err
	}
	info := cons.CachedInfo()
	upTo = max(info.Delivered.Stream, info.AckFloor.Stream)
	if info.NumPending == 0 {
		upTo = max(upTo, at)
	}
	return upTo, info.NumAckPending == 0 && upTo >= at, nil
}

// onceMore handles what comes of a subscriber's own consumer. What the lane had taken up before is not begun again: its
// result is this delivery's, too.
func (s *Shared) onceMore(l *lane, sub *Subscription) Handler {
	return func(ctx context.Context, d Delivery) ([]Outgoing, error) {
		s.mu.Lock()
		it := l.begun[d.Sequence]
		if it != nil {
			it.met = true
		}
		s.mu.Unlock()
		if it == nil {
			return sub.spec.Handle(ctx, d)
		}
		select {
		case <-it.ended:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		s.mu.Lock()
		ok, failed := it.ok, it.failed
		if l.begun[d.Sequence] == it {
			delete(l.begun, d.Sequence)
		}
		s.mu.Unlock()
		if ok {
			return nil, nil
		}
		if errors.Is(failed, errInterrupted) {
			return sub.spec.Handle(ctx, d)
		}
		return nil, failed
	}
}

// reserve has events gather for a lane from here on, once the reader has what it wants.
func (s *Shared) reserve(ctx context.Context, l *lane) (at uint64, err error) {
	s.mu.Lock()
	if ctx.Err() != nil {
		s.mu.Unlock()
		return 0, ctx.Err()
	}
	l.state, l.broken = laneJoins, false
	s.join(l)
	covered := make(chan struct{})
	l.covered = covered
	l.from = ^uint64(0) // nothing yet
	switch {
	case !s.covers(l.filters):
		s.reread()
	case !s.creating:
		s.reserved(l)
	}
	s.mu.Unlock()
	select {
	case <-covered:
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return l.from, nil
}

// reserved says from where on events gather. The lock is held.
func (s *Shared) reserved(l *lane) {
	l.from = l.shard.held.handed(s.read)
	close(l.covered)
	l.covered = nil
}

// unreserve lets go of what gathered.
func (s *Shared) unreserve(l *lane) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.state != laneJoins {
		return
	}
	s.drop(l)
	s.unjoin(l)
	l.state, l.covered, l.broken = laneApart, nil, false
}

// enter has a lane share from a sequence on. False means that what gathered for it was let go.
func (s *Shared) enter(l *lane, h *hold, from uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.state != laneJoins || l.shard.held != h {
		return true // it was cleared, and its place is stored
	}
	for len(l.waiting) > 0 && l.waiting[0].open.seq <= from {
		s.close(l.waiting[0])
		l.waiting = l.waiting[1:]
	}
	l.from, l.partAt, l.begun, l.order = from, 0, map[uint64]*item{}, nil
	l.state = laneShares
	if l.broken {
		// What gathered was too much. It has no consumer any more: one is made again, from where it is.
		l.broken = false
		l.state = laneParting
		l.partAt = from + 1
		s.drop(l)
		s.unjoin(l)
		s.tend(l, h, s.leaveShared)
		return true
	}
	if !slices.Equal(l.joined, l.filters) { // it was changed meanwhile
		s.join(l)
		if !s.covers(l.filters) {
			s.reread()
		}
	}
	if l.now != nil {
		go l.now.spec.Declared(s.refused)
	} else {
		s.part(l)
	}
	s.take(l)
	return true
}

// subscriberRecord is that a subscriber has begun, and what it has done beside the position of its shard.
type subscriberRecord struct {
	Key     string    `json:"key"`
	Name    string    `json:"name"`
	Filters []string  `json:"filters"`
	From    uint64    `json:"from"`   // what is up to here is done
	Stream  time.Time `json:"stream"` // when the stream was made: in another one it begins as new
}

func (s *Shared) recordKey(id string) string { return Token(s.cfg.Name) + ".sub." + kvToken(id) }

// remember stores that a subscriber shares from a sequence on.
func (s *Shared) remember(ctx context.Context, l *lane, from uint64) error {
	s.mu.Lock()
	r := subscriberRecord{Key: l.key, Name: l.name, Filters: l.filters, From: from, Stream: s.created}
	s.mu.Unlock()
	raw, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode place of %s: %w", l.key, err)
	}
	return s.bus.KV(ReadersBucket).Put(ctx, s.recordKey(l.id), raw)
}

func (s *Shared) record(ctx context.Context, id string) (r subscriberRecord, known bool, err error) {
	raw, _, err := s.bus.KV(ReadersBucket).Get(ctx, s.recordKey(id))
	if errors.Is(err, ErrNotFound) {
		return r, false, nil
	}
	if err != nil {
		return r, false, err
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return r, false, fault.Poisonf("place of subscriber %s: %w", id, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return r, r.Stream.Equal(s.created), nil
}

// records are those of all subscribers that have begun in a stream, by id.
func (s *Shared) records(ctx context.Context, created time.Time) (map[string]subscriberRecord, error) {
	prefix := Token(s.cfg.Name) + ".sub."
	raw, err := s.bus.KV(ReadersBucket).Entries(ctx, prefix)
	if err != nil {
		return nil, err
	}
	out := make(map[string]subscriberRecord, len(raw))
	for key, value := range raw {
		var r subscriberRecord
		if err := json.Unmarshal(value, &r); err != nil {
			return nil, fault.Poisonf("place of subscriber %s: %w", key, err)
		}
		if r.Stream.Equal(created) {
			out[strings.TrimPrefix(key, prefix)] = r
		}
	}
	return out, nil
}

// adopt keeps the place of those that nobody has subscribed here: their events wait in a consumer of their own. What is
// left of one that is gone is removed.
func (s *Shared) adopt(
	ctx context.Context, taken []*hold, records map[string]subscriberRecord, there map[string]bool,
) error {
	for id, r := range records {
		var h *hold
		for _, one := range taken {
			if one.shard.n == shardOf(r.Key) {
				h = one
			}
		}
		s.mu.Lock()
		_, here := s.lanes[id]
		s.mu.Unlock()
		if h == nil || here {
			continue
		}
		wanted, err := s.cfg.Exists(ctx, r.Key, id)
		if err != nil {
			return fmt.Errorf("ask for subscriber %s: %w", r.Key, err)
		}
		if !wanted {
			if err := s.DeleteSubscriber(ctx, id, r.Name); err != nil {
				return err
			}
			continue
		}
		if there[r.Name] {
			continue
		}
		w := &worker{
			bus: s.bus,
			consumer: Consumer{
				Stream: s.cfg.Stream, Name: r.Name, Filters: r.Filters, Start: max(r.From, h.began) + 1,
			}.withDefaults(),
		}
		if _, err := w.declare(ctx); err != nil {
			return err
		}
		there[r.Name] = true // should it be subscribed right now
	}
	return nil
}
