package bus

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	pullExpiry    = 10 * time.Second
	pullHeartbeat = 2 * time.Second
	// gathered bounds what is fetched together.
	gathered = 256
)

// source is where a worker has its messages from.
type source interface {
	Next(opts ...jetstream.NextOpt) (jetstream.Msg, error)
	Stop()
	// Drain ends the source once what has come was had by Next.
	Drain()
}

// source opens the messages of a consumer until ctx ends.
func (w *worker) source(ctx context.Context, cons jetstream.Consumer) (source, error) {
	if w.consumer.Linger > 0 {
		ctx, stop := context.WithCancel(ctx)
		return &gatherer{ctx: ctx, stop: stop, consumer: cons, linger: w.consumer.Linger}, nil
	}
	it, err := cons.Messages(
		jetstream.PullMaxMessages(max(2*w.consumer.Concurrency, 64)), jetstream.PullHeartbeat(pullHeartbeat),
		jetstream.PullExpiry(pullExpiry),
	)
	if err != nil {
		return nil, err
	}
	return &iterator{MessagesContext: it, unhook: context.AfterFunc(ctx, it.Stop)}, nil
}

// iterator has each message as soon as it is stored.
type iterator struct {
	jetstream.MessagesContext
	unhook func() bool
}

func (i *iterator) Stop() {
	i.unhook()
	i.MessagesContext.Stop()
}

// gatherer waits for the first message, and then fetches what gathered meanwhile for as long as there is something: a
// message that comes alone wakes the server, the kernel and this process, and many cost little more.
type gatherer struct {
	ctx      context.Context //nolint:containedctx // of the worker, whose loop this is
	stop     context.CancelFunc
	consumer jetstream.Consumer
	linger   time.Duration

	batch  jetstream.MessageBatch
	done   context.CancelFunc // of the batch
	coming bool               // the last batch had something
}

func (g *gatherer) Stop() { g.stop() }

func (g *gatherer) Drain() { g.stop() }

func (g *gatherer) Next(...jetstream.NextOpt) (jetstream.Msg, error) {
	for {
		if g.batch == nil {
			if err := g.fetch(); err != nil {
				return nil, err
			}
		}
		if m, ok := <-g.batch.Messages(); ok {
			g.coming = true
			return m, nil
		}
		err := g.batch.Error()
		g.done()
		g.batch = nil
		if err != nil && g.ctx.Err() == nil {
			return nil, err
		}
	}
}

func (g *gatherer) fetch() (err error) {
	if g.coming {
		g.coming = false
		if pause(g.ctx, g.linger) {
			g.batch, err = g.consumer.FetchNoWait(gathered)
			g.done = func() {}
			return err
		}
	}
	if err := g.ctx.Err(); err != nil {
		return err
	}
	var waiting context.Context
	waiting, g.done = context.WithTimeout(g.ctx, pullExpiry)
	g.batch, err = g.consumer.Fetch(1, jetstream.FetchContext(waiting), jetstream.FetchHeartbeat(pullHeartbeat))
	if err != nil {
		g.done()
	}
	return err
}
