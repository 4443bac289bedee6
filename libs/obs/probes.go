package obs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Probes serves /healthz, /readyz and /metrics, and whatever else is mounted.
type Probes struct {
	mux    *http.ServeMux
	addr   string
	mu     sync.RWMutex
	checks map[string]func() error
	// draining makes /readyz fail from the moment a stop begins.
	draining bool
}

// NewProbes prepares the endpoints on addr.
func NewProbes(addr string, gatherer prometheus.Gatherer) *Probes {
	p := &Probes{mux: http.NewServeMux(), addr: addr, checks: map[string]func() error{}}
	p.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	p.mux.HandleFunc("GET /readyz", p.ready)
	p.mux.Handle("GET /metrics", promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{}))
	return p
}

// Handle mounts another endpoint on the same port.
func (p *Probes) Handle(pattern string, h http.Handler) { p.mux.Handle(pattern, h) }

// Ready adds a condition of readiness; nil from check means ready.
func (p *Probes) Ready(name string, check func() error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.checks[name] = check
}

func (p *Probes) ready(w http.ResponseWriter, _ *http.Request) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.draining {
		http.Error(w, "stopping", http.StatusServiceUnavailable)
		return
	}
	for name, check := range p.checks {
		if err := check(); err != nil {
			http.Error(w, name+": "+err.Error(), http.StatusServiceUnavailable)
			return
		}
	}
	fmt.Fprintln(w, "ok")
}

// Serve listens until ctx ends. It is the first part to start and the last to
// stop, so that probes answer while everything else drains.
func (p *Probes) Serve(ctx context.Context) error {
	return Serve(ctx, p.addr, p.mux)
}

// Drain makes /readyz fail once ctx ends; run it as the last part, so that it is
// the first to stop.
func (p *Probes) Drain(ctx context.Context) error {
	<-ctx.Done()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.draining = true
	return nil
}

// Serve runs an HTTP server with bounded timeouts until ctx ends, then lets
// requests finish for five seconds.
func Serve(ctx context.Context, addr string, h http.Handler) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", addr, err)
	}
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,  // a slow header is an attack or a dead peer
		ReadTimeout:       60 * time.Second, // 25 MiB over 4 Mbit/s
		WriteTimeout:      90 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	soft, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(soft); err != nil {
		return errors.Join(err, server.Close())
	}
	return nil
}
