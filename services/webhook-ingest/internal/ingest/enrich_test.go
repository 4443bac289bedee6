package ingest

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/core"
)

func TestTheRegistryVouchesAndContinuesTheChain(t *testing.T) {
	manifest := `{"schemaVersion":2,"annotations":{"dev.argosy.correlationid":"c1","dev.argosy.causationid":"w1"}}`
	sum := sha256.Sum256([]byte(manifest))
	digest := "sha256:" + hex.EncodeToString(sum[:])
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v2/team/app/manifests/" + digest, "/v2/team/app/manifests/v1", "/v2/team/liar/manifests/sha256:00":
			_, _ = w.Write([]byte(manifest))
		default:
			http.NotFound(w, r)
		}
	}))
	defer registry.Close()
	attached := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"subject":{"digest":"sha256:1"}}`))
	}))
	defer attached.Close()
	if _, is := enrich(
		t.Context(), registry.Client(), core.Route{Registry: attached.URL},
		&events.ImagePushed{Repository: "a", Tag: "v1"},
	); !is {
		t.Error("a manifest with a subject is attached to an image")
	}
	cases := []struct {
		name, url, repository, digest string
		verified, correlation         string
	}{
		{"known image", registry.URL, "team/app", digest, events.VerifiedByRegistry, "c1"},
		{"known tag", registry.URL, "team/app", "", events.VerifiedByRegistry, "c1"},
		{"unknown image", registry.URL, "team/none", digest, events.VerifiedByNone, ""},
		{"another manifest", registry.URL, "team/liar", "sha256:00", events.VerifiedByNone, ""},
		{"no registry allowed", "", "team/app", digest, events.VerifiedByNone, ""},
		{"registry away", "http://127.0.0.1:1", "team/app", digest, events.VerifiedByNone, ""},
	}
	for _, c := range cases {
		image := events.ImagePushed{
			Repository: c.repository, Digest: c.digest, Tag: "v1", Verified: events.VerifiedByNone,
		}
		l, _ := enrich(t.Context(), registry.Client(), core.Route{Registry: c.url}, &image)
		if got := image.Verified; got != c.verified || l.Correlation != c.correlation {
			t.Errorf("%s: verified by %s, correlation %q", c.name, got, l.Correlation)
		}
	}
}
