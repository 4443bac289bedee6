package ingest

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/core"
)

// Hooks share memory one after the other: each event holds what its own hook sent, on the bus and by way of the local
// log, whatever came before and beside it.
func TestEachEventHoldsWhatItsHookSent(t *testing.T) {
	d := start(t)
	const senders, each = 8, 60
	body := func(sender, i int) string {
		return fmt.Sprintf(`{"sender":%d,"n":%d,"padding":%q}`, sender, i, strings.Repeat(fmt.Sprint(sender), i*i))
	}
	post := func(sender, i int) {
		sent, header := []byte(body(sender, i)), map[string]string{"Idempotency-Key": fmt.Sprintf("%d-%d", sender, i)}
		if sender == 0 { // there is room for four at once that are packed
			var packed bytes.Buffer
			z := gzip.NewWriter(&packed)
			if _, err := z.Write(sent); err != nil || z.Close() != nil {
				t.Error(err)
			}
			sent, header["Content-Encoding"] = packed.Bytes(), "gzip"
		}
		if got := d.send(t, "/in", sent, header); got != 200 {
			t.Errorf("%d-%d: %d", sender, i, got)
		}
	}
	half := func(from, to int) {
		var all sync.WaitGroup
		for sender := range senders {
			all.Go(func() {
				for i := from; i < to; i++ {
					post(sender, i)
				}
			})
		}
		all.Wait()
	}
	half(0, each/2)
	d.bus.Stop()
	half(each/2, each)
	d.bus.Resume()
	d.await(t, senders*each)
	entries, err := d.client.Read(t.Context(), bus.Events, "events.ns.es.in")
	if err != nil {
		t.Fatal(err)
	}
	held := map[string]string{}
	for _, e := range entries {
		raw, err := core.Raw(e.Data())
		if err != nil {
			t.Fatal(err)
		}
		held[e.ID()] = string(raw)
	}
	for sender := range senders {
		for i := range each {
			if held[fmt.Sprintf("%d-%d", sender, i)] != body(sender, i) {
				t.Errorf("%d-%d holds something else", sender, i)
			}
		}
	}
}

func TestALargeHookLeavesNoMemoryBehind(t *testing.T) {
	m := &memory{}
	m.body.Write(make([]byte, memoryKept+1))
	m.give()
	for range 100 {
		if got := takeMemory(); got == m {
			t.Fatal("it is kept")
		}
	}
}
