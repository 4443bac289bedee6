package metric

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/expirable"
)

const (
	// sharedAge is how old an answer may be that another run is given. It is also never older than half an interval,
	// nor than the run itself: what was true before a canary began says nothing about it.
	sharedAge = 10 * time.Second
	// sharedKept bounds the answers that are remembered, of at most a mebibyte each and usually of some bytes.
	sharedKept = 256
)

// shared makes the same question of many runs one question: a rollout in fifty namespaces must not be fifty queries.
// The key is all that makes the question: the provider with its address, credentials and query, and the namespace.
// Only the hash of it is kept. Safe for concurrent use.
type shared struct {
	kind    string
	query   Query
	now     func() time.Time
	mu      sync.Mutex
	flights map[key]*flight
	answers *expirable.LRU[key, answer]
}

type key [sha256.Size]byte

type answer struct {
	Outcome

	asked time.Time
}

// flight is a question that is being asked.
type flight struct {
	asked time.Time
	done  chan struct{}
	out   Outcome
	err   error
}

func newShared(kind string, query Query, now func() time.Time) *shared {
	return &shared{
		kind: kind, query: query, now: now, flights: map[key]*flight{},
		answers: expirable.NewLRU[key, answer](sharedKept, nil, sharedAge),
	}
}

func (s *shared) ask(ctx context.Context, r Request) (Outcome, error) {
	k, err := s.key(r)
	if err != nil {
		return Outcome{}, err
	}
	s.mu.Lock()
	oldest := s.oldest(r)
	// A run that measures once wants to know how things are now.
	if a, is := s.answers.Get(k); is && r.Interval > 0 && !a.asked.Before(oldest) {
		s.mu.Unlock()
		return a.Outcome, nil
	}
	f, is := s.flights[k]
	if !is || f.asked.Before(oldest) {
		f = &flight{asked: s.now(), done: make(chan struct{})}
		s.flights[k] = f
		// The run that asked first may go away while others wait. Each query has its own end.
		go s.fly(context.WithoutCancel(ctx), k, f, r)
	}
	s.mu.Unlock()
	select {
	case <-f.done:
		return f.out, f.err
	case <-ctx.Done():
		return Outcome{}, fmt.Errorf("wait for the answer: %w", context.Cause(ctx))
	}
}

func (s *shared) fly(ctx context.Context, k key, f *flight, r Request) {
	// What the query reads from Secrets is hidden before others see what came of it.
	r.Hidden = r.Hidden.Clone()
	f.out, f.err = safely(func() (Outcome, error) { return s.query(ctx, r) })
	f.out, f.err = f.out.shown(r.Hidden), r.Hidden.Error(f.err)
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.err == nil {
		s.answers.Add(k, answer{Outcome: f.out, asked: f.asked})
	}
	if s.flights[k] == f {
		delete(s.flights, k)
	}
	close(f.done)
}

// oldest is since when an answer must have been asked for.
func (s *shared) oldest(r Request) time.Time {
	at := s.now().Add(-sharedAge)
	if r.Interval > 0 {
		at = s.now().Add(-min(sharedAge, r.Interval/2))
	}
	if r.Run != nil && r.Run.Status.StartedAt != nil && at.Before(r.Run.Status.StartedAt.Time) {
		at = r.Run.Status.StartedAt.Time
	}
	return at
}

func (s *shared) key(r Request) (key, error) {
	text, err := json.Marshal(r.Metric.Provider)
	if err != nil {
		return key{}, fmt.Errorf("encode the provider: %w", err)
	}
	namespace := ""
	if r.Run != nil {
		namespace = r.Run.Namespace
	}
	return sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%s", s.kind, namespace, text)), nil
}
