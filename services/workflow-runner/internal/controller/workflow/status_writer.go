package workflow

import (
	"context"
	"sync"
	"time"
)

// showPatience bounds the writing of one status.
const showPatience = 30 * time.Second

// statusWriter are the statuses that are being written, by uid. They outlive what is known of a run: two of one object
// at once could come in either order.
type statusWriter struct {
	mu    sync.Mutex
	under map[string]chan error
}

func newShows() *statusWriter { return &statusWriter{under: map[string]chan error{}} }

func (s *statusWriter) busy(uid string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.under[uid] != nil
}

func (s *statusWriter) drop(uid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.under, uid)
}

// begin lets a status be written beside. There must be none of the object under way.
func (s *statusWriter) begin(ctx context.Context, uid string, write func(context.Context) error, failed func()) {
	done := make(chan error, 1)
	s.mu.Lock()
	s.under[uid] = done
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), showPatience)
	go func() {
		defer cancel()
		err := write(ctx)
		if err == nil {
			s.drop(uid)
		}
		done <- err
		if err != nil {
			failed()
		}
	}()
}

// end says what became of the status under way, if there is one and it is through; wait waits for that.
func (s *statusWriter) end(ctx context.Context, uid string, wait bool) error {
	s.mu.Lock()
	done := s.under[uid]
	s.mu.Unlock()
	if done == nil || !wait && len(done) == 0 {
		return nil
	}
	select {
	case err := <-done:
		s.drop(uid)
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
