package bus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// objectSilence is how long the server may send nothing while somebody waits for it.
	objectSilence = 30 * time.Second
	// objectGlance is after how long a waiting reader looks whether it is still wanted.
	objectGlance = time.Second
)

// Put streams r into the named object, replacing it. It may take as long as r does, unless ctx says otherwise; only a
// server that confirms nothing for objectSilence ends it.
func (o Objects) Put(ctx context.Context, name string, r io.Reader) error {
	store, err := o.open(ctx)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	up := &upload{from: r, watch: time.AfterFunc(objectSilence, func() { stop(errSilent) })}
	defer up.watch.Stop()
	if _, err := store.Put(distant{ctx}, jetstream.ObjectMeta{Name: name}, up); err != nil {
		return fmt.Errorf("put object %s/%s: %w", o.bucket, name, errors.Join(classed(err), context.Cause(ctx)))
	}
	return nil
}

// upload watches the server, but not while it is the sender that is waited for.
type upload struct {
	from  io.Reader
	watch *time.Timer
}

// Read takes the next part from the sender.
func (u *upload) Read(p []byte) (int, error) {
	u.watch.Stop()
	defer u.watch.Reset(objectSilence)
	return u.from.Read(p)
}

// distant is a context with a deadline that nobody reaches: without one the library would give the server five seconds
// for all chunks that are under way.
type distant struct{ context.Context } //nolint:containedctx // it is a context

// Deadline is far away, or the context's own.
func (d distant) Deadline() (time.Time, bool) {
	if own, ok := d.Context.Deadline(); ok {
		return own, true
	}
	return time.Now().Add(24 * time.Hour), true
}

// Open streams the named object out, or returns an error that is both
// ErrNotFound and the library's own. Reading may take as long as the reader wants, unless ctx says otherwise; only a
// server that is silent for objectSilence ends it.
func (o Objects) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	store, err := o.open(ctx)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancelCause(ctx)
	watch := time.AfterFunc(objectSilence, func() { stop(errSilent) })
	body, err := store.Get(sliding{ctx}, name)
	watch.Stop()
	if err == nil {
		return &download{ctx: ctx, body: body, stop: func() { stop(nil) }}, nil
	}
	err = errors.Join(err, context.Cause(ctx))
	stop(nil)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return nil, fmt.Errorf("object %s/%s: %w", o.bucket, name, errors.Join(ErrNotFound, err))
	}
	return nil, fmt.Errorf("open object %s/%s: %w", o.bucket, name, err)
}

var errSilent = fmt.Errorf("the server sent nothing for %s", objectSilence)

// sliding is a context whose deadline moves on. The library gives an object without a deadline five seconds as a whole,
// and looks at the deadline anew before each read: this one bounds the wait for the next bytes.
type sliding struct{ context.Context } //nolint:containedctx // it is a context

// Deadline is a glance away, or the context's own.
func (s sliding) Deadline() (time.Time, bool) {
	glance := time.Now().Add(objectGlance)
	if own, ok := s.Context.Deadline(); ok && own.Before(glance) {
		return own, true
	}
	return glance, true
}

// download is an object on its way. Between two reads no time counts: a slow reader is not a silent server.
type download struct {
	ctx  context.Context //nolint:containedctx // of the transfer, which outlives the call that begins it
	body io.ReadCloser
	stop func()
}

// Read waits for the server as long as it says something now and then.
func (d *download) Read(p []byte) (int, error) {
	for range int(objectSilence / objectGlance) {
		n, err := d.body.Read(p)
		// The library tells a glance that is over as nothing read, and no error.
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
		if d.ctx.Err() != nil {
			return 0, context.Cause(d.ctx)
		}
	}
	return 0, errSilent
}

// Close ends the transfer.
func (d *download) Close() error {
	d.stop()
	return d.body.Close()
}
