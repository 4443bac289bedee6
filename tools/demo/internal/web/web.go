// Package web is the app that the demo delivers: a page with a version, and a
// switch that makes some of its answers fail.
package web

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"time"

	"github.com/argosy-mesh/argosy/libs/obs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Settings are what a commit of the app's repository changes.
type Settings struct {
	Version   string  `json:"version"`
	FaultRate float64 `json:"faultRate"` // share of answers that fail, 0 to 1
}

// Load reads and checks a settings file. It is the app's unit test, too.
func Load(path string) (Settings, error) {
	var s Settings
	raw, err := os.ReadFile(path)
	if err != nil {
		return s, fmt.Errorf("read settings: %w", err)
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return s, fmt.Errorf("settings %s: %w", path, err)
	}
	if s.Version == "" {
		return s, fmt.Errorf("settings %s: version is empty", path)
	}
	if s.FaultRate < 0 || s.FaultRate > 1 {
		return s, fmt.Errorf("settings %s: faultRate %v is not between 0 and 1", path, s.FaultRate)
	}
	return s, nil
}

// Serve answers until ctx ends. It keeps answering for a moment after that:
// routers need to hear first that this pod is going.
// hash names the ReplicaSet that the pod belongs to, for whoever compares versions.
func Serve(ctx context.Context, addr, hash string, s Settings) error {
	registry := prometheus.NewRegistry()
	requests := prometheus.NewCounterVec(
		prometheus.CounterOpts{Name: "web_requests_total", Help: "Answers by status code."},
		[]string{"version", "hash", "code"},
	)
	registry.MustRegister(requests)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Version", s.Version)
		code := http.StatusOK
		if rand.Float64() < s.FaultRate {
			code = http.StatusInternalServerError
		}
		requests.WithLabelValues(s.Version, hash, fmt.Sprint(code)).Inc()
		w.WriteHeader(code)
		fmt.Fprintln(w, s.Version)
	})
	lingering, stop := context.WithCancel(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, func() { time.AfterFunc(lingerAfterStop, stop) })
	return obs.Serve(lingering, addr, mux)
}

// lingerAfterStop is longer than endpoints take to reach the router.
const lingerAfterStop = 5 * time.Second
