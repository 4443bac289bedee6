package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	busPort     = 30422
	eventStream = "EVENTS"
	ownEvents   = "events.bench.>"
	floorEvents = "events.bench.floor.x"
)

// busFloor is the bus without the product around it. It does not use libs/bus,
// whose cost is part of what is measured.
type busFloor struct {
	nc *nats.Conn
	js jetstream.JetStream

	url string // where others may connect as well
}

func (b *bench) newBusFloor(ctx context.Context) (*busFloor, error) {
	return b.busAs(ctx, "webhook-ingest")
}

// busAs connects to the bus as one of the services.
func (b *bench) busAs(ctx context.Context, user string) (*busFloor, error) {
	var s corev1.Secret
	if err := b.client.Get(ctx, client.ObjectKey{Namespace: control, Name: "nats-" + user}, &s); err != nil {
		return nil, fmt.Errorf("read the bus password: %w", err)
	}
	nc, err := nats.Connect(
		fmt.Sprintf("nats://%s:%d", b.Node, busPort), nats.UserInfo(user, string(s.Data["password"])),
		nats.Name("bench"),
	)
	if err != nil {
		return nil, fmt.Errorf("connect to the bus: %w", err)
	}
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(5*time.Second))
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("open jetstream: %w", err)
	}
	return &busFloor{nc: nc, js: js}, nil
}

func (f *busFloor) close() { f.nc.Close() }

// stored is how many bytes a stream holds.
func (f *busFloor) stored(ctx context.Context, stream string) (float64, error) {
	s, err := f.js.Stream(ctx, stream)
	if err != nil {
		return 0, fmt.Errorf("open stream %s: %w", stream, err)
	}
	info, err := s.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("inspect stream %s: %w", stream, err)
	}
	return float64(info.State.Bytes), nil
}

// publisher stores one body again and again, each time under a message id of its
// own, and waits for the server to confirm it. It is an event like others, so that
// whoever reads the stream does the same with it as with what the product stores.
func (f *busFloor) publisher(body []byte) attempt {
	batch := rand.Text()
	return func(ctx context.Context, n int64) (bool, error) {
		id := fmt.Sprintf("%s-%d", batch, n)
		m := &nats.Msg{Subject: floorEvents, Data: body, Header: nats.Header{
			"ce-specversion": {
				"1.0",
			},
			"ce-id":              {id},
			"ce-type":            {"bench"},
			"ce-source":          {"bench"},
			"ce-datacontenttype": {"application/json"},
		}}
		_, err := f.js.PublishMsg(ctx, m, jetstream.WithMsgID(id))
		if err != nil {
			return false, fmt.Errorf("publish: %w", err)
		}
		return true, nil
	}
}

// purge removes our own events from the stream, also when ctx has ended.
func (f *busFloor) purge(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	s, err := f.js.Stream(ctx, eventStream)
	if err == nil {
		err = s.Purge(ctx, jetstream.WithPurgeSubject(ownEvents))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("purge %s", ownEvents), err)
	}
	return nil
}
