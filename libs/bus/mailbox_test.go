package bus_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/bus/bustest"
)

func TestAMailboxKeepsTheLastWordAndSaysItAgain(t *testing.T) {
	server := bustest.Start(t)
	mesh, owner := server.Connect("mesh"), server.Connect("owner")
	if err := mesh.DeclareMailbox(t.Context(), "east", 1<<20, 1); err != nil {
		t.Fatal(err)
	}
	if err := mesh.DeclareMailbox(t.Context(), "east", 2<<20, 1); err != nil {
		t.Fatalf("again: %v", err)
	}
	kv := mesh.KV(bus.MailboxBucket("east"))
	for _, value := range []string{"1", "2"} {
		if err := kv.Put(t.Context(), "down.a", []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
	var told []bus.Change
	ctx, stop := context.WithCancel(t.Context())
	enough := errors.New("enough")
	err := kv.Watch(ctx, "", func(c bus.Change) error {
		if told = append(told, c); c.Current {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || len(told) != 2 || string(told[0].Value) != "2" || told[0].Revision != 2 {
		t.Fatalf("%v %+v", err, told)
	}
	var heard []string
	err = owner.Mailbox("east").Listen(ctx, func() error {
		if err := kv.Put(ctx, "down.a", []byte("3")); err != nil {
			return err
		}
		for _, c := range []bus.Change{told[0], {Key: "down.b", Value: []byte("b"), Revision: 1}, {Current: true}} {
			if err := mesh.Repeat("east", c); err != nil {
				return err
			}
		}
		return owner.Mailbox("east").Send(ctx, "up.x", []byte("report"))
	}, func(c bus.Change) error {
		if heard = append(heard, fmt.Sprintf("%s %s %v", c.Key, c.Value, c.Current)); len(heard) == 4 {
			stop()
		}
		return nil
	})
	// What was repeated late is older than what was said meanwhile. The mesh and the owner speak over connections of
	// their own: of what both say, neither comes first.
	const report = "up.x report false"
	ofMesh := slices.DeleteFunc(slices.Clone(heard), func(said string) bool { return said == report })
	want := []string{"down.a 3 false", "down.b b false", "  true"}
	if !slices.Equal(ofMesh, want) || len(heard) != 4 || !errors.Is(err, context.Canceled) {
		t.Errorf("heard %q: %v", heard, err)
	}
	if value, _, err := kv.Get(t.Context(), "up.x"); err != nil || string(value) != "report" {
		t.Errorf("%q: %v", value, err)
	}
}

func TestWhoListensIsToldThatTheBusIsAway(t *testing.T) {
	server := bustest.Start(t)
	b := server.Connect("owner")
	if err := b.DeclareMailbox(t.Context(), "east", 1<<20, 1); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	watched, begun := make(chan error, 1), make(chan bool, 1)
	go func() {
		watched <- b.KV(bus.MailboxBucket("east")).Watch(ctx, "", func(bus.Change) error {
			begun <- true
			return nil
		})
	}()
	<-begun
	err := b.Mailbox("east").Listen(ctx, func() error {
		server.Stop()
		return nil
	}, func(bus.Change) error { return nil })
	if other := <-watched; !errors.Is(err, bus.ErrAway) || !errors.Is(other, bus.ErrAway) {
		t.Errorf("%v; %v", err, other)
	}
	if err := b.Mailbox("east").Send(ctx, "up.x", nil); err == nil {
		t.Error("a report was taken by nobody")
	}
	server.Resume()
}
