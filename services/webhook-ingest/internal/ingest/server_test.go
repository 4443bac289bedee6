package ingest

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	controller "github.com/argosy-mesh/argosy/services/webhook-ingest/internal/controller/eventsource"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/bus/bustest"
	"github.com/argosy-mesh/argosy/libs/obs"
	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/core"
	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/wal"
)

type door struct {
	bus    *bustest.Server
	client *bus.Bus
	intake *intake
	sink   *sink
	http   *httptest.Server
}

func start(t testing.TB) *door {
	t.Helper()
	server := bustest.Start(t)
	return startOn(t, server, server.Connect("ingest"), t.TempDir())
}

func startOn(t testing.TB, server *bustest.Server, client *bus.Bus, dir string) *door {
	t.Helper()
	local, err := wal.Open(dir, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	tel, err := obs.New(t.Context(), obs.Config{Service: "ingest", Instance: "i", Level: "error", Out: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	table := newRoutes()
	table.Set(
		"ns/es",
		controller.Declared{
			Routes: []controller.Endpoint{
				{Path: "/in", Route: core.Route{Namespace: "ns", EventSource: "es", Event: "in", Provider: "webhook"}},
			},
		},
	)
	d := &door{bus: server, client: client, intake: newIntake(client, local, tel.Log)}
	d.sink = newSink(d.intake, tel)
	d.http = httptest.NewServer(newServer(table, d.sink, tel))
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		if err := d.intake.forward(ctx); err != nil {
			t.Error(err)
		}
	})
	done.Go(func() {
		if err := d.intake.seen.run(ctx, client, time.Hour); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { d.http.Close(); cancel(); done.Wait() })
	for !d.intake.seen.ready.Load() && t.Context().Err() == nil {
		<-time.After(time.Millisecond)
	}
	return d
}

func (d *door) post(t *testing.T, path, id, body string) int {
	t.Helper()
	return d.send(t, path, []byte(body), map[string]string{"Idempotency-Key": id})
}

func (d *door) send(t *testing.T, path string, body []byte, header map[string]string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.http.URL+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Fatal(err)
	}
	if res.StatusCode == http.StatusServiceUnavailable && res.Header.Get("Retry-After") == "" {
		t.Error("503 without Retry-After")
	}
	return res.StatusCode
}

func (d *door) stored(t *testing.T) []string {
	t.Helper()
	entries, err := d.client.Read(t.Context(), bus.Events, "events.ns.es.in")
	if err != nil {
		return nil // away
	}
	var ids []string
	for _, e := range entries {
		ids = append(ids, e.ID())
	}
	return ids
}

// await polls what another goroutine brings about; the bus gives no other sign.
func (d *door) await(t *testing.T, n int) []string {
	t.Helper()
	deadline := time.After(time.Minute)
	for {
		if got := d.stored(t); len(got) == n {
			return got
		}
		select {
		case <-deadline:
			t.Fatalf("stored %v, want %d", d.stored(t), n)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func TestEveryAnswerHasItsReason(t *testing.T) {
	d := start(t)
	cases := []struct {
		name, path, body string
		want             int
	}{
		{"good", "/in", `{}`, 200},
		{"own path", "/hooks/ns/es/in", `{}`, 200},
		{"trailing slash", "/in/", `{}`, 200},
		{"unknown route", "/elsewhere", `{}`, 404},
		{"health", "/health", ``, 200},
		{"not JSON", "/in", `{`, 400},
		{"over 25 MiB", "/in", `"` + strings.Repeat("x", core.MaxBody) + `"`, 413},
	}
	for i, c := range cases {
		if got := d.post(t, c.path, fmt.Sprint(i), c.body); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
	if got := d.await(t, 3); len(got) != 3 {
		t.Errorf("stored %v", got)
	}
}

func TestABombIsCappedWhereItUnpacks(t *testing.T) {
	d := start(t)
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	for range core.MaxBody/1024 + 10 {
		if _, err := z.Write(make([]byte, 1024)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.http.URL+"/in", &bomb)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Encoding", "gzip")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Fatalf("got %d", res.StatusCode)
	}
}

func TestTheSameDeliveryIsOneEvent(t *testing.T) {
	d := start(t)
	for range 3 {
		if got := d.post(t, "/in", "same", `{}`); got != 200 {
			t.Fatal(got)
		}
	}
	d.post(t, "/in", "other", `{}`)
	if got := fmt.Sprint(d.await(t, 2)); got != "[same other]" {
		t.Fatal(got)
	}
}

func TestNothingIsLostWhileTheBusIsAway(t *testing.T) {
	d := start(t)
	var want []string
	send := func(from, to int) {
		for i := from; i < to; i++ {
			id := fmt.Sprintf("%03d", i)
			want = append(want, id)
			if got := d.post(t, "/in", id, `{}`); got != 200 {
				t.Fatalf("post %s: %d", id, got)
			}
		}
	}
	send(0, 5)
	d.bus.Stop()
	send(5, 25)
	d.bus.Resume()
	send(25, 30)
	if got := d.await(t, 30); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("got %v", got)
	}
}

func TestTheLocalLogSurvivesAKill(t *testing.T) {
	server := bustest.Start(t)
	client := server.Connect("ingest")
	dir := t.TempDir()
	server.Stop()
	local, err := wal.Open(dir, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	tel, err := obs.New(t.Context(), obs.Config{Service: "ingest", Instance: "i", Level: "error", Out: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	killed := newIntake(client, local, tel.Log) // its forwarder never runs
	for i := range 3 {
		e, err := bus.NewEvent(fmt.Sprint(i), "es", "webhook", map[string]int{"n": i})
		if err != nil {
			t.Fatal(err)
		}
		if err := killed.accept(t.Context(), "events.ns.es.in", e); err != nil {
			t.Fatal(err)
		}
	}
	server.Resume()
	d := startOn(t, server, client, dir)
	if got := fmt.Sprint(d.await(t, 3)); got != "[0 1 2]" {
		t.Fatal(got)
	}
}

func TestTwoThousandPostsWhileTheBusIsKilled(t *testing.T) {
	d := start(t)
	const senders, each = 8, 250
	var sending sync.WaitGroup
	posted := make(chan struct{}, senders*each)
	for s := range senders {
		sending.Go(func() {
			for i := range each {
				if got := d.post(t, "/in", fmt.Sprintf("%d-%d", s, i), `{"n":1}`); got != 200 {
					t.Errorf("%d-%d: %d", s, i, got)
				}
				posted <- struct{}{}
			}
		})
	}
	for range senders * each / 4 {
		<-posted
	}
	d.bus.Stop()
	for range senders * each / 2 {
		<-posted
	}
	d.bus.Resume()
	sending.Wait()
	once := map[string]bool{}
	for _, id := range d.await(t, senders*each) {
		if once[id] {
			t.Errorf("%s came twice", id)
		}
		once[id] = true
	}
}

func TestALargeBodyTravelsByClaimCheck(t *testing.T) {
	d := start(t)
	body := []byte(`"` + strings.Repeat("x", 24<<20) + `"`)
	if got := d.send(t, "/in", body, map[string]string{"Idempotency-Key": "large"}); got != 200 {
		t.Fatal(got)
	}
	d.await(t, 1)
	entries, err := d.client.Read(t.Context(), bus.Events, "events.ns.es.in")
	if err != nil || len(entries) != 1 {
		t.Fatal(len(entries), err)
	}
	if raw, err := core.Raw(entries[0].Data()); err != nil || !bytes.Equal(raw, body) {
		t.Errorf("%d bytes came back, %v", len(raw), err)
	}
}

func TestARateIsKept(t *testing.T) {
	d := start(t)
	d.http.Config.Handler.(*server).routes.Set(
		"ns/es",
		controller.Declared{
			Routes: []controller.Endpoint{
				{
					Path: "/in",
					Route: core.Route{
						Namespace: "ns", EventSource: "es", Event: "in", Provider: "webhook", Rate: 0.001,
					},
				},
			},
		},
	)
	if first, second := d.post(t, "/in", "1", `{}`), d.post(t, "/in", "2", `{}`); first != 200 || second != 429 {
		t.Errorf("%d and %d", first, second)
	}
	if text := d.http.Config.Handler.(*server).refused.take("ns/es"); text != "in: rate_limited" {
		t.Errorf("the status would say %q", text)
	}
}

func TestAnOldRecordOfTheLocalLogIsRead(t *testing.T) {
	e, err := bus.NewEvent("1", "es", "webhook", map[string]int{"n": 1})
	if err != nil {
		t.Fatal(err)
	}
	e.DataEncoded = []byte(`{ "n" : 1 }`)
	raw, err := pack("events.a", e)
	if err != nil {
		t.Fatal(err)
	}
	if subject, got, err := unpack(raw); err != nil || subject != "events.a" || got.ID() != "1" ||
		string(got.Data()) != `{ "n" : 1 }` {
		t.Errorf("%s %v %v", subject, got, err)
	}
	old := `{"subject":"events.a","event":{"specversion":"1.0","id":"1","source":"es","type":"webhook","data":{"n":1}}}`
	if subject, got, err := unpack([]byte(old)); err != nil || subject != "events.a" ||
		string(got.Data()) != `{"n":1}` {
		t.Errorf("%s %v %v", subject, got, err)
	}
	for _, bad := range [][]byte{nil, raw[:3], raw[:20], []byte("\x00\x00\x00\x02{}"), []byte("{")} {
		if subject, _, err := unpack(bad); err == nil && subject != "" {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestAFullLocalLogSaysSo(t *testing.T) {
	d := start(t)
	d.bus.Stop()
	body := `"` + strings.Repeat("x", 300<<10) + `"`
	var last int
	for i := range 5 {
		last = d.post(t, "/in", fmt.Sprint(i), body)
	}
	if last != 503 {
		t.Fatalf("got %d", last)
	}
}

func TestTheOlderEventSourceKeepsItsEndpoint(t *testing.T) {
	r := newRoutes()
	asks := func(created, name string) controller.Declared {
		route := core.Route{Namespace: "ns", EventSource: name, Event: "e"}
		return controller.Declared{Created: created, Routes: []controller.Endpoint{{Path: "/push", Route: route}}}
	}
	if c := r.Set("ns/young", asks("2026-02", "young")); c != nil {
		t.Fatal(c)
	}
	r.Set("ns/old", asks("2026-01", "old"))
	if got, _, _ := r.find(asked{"POST", "", "/push"}); got.EventSource != "old" {
		t.Errorf("%s has it", got.EventSource)
	}
	if got, _, ok := r.find(asked{"POST", "", "/hooks/ns/young/e"}); !ok || got.EventSource != "young" {
		t.Error("the own path is gone")
	}
	r.Remove("ns/old")
	if got, _, _ := r.find(asked{"POST", "", "/push"}); got.EventSource != "young" {
		t.Errorf("%s has it after the older left", got.EventSource)
	}
}
