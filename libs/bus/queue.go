package bus

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Empty is Consume for a queue that has nothing most of the time: it returns once nothing was left for idle, and
// removes the consumer then, whose waiting costs the server. Whoever puts something on the queue calls it again.
func (b *Bus) Empty(ctx context.Context, c Consumer, idle time.Duration, h Handler) {
	for ctx.Err() == nil && !b.emptied(ctx, c, idle, h) {
	}
}

func (b *Bus) emptied(ctx context.Context, c Consumer, idle time.Duration, h Handler) bool {
	enough, ended := make(chan struct{}), make(chan struct{})
	var handled atomic.Int64
	w := b.worker(ctx, c, h)
	w.enough = enough
	w.progress = func(uint64, uint64) { handled.Add(1) }
	go func() {
		defer close(ended)
		defer w.end(ctx)()
		w.pullAll(ctx)
	}()
	for before := int64(-1); ; {
		if !pause(ctx, idle) {
			<-ended
			return false
		}
		now := handled.Load()
		if now == before && b.atRest(ctx, c) {
			break
		}
		before = now
	}
	close(enough)
	<-ended
	return b.atRest(ctx, c) && b.DeleteConsumer(ctx, c.Stream, c.Name) == nil
}

// pullAll pulls until ctx ends or it is enough.
func (w *worker) pullAll(ctx context.Context) {
	for ctx.Err() == nil {
		err := w.pull(ctx)
		select {
		case <-w.enough:
			return
		default:
		}
		if err != nil && ctx.Err() == nil {
			w.bus.log.WarnContext(ctx, "consumer interrupted", "consumer", w.consumer.Name, "error", err)
			pause(ctx, reconnectWait)
		}
	}
}

// atRest says that a consumer has nothing to do.
func (b *Bus) atRest(ctx context.Context, c Consumer) bool {
	cons, err := b.js.Consumer(ctx, c.Stream, c.Name)
	if err != nil {
		return false
	}
	info := cons.CachedInfo()
	return info.NumPending == 0 && info.NumAckPending == 0
}

// Subjects says how many messages a stream holds of each subject of a filter.
func (b *Bus) Subjects(ctx context.Context, stream, filter string) (map[string]uint64, error) {
	s, err := b.js.Stream(ctx, stream)
	if err != nil {
		return nil, fmt.Errorf("open stream %s: %w", stream, err)
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(filter))
	if err != nil {
		return nil, fmt.Errorf("list subjects of %s: %w", stream, err)
	}
	return info.State.Subjects, nil
}

// Consumers lists the consumers of a stream whose names begin with prefix.
func (b *Bus) Consumers(ctx context.Context, stream, prefix string) ([]string, error) {
	s, err := b.js.Stream(ctx, stream)
	if err != nil {
		return nil, fmt.Errorf("open stream %s: %w", stream, err)
	}
	var names []string
	list := s.ConsumerNames(ctx)
	for name := range list.Name() {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	if err := list.Err(); err != nil {
		return nil, fmt.Errorf("list consumers of %s: %w", stream, err)
	}
	return names, nil
}
