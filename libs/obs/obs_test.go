package obs

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestStartContinuesATrace(t *testing.T) {
	tel, err := New(t.Context(), Config{Service: "svc", Instance: "i", Level: "info", Out: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	_, span, onward := tel.Start(t.Context(), "work", parent)
	span.End()
	if !strings.HasPrefix(onward, parent[:36]) || onward == parent {
		t.Errorf("got %s, want a new span in the trace of %s", onward, parent)
	}
	_, span, fresh := tel.Start(t.Context(), "work", "junk")
	span.End()
	if len(fresh) != len(parent) || strings.HasPrefix(fresh, parent[:36]) {
		t.Errorf("junk did not start a trace: %q", fresh)
	}
	const unsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
	if _, _, onward = tel.Start(t.Context(), "work", unsampled); !strings.HasPrefix(onward, unsampled[:36]) ||
		!strings.HasSuffix(onward, "-00") {
		t.Errorf("got %s, want a trace that is not sampled to stay so", onward)
	}
	if _, _, again := tel.Start(t.Context(), "work", ""); again == fresh || !strings.HasSuffix(again, "-01") {
		t.Errorf("two traces are %s and %s", fresh, again)
	}
	if err := tel.Flush(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestReadyFollowsItsChecks(t *testing.T) {
	p := NewProbes("", prometheus.NewRegistry())
	status := func(path string) int {
		w := httptest.NewRecorder()
		p.mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w.Code
	}
	var broken error
	p.Ready("bus", func() error { return broken })
	if got := status("/readyz"); got != http.StatusOK {
		t.Errorf("ready: %d", got)
	}
	broken = errors.New("away")
	if got := status("/readyz"); got != http.StatusServiceUnavailable {
		t.Errorf("broken: %d", got)
	}
	broken = nil
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Drain(ctx); err != nil {
		t.Fatal(err)
	}
	if got := status("/readyz"); got != http.StatusServiceUnavailable {
		t.Errorf("draining: %d", got)
	}
	if got := status("/healthz"); got != http.StatusOK {
		t.Errorf("health while draining: %d", got)
	}
}

func TestServeStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Serve(ctx, "127.0.0.1:0", http.NotFoundHandler()); err != nil {
		t.Fatal(err)
	}
	if err := Serve(t.Context(), "256.0.0.1:x", nil); err == nil {
		t.Fatal("listened nowhere")
	}
}
