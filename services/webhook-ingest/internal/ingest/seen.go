package ingest

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"sync"
	"sync/atomic"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
)

// seen knows the deliveries that the bus holds, for longer than the stream's own window of message ids: senders
// redeliver for days. It is a copy of what the stream says, so that nothing can get lost between the two, and a look at
// it costs no round trip. What this replica stores it knows without reading it again. What another replica stores
// arrives here within milliseconds; the stream's window covers those.
//
// An id is held as 64 bits: among ten million, one in 10^12 new deliveries would be
// mistaken for an old one. A million takes about 25 MB; the byte limit of the stream
// bounds them.
type seen struct {
	mu    sync.RWMutex
	ids   map[uint64]int32 // to the hour since 1970 when it was stored
	ready atomic.Bool
	known bus.Known
}

func newSeen() *seen { return &seen{ids: map[uint64]int32{}} }

func short(id string) (uint64, bool) {
	var b [8]byte
	if len(id) < 16 {
		return 0, false
	}
	if _, err := hex.Decode(b[:], []byte(id[:16])); err != nil {
		return 0, false // not one of ours
	}
	return binary.BigEndian.Uint64(b[:]), true
}

func (s *seen) has(id string) bool {
	key, ok := short(id)
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, known := s.ids[key]
	return ok && known
}

// stored adds what this replica stored, and where.
func (s *seen) stored(id string, at time.Time, where bus.Stored) {
	s.add(id, at)
	s.known.Stored(where.Sequence)
}

func (s *seen) add(id string, at time.Time) {
	key, ok := short(id)
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ids[key] = int32(at.Unix() / 3600)
}

// forget drops what was stored before a time.
func (s *seen) forget(before time.Time) {
	hour := int32(before.Unix() / 3600)
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, at := range s.ids {
		if at < hour {
			delete(s.ids, key)
		}
	}
}

func (s *seen) len() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.ids)
}

// run keeps the copy until ctx ends. While the stream cannot be read it is not
// ready; hooks then wait in the local log.
func (s *seen) run(ctx context.Context, b *bus.Bus, memory time.Duration) error {
	since := time.Now().Add(-memory)
	sweep := time.NewTicker(time.Hour)
	defer sweep.Stop()
	for ctx.Err() == nil {
		reading, stop := context.WithCancel(ctx)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			// Whatever ended it, the next reading goes on where this one stopped.
			_ = b.Recall(reading, bus.Events, since, &s.known, s.add, func() { s.ready.Store(true) })
		}()
		s.await(ctx, ended, sweep.C, memory)
		stop()
		s.ready.Store(false)
		select {
		case <-ctx.Done():
		case <-time.After(forwardPause):
		}
	}
	return nil
}

// await sweeps until the reading ends.
func (s *seen) await(ctx context.Context, ended <-chan struct{}, sweep <-chan time.Time, memory time.Duration) {
	for {
		select {
		case <-ended:
			return
		case now := <-sweep:
			s.forget(now.Add(-memory))
		case <-ctx.Done():
			<-ended
			return
		}
	}
}
