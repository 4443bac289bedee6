package ingest

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/core"
)

// examplesVersion is the release of the examples that is fetched.
const examplesVersion = "7.6.1"

// examples fetches the payloads that GitHub's own library is tested with, once.
func examples(t *testing.T) map[string][]json.RawMessage {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "argosy", "webhooks-examples-"+examplesVersion)
	index := filepath.Join(dir, "package", "api.github.com", "index.json")
	if _, err := os.Stat(index); err != nil {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		pack := exec.CommandContext(ctx, "npm", "pack", "--silent", "@octokit/webhooks-examples@"+examplesVersion)
		pack.Dir = dir
		if out, err := pack.CombinedOutput(); err != nil {
			t.Skipf("the examples cannot be fetched here, npm is needed: %v\n%s", err, out)
		}
		unpack := exec.CommandContext(ctx, "sh", "-c", "tar xzf *.tgz")
		unpack.Dir = dir
		if out, err := unpack.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	text, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []struct {
		Name     string            `json:"name"`
		Examples []json.RawMessage `json:"examples"`
	}
	if err := json.Unmarshal(text, &kinds); err != nil {
		t.Fatal(err)
	}
	out := map[string][]json.RawMessage{}
	for _, k := range kinds {
		out[k.Name] = k.Examples
	}
	return out
}

func TestRealPayloadsOfGitHubAreAccepted(t *testing.T) {
	payloads := examples(t)
	d := start(t)
	route := core.Route{Namespace: "ns", EventSource: "es", Event: "in", Provider: "github", Secret: "secret"}
	d.http.Config.Handler.(*server).routes.set("ns/es", declared{routes: []endpoint{{path: "/hub", route: route}}})
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
		"X-GitHub-Event": kind, "X-GitHub-Delivery": id, "X-Hub-Signature-256": "sha256=" + hex.EncodeToString(mac.Sum(nil)), "Content-Type": "application/json",
	})
}
