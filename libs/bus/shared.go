package bus

import (
	"container/list"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/core/own"
	"github.com/nats-io/nats.go/jetstream"
)

// Numbers of a [Shared].
const (
	// in which replicas share the subscribers; never changes, positions are kept by it
	shardCount  = 16
	laneMost    = 256                   // events that wait for one subscriber before it reads on its own
	orderMost   = 1024                  // events that one subscriber has begun behind one that is not done
	deathsMost  = 3                     // of holders, before deliveries are counted by the server
	windowMost  = 8192                  // events that are not done, of all subscribers
	windowBytes = 64 << 20              // their bodies
	exactMost   = 64                    // subjects up to which the server is told exactly what is wanted
	holdDefault = time.Second           // how long an event may take before its subscriber reads on its own
	settled     = time.Second           // how long one that reads on its own does so at least
	sharedGrace = 5 * time.Second       // of the handlers, when a shard is given away
	leaveWait   = time.Second           // of a shard that is given away, for what waits
	saveEvery   = 50 * time.Millisecond // what was done since is done again after a kill
	idleSave    = 10 * time.Second      // for shards that had nothing to do
	lookEvery   = 250 * time.Millisecond
	readerKept  = 2 * pullExpiry // by the server, when nobody asks any more
	readLinger  = 3 * time.Millisecond
	sideBySide  = 64 // subscribers that begin at once
)

// SharedConfig describes a [Shared].
type SharedConfig struct {
	Stream  string
	Name    string          // of the group; the same for all replicas, a token of a key
	Subject string          // covers what any subscriber may want
	Self    string          // this replica
	Live    func() []string // replicas of the group that are alive; without Self among them nothing is read
	// Alone says that nobody reads for the subscribers who does not know of the group, such as a replica of an older
	// version with consumers of the subscribers' names. Until then each reads on its own. Nil means always.
	Alone func() bool
	// Exists says whether a subscriber that nobody has subscribed here is still wanted. Nil means yes.
	Exists func(ctx context.Context, key, id string) (bool, error)
	// Gained is told after subscribers became this replica's; may be nil.
	Gained func()
	Hold   time.Duration // how long an event may take before its subscriber reads on its own; 0 means a second
}

// Subscriber is one of many that read a stream together. Its Consumer says what it wants and how it is handled; the
// name is that of the durable consumer that it has of its own while it cannot keep up. The stream is that of the group.
type Subscriber struct {
	Consumer
	Key    string // decides the shard, such as namespace/name
	ID     string // stays the same over changes
	Handle Handler
}

// Shared reads a stream once for many subscribers. An event is handed to those that want it; each has a lane of its
// own, in the order of the stream. One that fails, or is behind for longer than the hold, is given a durable consumer
// of its own that begins with the first event it has not done, and comes back when it has caught up: nobody waits for
// it.
//
// Replicas share the subscribers by shards. How far a shard was done is in the bucket [ReadersBucket], with who holds
// it. A replica that is killed leaves its shards to others, which do again what was done since the last save;
// subscribers that are ordered still see their events in order.
type Shared struct {
	bus *Bus
	cfg SharedConfig
	log *slog.Logger

	mu       sync.Mutex
	roomy    *sync.Cond // there may be room in the window
	shards   [shardCount]*shard
	lanes    map[string]*lane
	interest interest[*lane]
	wanted   map[string]int // filters of those that share, with how many want them

	read      uint64 // how far the reader has handed events out
	covered   map[string]bool
	wide      bool // the reader has everything
	interrupt context.CancelFunc
	again     bool // the reader must begin anew
	creating  bool // the reader is being made
	wake      chan struct{}
	created   time.Time // of the stream
	refused   error     // of the reader

	opens, bytes int // of the window

	leaving sync.WaitGroup // shards that are given away

	starting, parting chan struct{} // bound how many ask the server at once
}

type shard struct {
	n     int
	lanes map[*lane]struct{}
	held  *hold // nil: not ours
}

// hold is a shard while it is ours.
type hold struct {
	shard    *shard
	life     context.Context //nolint:containedctx // ends when the shard is given away
	end      context.CancelFunc
	handling context.Context //nolint:containedctx // of its handlers
	cut      context.CancelCauseFunc
	busy     sync.WaitGroup

	began     uint64     // how far it was done when it was taken
	deaths    int        // that its holders died there
	careful   uint64     // up to here, subscribers read on their own at once
	skip      uint64     // how far it had been handed out when the reader went back
	open      list.List  // of *open, in the order of the stream
	done      bool       // something since the last save
	releasing bool       // nothing is handed out any more
	closing   bool       // nothing is begun any more
	lost      bool       // it is not ours any more, or its stream is another: nothing is written for it
	frozen    uint64     // how far it was handed out when it was to be given away
	saved     uint64     // its stored position
	savedAt   time.Time  //
	saving    sync.Mutex // guards revision
	revision  uint64     // of the stored position
}

// open is an event that some subscriber of a shard has not done.
type open struct {
	hold  *hold
	at    *list.Element
	items []*item
	left  int
	seq   uint64
	size  int
	since time.Time
}

// holderRecord is who holds a shard, and how far it is done.
type holderRecord struct {
	Holder string    `json:"holder,omitempty"` // empty when it was given away
	Floor  uint64    `json:"floor"`            // every subscriber that shares has done what is up to here
	Stream time.Time `json:"stream"`           // when the stream was made: another one begins anew
	Deaths int       `json:"deaths,omitempty"` // how often in a row its holder died at this floor
}

// Share makes a group. Subscribers may come before Run and at any time after.
func (b *Bus) Share(cfg SharedConfig) *Shared {
	if cfg.Hold == 0 {
		cfg.Hold = holdDefault
	}
	if cfg.Alone == nil {
		cfg.Alone = func() bool { return true }
	}
	if cfg.Exists == nil {
		cfg.Exists = func(context.Context, string, string) (bool, error) { return true, nil }
	}
	if cfg.Gained == nil {
		cfg.Gained = func() {}
	}
	s := &Shared{
		bus:      b,
		cfg:      cfg,
		log:      b.log,
		lanes:    map[string]*lane{},
		wanted:   map[string]int{},
		wake:     make(chan struct{}, 1),
		starting: make(chan struct{}, sideBySide),
		parting:  make(chan struct{}, sideBySide),
	}
	s.roomy = sync.NewCond(&s.mu)
	for n := range s.shards {
		s.shards[n] = &shard{n: n, lanes: map[*lane]struct{}{}}
	}
	return s
}

func shardOf(key string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	return int(h.Sum32() % shardCount)
}

// Holds says whether the subscriber of a key is this replica's now.
func (s *Shared) Holds(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.shards[shardOf(key)].held
	return h != nil && !h.releasing
}

// Apart says how many subscribers of this replica read on their own now.
func (s *Shared) Apart() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, l := range s.lanes {
		if h := l.shard.held; h != nil && (l.state == laneApart || l.state == laneParting) {
			n++
		}
	}
	return n
}

// Run reads until ctx ends, then gives everything away.
func (s *Shared) Run(ctx context.Context) error {
	reading, stop := context.WithCancel(context.WithoutCancel(ctx))
	var both sync.WaitGroup
	both.Go(func() { s.readLoop(reading) })
	both.Go(func() { s.keep(reading) })
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		if err := s.share(ctx); err != nil && ctx.Err() == nil {
			s.log.DebugContext(ctx, "shards cannot be shared out", "group", s.cfg.Name, "error", err)
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	for _, h := range s.holds() {
		s.leaving.Go(func() { s.release(context.WithoutCancel(ctx), h) })
	}
	s.leaving.Wait()
	stop()
	s.mu.Lock()
	s.roomy.Broadcast()
	s.mu.Unlock()
	both.Wait()
	s.leaving.Wait() // one more may have been lost meanwhile
	return nil
}

func (s *Shared) holds() []*hold {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*hold
	for _, sh := range s.shards {
		if sh.held != nil && !sh.held.releasing {
			out = append(out, sh.held)
		}
	}
	return out
}

func (s *Shared) key(n int) string { return fmt.Sprintf("%s.shard.%d", Token(s.cfg.Name), n) }

// share takes the shards that are ours by rendezvous hashing, and gives those away that are not.
func (s *Shared) share(ctx context.Context) error {
	live := s.cfg.Live()
	if !slices.Contains(live, s.cfg.Self) {
		return nil // who else is there is not known yet
	}
	var claim []int
	for n := range s.shards {
		ours := own.Owner(s.key(n), live) == s.cfg.Self
		s.mu.Lock()
		h := s.shards[n].held
		give := h != nil && !ours && !h.releasing
		s.mu.Unlock()
		switch {
		case give:
			s.leaving.Go(func() { s.release(context.WithoutCancel(ctx), h) })
		case h == nil && ours:
			claim = append(claim, n)
		}
	}
	if len(claim) == 0 {
		return nil
	}
	return s.acquire(ctx, claim, live)
}

// release gives a shard away once what its handlers have in hand is done, or goes back with the grace.
func (s *Shared) release(ctx context.Context, h *hold) {
	s.mu.Lock()
	if h.releasing {
		s.mu.Unlock()
		return
	}
	h.frozen = h.handed(s.read)
	h.releasing = true
	s.mu.Unlock()
	cut := time.AfterFunc(sharedGrace, func() { h.cut(ErrStopped) })
	// What waits is begun for a while yet. What was taken up before its subscriber had a consumer is acknowledged
	// through that: it would be done again.
	for ends := time.Now().Add(leaveWait); s.unfinished(h) && time.Now().Before(ends) && pause(ctx, leaveWait/200); {
	}
	s.mu.Lock()
	h.closing = true
	s.mu.Unlock()
	h.end()
	h.busy.Wait()
	cut.Stop()
	h.cut(nil)
	ctx, cancel := context.WithTimeout(ctx, sharedGrace)
	defer cancel()
	s.partAll(ctx, h)
	if err := s.save(ctx, h, ""); err != nil && fault.Of(err) != fault.Stale {
		s.log.WarnContext(
			ctx, "a shard was left without a word: others wait until this replica counts as gone", "group", s.cfg.Name,
			"shard", h.shard.n, "error", err,
		)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range h.shard.lanes {
		s.clear(l)
	}
	h.shard.held = nil
}

func (s *Shared) unfinished(h *hold) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.open.Len() > 0 {
		return true
	}
	for l := range h.shard.lanes {
		if l.unmet() {
			return true
		}
	}
	return false
}

// partAll gives a consumer of their own to those that have not done all that was handed out: the others of the shard
// would do again what they have done since.
func (s *Shared) partAll(ctx context.Context, h *hold) {
	s.mu.Lock()
	lanes := slices.Collect(maps.Keys(h.shard.lanes))
	s.mu.Unlock()
	for _, l := range lanes {
		s.mu.Lock()
		behind := !h.lost && l.state == laneShares && (len(l.waiting) > 0 || len(l.order) > 0)
		if behind {
			l.partAt = h.frozen + 1
		}
		s.mu.Unlock()
		if !behind {
			continue
		}
		if err := s.makeConsumer(ctx, l, h); err != nil {
			s.log.InfoContext(
				ctx, "what a shard has done is done again, since one subscriber has not", "subscriber", l.key, "error",
				err,
			)
			return
		}
		s.mu.Lock()
		s.clear(l)
		s.mu.Unlock()
	}
}

// lost ends the hold of a shard that another replica has taken.
func (s *Shared) lost(h *hold) {
	s.log.Warn(
		"a shard was taken by another replica, or its stream was made anew", "group", s.cfg.Name, "shard", h.shard.n,
	)
	s.mu.Lock()
	h.lost = true
	s.mu.Unlock()
	h.cut(ErrStopped)
	s.leaving.Go(func() { s.release(context.Background(), h) })
}

// handed is how far a shard was handed out, given how far the reader is.
func (h *hold) handed(read uint64) uint64 {
	if h.releasing {
		return h.frozen
	}
	return max(read, h.skip)
}

// floor is how far a shard is done.
func (h *hold) floor(read uint64) uint64 {
	if front := h.open.Front(); front != nil {
		return front.Value.(*open).seq - 1
	}
	return h.handed(read)
}

// save writes how far a shard is done, if it still is ours. An error of class stale means that it is not.
func (s *Shared) save(ctx context.Context, h *hold, holder string) error {
	h.saving.Lock()
	defer h.saving.Unlock()
	s.mu.Lock()
	floor, created := h.floor(s.read), s.created
	h.done = false
	s.mu.Unlock()
	r := holderRecord{Holder: holder, Floor: floor, Stream: created}
	if floor == h.began {
		r.Deaths = h.deaths
	}
	raw, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode position: %w", err)
	}
	kv := s.bus.KV(ReadersBucket)
	revision, err := kv.CompareAndSwap(ctx, s.key(h.shard.n), raw, h.revision)
	if err != nil && fault.Of(err) == fault.Stale {
		// Perhaps the answer to the last one was lost: it is ours as long as the record says so.
		if there, at, look := kv.Get(ctx, s.key(h.shard.n)); look == nil && heldBy(there) == s.cfg.Self {
			revision, err = kv.CompareAndSwap(ctx, s.key(h.shard.n), raw, at)
		}
	}
	if err != nil {
		s.mu.Lock()
		h.done = true
		s.mu.Unlock()
		return fmt.Errorf("save position of shard %d: %w", h.shard.n, err)
	}
	h.revision = revision
	s.mu.Lock()
	h.saved, h.savedAt = floor, time.Now()
	s.mu.Unlock()
	return nil
}

func heldBy(raw []byte) string {
	var r holderRecord
	if json.Unmarshal(raw, &r) != nil {
		return ""
	}
	return r.Holder
}

// keep saves positions, and lets those read on their own that are behind for too long.
func (s *Shared) keep(ctx context.Context) {
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, h := range s.holds() {
			s.mu.Lock()
			s.partFrom( //nolint:contextcheck // what a lane does lives as long as its shard
				h, time.Now().Add(-s.cfg.Hold),
			)
			idle := h.floor(s.read) == h.saved || !h.done && time.Since(h.savedAt) < idleSave
			s.mu.Unlock()
			if idle {
				continue
			}
			switch err := s.save(ctx, h, s.cfg.Self); {
			case fault.Of(err) == fault.Stale && err != nil:
				s.lost(h) //nolint:contextcheck // giving away outlives this
			case err != nil && ctx.Err() == nil:
				s.log.DebugContext(ctx, "position was not saved", "error", err)
			}
		}
	}
}

// partFrom lets those read on their own that hold events of before. The lock is held.
func (s *Shared) partFrom(h *hold, before time.Time) {
	for e := h.open.Front(); e != nil; {
		o := e.Value.(*open)
		e = e.Next() // what follows may close this one
		if o.since.After(before) {
			return
		}
		s.partAllOf(o)
	}
}

// acquire takes shards that nobody alive holds, and places their subscribers.
func (s *Shared) acquire(ctx context.Context, claim []int, live []string) error {
	stream, err := s.bus.js.Stream(ctx, s.cfg.Stream)
	if err != nil {
		return fmt.Errorf("look at stream %s: %w", s.cfg.Stream, err)
	}
	info := stream.CachedInfo()
	taken, err := s.claimAll(ctx, claim, live, info)
	if err != nil || len(taken) == 0 {
		return err
	}
	// What follows is read after the claims: nobody else changes it any more.
	there := map[string]bool{}
	names := stream.ConsumerNames(ctx)
	for name := range names.Name() {
		there[name] = true
	}
	if err := names.Err(); err != nil {
		return fmt.Errorf("list consumers of %s: %w", s.cfg.Stream, err)
	}
	records, err := s.records(ctx, info.Created)
	if err != nil {
		return err
	}
	if err := s.adopt(ctx, taken, records, there); err != nil {
		return err
	}
	s.placed(taken, info.Created, records, there) //nolint:contextcheck // what a lane does lives as long as its shard
	s.cfg.Gained()
	return nil
}

func (s *Shared) claimAll(
	ctx context.Context, claim []int, live []string, info *jetstream.StreamInfo,
) (taken []*hold, err error) {
	for _, n := range claim {
		h, err := s.claim(ctx, n, live, info.Created, info.State.LastSeq)
		if err != nil && fault.Of(err) != fault.Stale {
			return nil, err
		}
		if h != nil {
			taken = append(taken, h)
		}
	}
	return taken, nil
}

// placed places the subscribers of shards that were taken, and tells those that share already.
func (s *Shared) placed(taken []*hold, created time.Time, records map[string]subscriberRecord, there map[string]bool) {
	s.mu.Lock()
	s.created = created
	s.place(taken, records, there)
	refused := s.refused
	var tell []func(error)
	for _, h := range taken {
		for l := range h.shard.lanes {
			if l.state == laneShares && l.now != nil {
				tell = append(tell, l.now.spec.Declared)
			}
		}
	}
	s.mu.Unlock()
	for _, declared := range tell {
		declared(refused)
	}
}

// claim takes one shard; nil means that somebody alive holds it.
func (s *Shared) claim(ctx context.Context, n int, live []string, created time.Time, last uint64) (*hold, error) {
	kv := s.bus.KV(ReadersBucket)
	var r holderRecord
	raw, revision, err := kv.Get(ctx, s.key(n))
	switch {
	case errors.Is(err, ErrNotFound):
	case err != nil:
		return nil, err
	default:
		if err := json.Unmarshal(raw, &r); err != nil {
			return nil, fault.Poisonf("position of shard %d: %w", n, err)
		}
	}
	if r.Holder != "" && r.Holder != s.cfg.Self && slices.Contains(live, r.Holder) {
		return nil, nil
	}
	switch {
	case !r.Stream.Equal(created): // nobody shares it yet
		r.Floor, r.Deaths = last, 0
	case r.Holder != "":
		r.Deaths++
	}
	r.Holder, r.Stream = s.cfg.Self, created
	if raw, err = json.Marshal(r); err != nil {
		return nil, fmt.Errorf("encode position: %w", err)
	}
	if revision, err = kv.CompareAndSwap(ctx, s.key(n), raw, revision); err != nil {
		return nil, err
	}
	h := &hold{
		shard:    s.shards[n],
		deaths:   r.Deaths,
		began:    r.Floor,
		skip:     r.Floor,
		revision: revision,
		saved:    r.Floor,
		savedAt:  time.Now(),
	}
	if r.Deaths >= deathsMost {
		h.careful = last
		s.log.WarnContext(
			ctx, "an event may kill who handles it: what comes next is counted for each subscriber", "group",
			s.cfg.Name, "shard", n, "deaths", r.Deaths, "from", r.Floor,
		)
	}
	h.life, h.end = context.WithCancel(context.WithoutCancel(ctx))
	h.handling, h.cut = context.WithCancelCause(context.WithoutCancel(ctx))
	return h, nil
}

// place gives each subscriber of shards that were taken its place. The lock is held.
func (s *Shared) place(taken []*hold, records map[string]subscriberRecord, there map[string]bool) {
	reading, lowest := false, taken[0].began
	for _, sh := range s.shards {
		reading = reading || sh.held != nil && !sh.held.releasing
	}
	for _, h := range taken {
		lowest = min(lowest, h.began)
	}
	if !reading {
		s.read = lowest
	} else if lowest < s.read {
		// The reader goes back for the new ones; the others have seen what is in between.
		for _, sh := range s.shards {
			if sh.held != nil {
				sh.held.skip = max(sh.held.skip, s.read)
			}
		}
		s.read = lowest
	}
	for _, h := range taken {
		h.shard.held = h
		for l := range h.shard.lanes {
			r, known := records[l.id]
			switch {
			case there[l.name]:
				s.tend(l, h, s.apart)
			case known:
				l.state, l.from = laneShares, max(r.From, h.began)
				s.join(l)
			default:
				s.tend(l, h, s.begin)
			}
		}
	}
	s.reread()
}
