package ingest

import (
	"encoding/json"
	"errors"
	"fmt"
	controller "github.com/argosy-mesh/argosy/services/webhook-ingest/internal/controller/eventsource"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/bus/bustest"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/core"
)

func newEvent(t *testing.T, id, kind string) bus.Event {
	t.Helper()
	e, err := bus.NewEvent(id, "es", kind, map[string]int{"n": 1})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestWhatCanNeverBeStoredIsRefusedAndHoldsNobodyUp(t *testing.T) {
	d := start(t)
	d.http.Config.Handler.(*server).routes.Set("ns/es", controller.Declared{Routes: []controller.Endpoint{
		{Path: "/ce", Route: core.Route{Namespace: "ns", EventSource: "es", Event: "in", Provider: "cloudEvents"}},
		{Path: "/in", Route: core.Route{Namespace: "ns", EventSource: "es", Event: "in", Provider: "webhook"}},
	}})
	long, umlauts := strings.Repeat("x", 1<<20), strings.Repeat("ü", 600<<10)
	structured := func(changes map[string]any) string {
		e := map[string]any{"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "data": map[string]any{}}
		maps.Copy(e, changes)
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for name, c := range map[string]struct {
		body string
		want int
	}{
		"type":                      {structured(map[string]any{"type": long}), 400},
		"type that escapes to more": {structured(map[string]any{"type": umlauts}), 400},
		"type of 3 KiB":             {structured(map[string]any{"type": long[:3<<10]}), 400},
		"extension name":            {structured(map[string]any{strings.Repeat("a", 1<<10): "x"}), 400},
		"source":                    {structured(map[string]any{"source": long}), 400},
		"id":                        {structured(map[string]any{"id": long}), 400},
		"subject":                   {structured(map[string]any{"subject": long}), 400},
		"extension":                 {structured(map[string]any{"note": long}), 400},
		"traceparent":               {structured(map[string]any{"id": "trace", "traceparent": long[:4<<10]}), 200},
	} {
		if got := d.send(
			t, "/ce", []byte(c.body), map[string]string{"Content-Type": "application/cloudevents+json"},
		); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	for name, header := range map[string]map[string]string{
		"an id of 500 kB":          {"Idempotency-Key": long[:500<<10]},
		"a traceparent of 500 kB":  {"Traceparent": long[:500<<10], "Idempotency-Key": "t"},
		"an id with control bytes": {"Idempotency-Key": "a\tb\xff"},
	} {
		if got := d.send(t, "/in", []byte(`{}`), header); got != 200 {
			t.Errorf("%s: %d", name, got)
		}
	}
	d.post(t, "/in", "good", `{}`)
	d.await(t, 5)
	if n := d.intake.wal.Len(); n != 0 {
		t.Errorf("%d records wait in the local log", n)
	}
}

func TestARecordThatCanNeverBeStoredIsSetAside(t *testing.T) {
	server := bustest.Start(t)
	client, dir := server.Connect("ingest"), t.TempDir()
	d := startOn(t, server, client, dir)
	for _, r := range []struct{ subject, id, kind string }{
		{"events.ns.es.in", "before", "webhook"}, {"events.ns.es.in", "huge", strings.Repeat("x", 100<<10)},
		{"events.ns.es." + strings.Repeat("n", 5000), "name", "webhook"}, {"events.ns.es.in", "after", "webhook"},
	} {
		raw, err := pack(r.subject, newEvent(t, r.id, r.kind))
		if err != nil {
			t.Fatal(err)
		}
		if err := d.intake.wal.Append(raw); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.intake.wal.Append([]byte("no record")); err != nil {
		t.Fatal(err)
	}
	d.intake.kick <- struct{}{}
	if got := fmt.Sprint(d.await(t, 2)); got != "[before after]" {
		t.Fatal(got)
	}
	if got := d.post(t, "/in", "next", `{}`); got != 200 {
		t.Errorf("a hook after it: %d", got)
	}
	d.await(t, 3)
	if d.intake.set.len() != 3 || !strings.Contains(d.intake.set.about("ns/es"), "2 event(s) could not be stored") ||
		d.intake.set.about("ns/other") != "" {
		t.Errorf("%d are kept: %s", d.intake.set.len(), d.intake.set.about("ns/es"))
	}
	again := newAside(d.intake.wal, d.intake.log) // as after a restart
	if again.len() != 3 || again.about("ns/es") == "" {
		t.Errorf("a restart forgot them: %d", again.len())
	}
	for _, path := range d.intake.wal.Aside() {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "huge") && !strings.Contains(string(text), strings.Repeat("x", 100<<10)) {
			t.Errorf("%s does not hold the event", path)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if again.about("ns/es") != "" {
		t.Error("the condition stays when the files are gone")
	}
}

func TestARecordThatTheBusRefusesAloneIsSetAside(t *testing.T) {
	d := start(t)
	raw, err := pack("nowhere.ns.es.in", newEvent(t, "alone", "webhook")) // of a subject that no stream has
	if err != nil {
		t.Fatal(err)
	}
	refused := refusalsMost - 1
	if err := d.intake.attempt(t.Context(), raw, &refused); err == nil {
		t.Error("nobody is behind it: it may wait")
	}
	local := newIntake(d.client, d.intake.wal, d.intake.log) // one whose forwarder does not run
	local.seen.ready.Store(true)
	for _, r := range [][]byte{raw, packed(t, "good")} {
		if err := local.wal.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	refused = refusalsMost - 1
	if err := local.attempt(t.Context(), raw, &refused); err != nil || local.set.len() != 1 {
		t.Errorf("%v, %d are kept", err, local.set.len())
	}
}

func packed(t *testing.T, id string) []byte {
	t.Helper()
	raw, err := pack("events.ns.es.in", newEvent(t, id, "webhook"))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestWhatWasReadAndCannotBeStoredIsKept(t *testing.T) {
	d := start(t)
	route := core.Route{Namespace: "ns", EventSource: "es", Event: strings.Repeat("ü", 1000), Provider: "nats"}
	if err := d.sink.put(
		t.Context(), route, core.Item{Type: "nats", Data: []byte(`{}`), Read: true}, lineage.Lineage{},
	); err != nil {
		t.Error(err)
	}
	if d.intake.set.len() != 1 {
		t.Errorf("%d are kept", d.intake.set.len())
	}
	if err := d.sink.put(
		t.Context(), route, core.Item{Type: "nats", Data: []byte(`{}`)}, lineage.Lineage{},
	); fault.Of(err) != fault.Poison {
		t.Errorf("a hook: %v", err)
	}
	if got := d.http.Config.Handler.(*server).refuse(
		httptestRequest(t), route, fault.AsPoison(errors.New("too large")),
	); got.Status != 422 ||
		got.Class != "unstorable" {
		t.Errorf("%+v", got)
	}
}

func httptestRequest(t *testing.T) *http.Request {
	t.Helper()
	return httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/in", nil)
}
