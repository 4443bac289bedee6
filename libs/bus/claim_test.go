package bus_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/bus/bustest"
)

// Whoever reads a body keeps it, whatever is published meanwhile: the same event again, or another with the same body.
func TestABodyUnderAReaderStays(t *testing.T) {
	b := bustest.Start(t).Connect("test")
	body := bytes.Repeat([]byte("0123456789abcdef"), 6<<16)
	large := func(id string) bus.Event {
		e := event(t, id, 1)
		e.DataEncoded = body
		return e
	}
	publish(t, b, "events.ns.s.e", large("one"))
	objects := b.Objects(bus.PayloadsBucket)
	names, err := objects.Names(t.Context(), "", 10)
	if err != nil || len(names) != 1 {
		t.Fatalf("%v, %v", names, err)
	}
	r, err := objects.Open(t.Context(), names[0])
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	first := make([]byte, 1)
	if _, err := io.ReadFull(r, first); err != nil {
		t.Fatal(err)
	}
	publish(t, b, "events.ns.s.e", large("one"), large("two"), large("one"))
	rest, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(append(first, rest...), body) {
		t.Errorf("%d bytes, %v", len(rest), err)
	}
	if names, err := objects.Names(t.Context(), "", 10); err != nil || len(names) != 2 {
		t.Errorf("%d objects for two events, %v", len(names), err)
	}
	for sequence := range uint64(2) {
		if d, err := b.At(t.Context(), bus.Events, sequence+1); err != nil || !bytes.Equal(d.Data(), body) {
			t.Errorf("event %d: %d bytes, %v", sequence+1, len(d.Data()), err)
		}
	}
}
