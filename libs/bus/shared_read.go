package bus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

// errGap means that the server sent something that did not come here.
var errGap = errors.New("messages are missing")

// readLoop reads for all that share, until ctx ends.
func (s *Shared) readLoop(ctx context.Context) {
	for ctx.Err() == nil {
		err := s.readOnce(ctx)
		if err == nil || ctx.Err() != nil {
			continue
		}
		s.log.WarnContext(ctx, "shared reader interrupted", "group", s.cfg.Name, "error", err)
		s.tellRefused(err)
		pause(ctx, reconnectWait)
	}
}

// tellRefused tells those that share when the server does not take the reader, and when it does again.
func (s *Shared) tellRefused(err error) {
	if err != nil && !errors.Is(err, ErrRefused) {
		return
	}
	s.mu.Lock()
	changed := (err == nil) != (s.refused == nil)
	s.refused = err
	var tell []func(error)
	for _, l := range s.lanes {
		if changed && l.now != nil && (l.state == laneShares || l.state == laneJoins) {
			tell = append(tell, l.now.spec.Declared)
		}
	}
	s.mu.Unlock()
	for _, declared := range tell {
		declared(err)
	}
}

// reread has the reader begin anew after what it handed out. The lock is held.
func (s *Shared) reread() {
	s.again = true
	if s.interrupt != nil {
		s.interrupt()
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// covers says whether the reader has what filters want, or will as soon as it is there. The lock is held.
func (s *Shared) covers(filters []string) bool {
	if s.again {
		return false
	}
	return s.wide || !slices.ContainsFunc(filters, func(f string) bool { return !s.covered[f] })
}

// readOnce reads until it is told to begin anew, which is no error, or the server is away.
func (s *Shared) readOnce(ctx context.Context) error {
	s.mu.Lock()
	if len(s.wanted) == 0 {
		s.again, s.creating, s.wide, s.covered = false, false, false, nil
		s.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-s.wake:
		}
		return nil
	}
	ctx, s.interrupt = context.WithCancel(ctx)
	defer s.interrupt()
	filters := slices.Collect(maps.Keys(s.wanted))
	wide := len(filters) > exactMost ||
		slices.ContainsFunc(filters, func(f string) bool { return strings.ContainsAny(f, "*>") })
	s.again, s.creating = false, true
	s.wide, s.covered = wide, map[string]bool{}
	for _, f := range filters {
		s.covered[f] = true
	}
	after, created := s.read, s.created
	s.mu.Unlock()

	if err := s.sameStream(ctx, created); err != nil {
		return err
	}
	connections := s.bus.nc.Stats().Reconnects
	cfg := jetstream.ConsumerConfig{
		// said here, so that one is removed whose making was interrupted
		Name:          kvToken(s.cfg.Name) + "-shared-" + nuid.Next(),
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: after + 1, FilterSubjects: filters,
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: readerKept,
	}
	if wide {
		cfg.FilterSubjects = []string{s.cfg.Subject}
	}
	defer func() {
		bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = s.bus.js.DeleteConsumer(bye, s.cfg.Stream, cfg.Name) // or the server does, when it is not asked any more
	}()
	cons, err := s.bus.js.CreateConsumer(ctx, s.cfg.Stream, cfg)
	if err != nil {
		return s.unlessTold(ctx, fmt.Errorf("declare the shared reader of %s: %w", s.cfg.Stream, refusedBy(err)))
	}
	s.nowCovered(ctx)
	s.tellRefused(nil)
	src := &gatherer{ctx: ctx, stop: s.interrupt, consumer: cons, linger: readLinger}
	for expected := uint64(1); ; expected++ {
		m, err := src.Next() //nolint:contextcheck // it has the context of this call
		if err != nil {
			return s.unlessTold(ctx, fmt.Errorf("read %s: %w", s.cfg.Stream, err))
		}
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("read %s: %w", s.cfg.Stream, err)
		}
		if meta.Sequence.Consumer != expected {
			return fmt.Errorf("message %d came where %d was to come: %w", meta.Sequence.Consumer, expected, errGap)
		}
		if !s.dispatch(ctx, m, meta) {
			return nil
		}
		if s.bus.nc.Stats().Reconnects != connections {
			return nil // what was on its way is lost
		}
	}
}

func (s *Shared) unlessTold(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return nil
}

// sameStream gives all shards up when the stream was made anew: its sequences mean something else.
func (s *Shared) sameStream(ctx context.Context, created time.Time) error {
	stream, err := s.bus.js.Stream(ctx, s.cfg.Stream)
	if err != nil {
		return s.unlessTold(ctx, fmt.Errorf("look at stream %s: %w", s.cfg.Stream, err))
	}
	if stream.CachedInfo().Created.Equal(created) {
		return nil
	}
	for _, h := range s.holds() {
		s.lost(h) //nolint:contextcheck // giving away outlives the reader
	}
	pause(ctx, reconnectWait)
	return nil
}

// nowCovered lets those go on that waited for the reader to have what they want.
func (s *Shared) nowCovered(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		return // it is to begin anew already
	}
	s.creating = false
	for _, l := range s.lanes {
		if l.state == laneJoins && l.covered != nil && s.covers(l.filters) {
			s.reserved(l)
		}
	}
}

// dispatch hands an event to those that want it, and waits for room. False means that the reader was told to begin
// anew.
func (s *Shared) dispatch(ctx context.Context, m jetstream.Msg, meta *jetstream.MsgMetadata) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil || s.again {
		return false
	}
	s.read = meta.Sequence.Stream
	e := &arrived{msg: m, meta: meta}
	var opened [shardCount]*open
	s.interest.match(m.Subject(), func(l *lane) { //nolint:contextcheck // what a lane does lives as long as its shard
		if !l.takes(meta) {
			return
		}
		o := opened[l.shard.n]
		if o == nil {
			o = s.opened(l.shard.held, e)
			opened[l.shard.n] = o
		}
		s.append(l, &item{lane: l, open: o, event: e})
	})
	for s.full() && ctx.Err() == nil && !s.again {
		s.makeRoom(ctx)
	}
	return true
}

// takes says whether an event is for a lane, and counts it as seen. The lock is held.
func (l *lane) takes(meta *jetstream.MsgMetadata) bool {
	seq, h := meta.Sequence.Stream, l.shard.held
	if l.mark == seq || h == nil || h.releasing || seq <= h.skip || seq <= l.from ||
		l.state != laneShares && l.state != laneJoins {
		return false
	}
	l.mark = seq
	return l.now == nil || !meta.Timestamp.Before(l.now.spec.Since)
}

// opened enters an event into a shard, until it is done. The lock is held.
func (s *Shared) opened(h *hold, e *arrived) *open {
	o := &open{hold: h, seq: e.meta.Sequence.Stream, size: len(e.msg.Data()), since: time.Now()}
	o.at = h.open.PushBack(o)
	s.opens++
	s.bytes += o.size
	return o
}

// makeRoom lets those read on their own that hold the oldest events, and waits for something to be done. The lock is
// held.
func (s *Shared) makeRoom(ctx context.Context) {
	for _, sh := range s.shards {
		if sh.held == nil {
			continue
		}
		if front := sh.held.open.Front(); front != nil {
			s.partAllOf(front.Value.(*open)) //nolint:contextcheck // what a lane does lives as long as its shard
		}
	}
	unhook := context.AfterFunc(ctx, func() { s.mu.Lock(); s.roomy.Broadcast(); s.mu.Unlock() })
	defer unhook()
	if s.full() {
		s.roomy.Wait()
	}
}

// partAllOf lets those read on their own that have not done an event. The lock is held.
func (s *Shared) partAllOf(o *open) {
	for _, it := range o.items {
		if !it.closed {
			s.part(it.lane)
		}
	}
}

func (s *Shared) full() bool { return s.opens > windowMost || s.bytes > windowBytes }
