package ingest

import (
	"testing"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/bus/bustest"
)

func TestAPositionIsOfItsKind(t *testing.T) {
	kv := bustest.Start(t).Connect("test").KV(bus.PositionsBucket)
	calendar, kafka := positions{kv, "calendar"}, positions{kv, "kafka"}
	load := func(p positions, want string) {
		t.Helper()
		got, err := p.Load(t.Context(), "ns/es/event")
		if err != nil || string(got) != want {
			t.Errorf("%s: %q, %v, want %q", p.kind, got, err, want)
		}
	}
	save := func(p positions, position string) {
		t.Helper()
		if err := p.Save(t.Context(), "ns/es/event", []byte(position)); err != nil {
			t.Fatal(err)
		}
	}
	load(calendar, "")
	// What the version before left is taken over once, by whoever reads first.
	if err := kv.Put(t.Context(), unkinded("ns/es/event"), []byte("before")); err != nil {
		t.Fatal(err)
	}
	load(calendar, "before")
	save(calendar, "2026-01-01")
	load(calendar, "2026-01-01")
	load(kafka, "") // the event was renamed to another kind
	save(kafka, "7")
	load(kafka, "7")
	load(calendar, "2026-01-01")
}
