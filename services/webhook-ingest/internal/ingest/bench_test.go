package ingest

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	controller "github.com/argosy-mesh/argosy/services/webhook-ingest/internal/controller/eventsource"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/core"
)

// BenchmarkSignedHook is one GitHub hook from its bytes to its answer, without the
// network in front.
func BenchmarkSignedHook(b *testing.B) {
	for _, size := range []int{200, 10 << 10} {
		b.Run(fmt.Sprintf("%d-bytes", size), func(b *testing.B) {
			d := start(b)
			route := core.Route{
				Namespace: "ns", EventSource: "hub", Event: "push", Provider: "github", Secret: "secret",
			}
			handler := d.http.Config.Handler
			hub := []controller.Endpoint{{Path: "/hub", Route: route}}
			handler.(*server).routes.Set("ns/hub", controller.Declared{Routes: hub})
			body := []byte(`{"ref":"refs/heads/main","padding":"` + strings.Repeat("x", size) + `"}`)
			mac := hmac.New(sha256.New, []byte(route.Secret))
			mac.Write(body)
			header := http.Header{
				"X-Github-Event":      {"push"},
				"X-Hub-Signature-256": {"sha256=" + hex.EncodeToString(mac.Sum(nil))},
			}
			var n atomic.Int64
			b.SetParallelism(8)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/hub", bytes.NewReader(body))
					r.Header = header.Clone()
					r.Header.Set("X-GitHub-Delivery", fmt.Sprint(n.Add(1)))
					w := httptest.NewRecorder()
					handler.ServeHTTP(w, r)
					if w.Code != http.StatusOK {
						b.Errorf("got %d", w.Code)
						return
					}
				}
			})
		})
	}
}
