package ingest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	controller "github.com/argosy-mesh/argosy/services/webhook-ingest/internal/controller/eventsource"
	"net/http"
	"testing"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/githubtest"
	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/core"
)

func TestRealPayloadsOfGitHubAreAccepted(t *testing.T) {
	payloads := githubtest.Examples(t)
	d := start(t)
	route := core.Route{Namespace: "ns", EventSource: "es", Event: "in", Provider: "github", Secret: "secret"}
	hub := []controller.Endpoint{{Path: "/hub", Route: route}}
	d.http.Config.Handler.(*server).routes.Set("ns/es", controller.Declared{Routes: hub})
	want := map[string][]byte{}
	for kind, bodies := range payloads {
		for i, body := range bodies {
			id := fmt.Sprintf("%s-%d", kind, i)
			if status := d.hub(t, route, kind, id, body); status != http.StatusOK {
				t.Errorf("%s: %d", id, status)
			}
			if kind != "ping" {
				want[id] = body
			}
		}
	}
	if len(want) < 100 {
		t.Fatalf("only %d examples", len(want))
	}
	d.await(t, len(want))
	entries, err := d.client.Read(t.Context(), bus.Events, "events.ns.es.in")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		raw, err := core.Raw(e.Data())
		if err != nil || string(raw) != string(want[e.ID()]) {
			t.Errorf("%s: what was signed cannot be read back: %v", e.ID(), err)
		}
	}
	t.Logf("%d payloads of %d kinds", len(want), len(payloads))
}

// hub posts a signed hook.
func (d *door) hub(t *testing.T, route core.Route, kind, id string, body []byte) int {
	t.Helper()
	mac := hmac.New(sha256.New, []byte(route.Secret))
	mac.Write(body)
	return d.send(t, "/hub", body, map[string]string{
		"X-GitHub-Event":      kind,
		"X-GitHub-Delivery":   id,
		"X-Hub-Signature-256": "sha256=" + hex.EncodeToString(mac.Sum(nil)),
		"Content-Type":        "application/json",
	})
}
