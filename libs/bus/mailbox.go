package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A mailbox is a bucket by which the mesh speaks with somebody outside of it who must not ask its streams anything:
// whoever may ask a stream may have the answer sent to any subject, and so write where it must not.
//
// The bucket is the mesh's alone. What the owner publishes on agents.<owner>.up.> is stored as its keys up.>; whatever
// is stored is said once more on agents.<owner>.said.>, to which the owner listens. It needs no other right than these
// two. It is told at once what changes; what was said before it listened is repeated when it asks, by Repeat.
const (
	mailRoot   = "agents."
	mailUp     = ".up"
	mailSaid   = ".said."
	mailBucket = "agent-"

	// currentKey is said of no key: all was repeated.
	currentKey = "current"

	headerSequence  = "Nats-Sequence"
	headerOperation = "KV-Operation"
)

// mailKeys bounds the keys of a mailbox.
const mailKeys = 20_000

// MailboxBucket is the bucket of an owner's mailbox.
func MailboxBucket(owner string) string { return mailBucket + owner }

// DeclareMailbox creates or updates the mailbox of an owner, which holds the last value of each key and at most so many
// bytes. Full means that writers are refused.
func (b *Bus) DeclareMailbox(ctx context.Context, owner string, bytes int64, replicas int) error {
	keys := "$KV." + MailboxBucket(owner)
	cfg := jetstream.StreamConfig{
		Name: "KV_" + MailboxBucket(owner), Subjects: []string{keys + ".>", mailRoot + owner + mailUp + ".>"},
		SubjectTransform: &jetstream.SubjectTransformConfig{
			Source: mailRoot + owner + mailUp + ".>", Destination: keys + mailUp + ".>",
		},
		RePublish: &jetstream.RePublish{Source: keys + ".>", Destination: mailRoot + owner + mailSaid + ">"},
		Storage:   jetstream.FileStorage, Replicas: replicas, MaxMsgsPerSubject: 1, MaxBytes: bytes,
		MaxMsgs: mailKeys,
		Discard: jetstream.DiscardNew, AllowRollup: true, DenyDelete: true, AllowDirect: true,
		MaxConsumers: maxConsumers,
	}
	if err := b.declareStream(ctx, cfg); err != nil {
		return fmt.Errorf("declare the mailbox of %s: %w", owner, err)
	}
	return nil
}

// Repeat says to the owner of a mailbox what was said before, by its revision; Current says that this was all, with the
// value that the owner asked by.
func (b *Bus) Repeat(owner string, c Change) error {
	if c.Current {
		c.Key = currentKey
	}
	m := nats.NewMsg(mailRoot + owner + mailSaid + c.Key)
	m.Header.Set(headerSequence, strconv.FormatUint(c.Revision, 10))
	if c.Removed {
		m.Header.Set(headerOperation, "DEL")
	}
	m.Data = c.Value
	if err := b.nc.PublishMsg(m); err != nil {
		return fmt.Errorf("repeat %s to %s: %w", c.Key, owner, err)
	}
	return nil
}

// Mailbox is the side of its owner.
type Mailbox struct {
	bus   *Bus
	owner string
}

// Mailbox opens the mailbox of an owner; it need not exist yet.
func (b *Bus) Mailbox(owner string) Mailbox { return Mailbox{bus: b, owner: owner} }

// Send stores a value under a key, which begins with "up.", and returns when the mesh has it.
func (m Mailbox) Send(ctx context.Context, key string, value []byte) error {
	if _, err := m.bus.js.Publish(ctx, mailRoot+m.owner+"."+key, value); err != nil {
		return fmt.Errorf("send %s: %w", key, classed(err))
	}
	return nil
}

// mailFlush bounds the wait for the server to know who listens.
const mailFlush = 5 * time.Second

// mailPending bounds what waits for its reader; more is not lost, but asked for again.
const mailPending = 1 << 16

// Listen tells what is said from now on, after it called begun once, which may ask for what was said before. What
// arrives late is left out. It returns when ctx ends, when begun or see fail, and with ErrAway when something may have
// been missed.
func (m Mailbox) Listen(ctx context.Context, begun func() error, see func(Change) error) error {
	arrived := make(chan *nats.Msg, mailPending)
	prefix := mailRoot + m.owner + mailSaid
	sub, err := m.bus.nc.ChanSubscribe(prefix+">", arrived)
	if err != nil {
		return fmt.Errorf("listen: %w", errors.Join(ErrAway, err))
	}
	defer func() { _ = sub.Unsubscribe() }()
	// Who is asked must not answer before the server knows who listens.
	if err := m.bus.nc.FlushTimeout(mailFlush); err != nil {
		return fmt.Errorf("listen: %w", errors.Join(ErrAway, err))
	}
	if err := begun(); err != nil {
		return err
	}
	newest := map[string]uint64{}
	glance := time.NewTicker(watchGlance)
	defer glance.Stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("listen: %w", context.Cause(ctx))
		case <-glance.C:
			if dropped, err := sub.Dropped(); m.bus.Ready() != nil || err != nil || dropped > 0 {
				return fmt.Errorf("listen: %w", errors.Join(ErrAway, err))
			}
		case msg := <-arrived:
			c := said(msg, prefix)
			if c.Key != "" && c.Revision <= newest[c.Key] {
				continue
			}
			if newest[c.Key] = c.Revision; c.Current {
				delete(newest, c.Key)
			}
			if err := see(c); err != nil {
				return err
			}
		}
	}
}

func said(msg *nats.Msg, prefix string) Change {
	c := Change{Key: strings.TrimPrefix(msg.Subject, prefix), Value: msg.Data, At: time.Now()}
	if c.Key == currentKey {
		return Change{Value: msg.Data, Current: true}
	}
	c.Revision, _ = strconv.ParseUint(first(msg.Header, headerSequence), 10, 64)
	if first(msg.Header, headerOperation) != "" {
		c.Removed, c.Value = true, nil
	}
	return c
}
