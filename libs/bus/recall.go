package bus

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// recallPause is how often a recall that has seen everything looks for more.
	recallPause = 250 * time.Millisecond
	// recallBatch bounds what is asked for at once.
	recallBatch = 2048
	// recallKept is how long the server keeps the place of a recall that asks no more.
	recallKept = time.Minute
)

// Known is how much of a stream a process knows: what a recall has told it, and what it stored itself, which need not
// be read again. The zero value knows nothing. Safe for concurrent use.
type Known struct {
	mu    sync.Mutex
	born  time.Time           // of the stream
	upTo  uint64              // everything up to here is known
	ahead map[uint64]struct{} // what is known beyond
}

// Stored notes what the process stored, once whoever asks knows it.
func (k *Known) Stored(sequence uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if sequence <= k.upTo {
		return
	}
	if sequence > k.upTo+1 || k.born.IsZero() {
		if k.ahead == nil {
			k.ahead = map[uint64]struct{}{}
		}
		k.ahead[sequence] = struct{}{}
		return
	}
	k.upTo = sequence
	k.join()
}

// join moves on over what is known already.
func (k *Known) join() {
	for len(k.ahead) > 0 {
		if _, ok := k.ahead[k.upTo+1]; !ok {
			return
		}
		k.upTo++
		delete(k.ahead, k.upTo)
	}
}

// reached notes that everything up to a sequence is known.
func (k *Known) reached(sequence uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if sequence <= k.upTo {
		return
	}
	k.upTo = sequence
	for known := range k.ahead {
		if known <= sequence {
			delete(k.ahead, known)
		}
	}
	k.join()
}

// of notes which stream it is about. Of another one nothing is known, nor of one that has lost what it had: known is up
// to where it was known before it was looked at.
func (k *Known) of(born time.Time, last, known uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.born.Equal(born) && last >= known {
		return
	}
	if !k.born.IsZero() {
		k.ahead = nil
	}
	k.born, k.upTo = born, 0
}

// Recall tells see the message id of every event that a stream holds since a time, in order, and then of new ones, soon
// after they are stored, until ctx ends or the stream cannot be read. It calls ready once, when all that was there has
// been seen. What is known is passed over, and what is seen becomes known: a recall with the same Known goes on where
// one before it ended. Bodies are not transferred.
func (b *Bus) Recall(
	ctx context.Context, stream string, since time.Time, known *Known, see func(id string, stored time.Time),
	ready func(),
) error {
	r := recall{bus: b, stream: stream, since: since, known: known, see: see}
	defer r.drop(ctx)
	if err := r.run(ctx, ready); err != nil && ctx.Err() == nil {
		return fmt.Errorf("recall %s: %w", stream, err)
	}
	return nil
}

type recall struct {
	bus    *Bus
	stream string
	since  time.Time
	known  *Known
	see    func(id string, stored time.Time)

	consumer jetstream.Consumer // nil while there is nothing to read
	read     uint64             // messages of this consumer
}

func (r *recall) run(ctx context.Context, ready func()) error {
	last, err := r.look(ctx)
	if err != nil {
		return err
	}
	for target := last; ; {
		if err := r.readTo(ctx, target); err != nil {
			return err
		}
		if ready != nil {
			ready()
			ready = nil
		}
		if !pause(ctx, recallPause) {
			return nil
		}
		// What was stored since the last look may be our own, with its confirmation still on the way.
		target = last
		if last, err = r.look(ctx); err != nil {
			return err
		}
	}
}

// look returns the last sequence of the stream. When it is another stream than before, nothing of it is known.
func (r *recall) look(ctx context.Context) (last uint64, err error) {
	known := r.known.next() - 1
	s, err := r.bus.js.Stream(ctx, r.stream)
	if err != nil {
		return 0, err
	}
	info := s.CachedInfo()
	r.known.of(info.Created, info.State.LastSeq, known)
	return info.State.LastSeq, nil
}

// readTo reads what is not known up to a sequence.
func (r *recall) readTo(ctx context.Context, target uint64) error {
	from := r.known.next()
	if from > target {
		r.drop(ctx)
		return nil
	}
	if r.consumer == nil {
		if err := r.open(ctx, from); err != nil {
			return err
		}
	}
	for ctx.Err() == nil && r.known.next() <= target {
		if err := r.batch(ctx, target); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// next is the first sequence that is not known.
func (k *Known) next() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.upTo + 1
}

func (r *recall) open(ctx context.Context, from uint64) (err error) {
	c := jetstream.ConsumerConfig{
		HeadersOnly: true, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from,
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: recallKept,
	}
	if from == 1 {
		c.DeliverPolicy, c.OptStartSeq, c.OptStartTime = jetstream.DeliverByStartTimePolicy, 0, &r.since
	}
	r.read = 0
	r.consumer, err = r.bus.js.CreateConsumer(ctx, r.stream, c)
	return err
}

// drop gives the place in the stream up. Where it fails, the server forgets it by itself.
func (r *recall) drop(ctx context.Context) {
	if r.consumer == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recallPause)
	defer cancel()
	_ = r.bus.js.DeleteConsumer(ctx, r.stream, r.consumer.CachedInfo().Name)
	r.consumer = nil
}

// batch sees what is there, up to a bound. When nothing is left, everything up to target is known.
func (r *recall) batch(ctx context.Context, target uint64) error {
	batch, err := r.consumer.FetchNoWait(recallBatch)
	if err != nil {
		return err
	}
	before, left := r.read, true
	for m := range batch.Messages() {
		meta, err := m.Metadata()
		if err != nil {
			return err
		}
		if meta.Sequence.Consumer != r.read+1 {
			return fmt.Errorf("message %d came after %d", meta.Sequence.Consumer, r.read)
		}
		r.read, left = r.read+1, meta.NumPending > 0
		r.see(m.Headers().Get(nats.MsgIdHdr), meta.Timestamp)
		r.known.reached(meta.Sequence.Stream)
	}
	if err := batch.Error(); err != nil {
		return err
	}
	if r.read == before {
		// Nothing came, though there should be more: it was removed, or the server is away.
		info, err := r.consumer.Info(ctx)
		if err != nil {
			return err
		}
		left = info.NumPending > 0
	}
	if !left {
		r.known.reached(target)
	}
	return nil
}
