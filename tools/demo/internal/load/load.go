// Package load sends a steady stream of requests and counts what comes back.
package load

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/obs"
)

// Stats is what came back since the last reset.
type Stats struct {
	Since    time.Time      `json:"since"`
	Requests int            `json:"requests"`
	Failed   int            `json:"failed"`
	Versions map[string]int `json:"versions"` // answers by version
	LastErr  string         `json:"lastError,omitempty"`
}

// Generator sends to one URL.
type Generator struct {
	url    string
	rate   int
	client *http.Client
	mu     sync.Mutex
	stats  Stats
}

// requestTimeout bounds one request; a slower answer counts as failed.
const requestTimeout = 3 * time.Second

// New makes a generator of rate requests per second.
func New(url string, rate int) *Generator {
	g := &Generator{
		url:    url,
		rate:   rate,
		client: &http.Client{Timeout: requestTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: 16}},
	}
	g.reset()
	return g
}

func (g *Generator) reset() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stats = Stats{Since: time.Now(), Versions: map[string]int{}}
}

// Run sends until ctx ends.
func (g *Generator) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Second / time.Duration(g.rate))
	defer tick.Stop()
	var open sync.WaitGroup
	defer open.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			open.Go(func() { g.one(context.WithoutCancel(ctx)) })
		}
	}
}

func (g *Generator) one(ctx context.Context) {
	began := time.Now()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.url, nil)
	if err != nil {
		g.count(began, "", err.Error())
		return
	}
	res, err := g.client.Do(req)
	if err != nil {
		g.count(began, "", err.Error())
		return
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		g.count(began, res.Header.Get("X-Version"), res.Status)
		return
	}
	g.count(began, res.Header.Get("X-Version"), "")
}

func (g *Generator) count(began time.Time, version, failure string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if began.Before(g.stats.Since) {
		return // it belongs to the time before the reset
	}
	g.stats.Requests++
	if version != "" {
		g.stats.Versions[version]++
	}
	if failure != "" {
		g.stats.Failed++
		g.stats.LastErr = failure
	}
}

// Serve answers GET /stats, and POST /reset which starts counting anew.
func (g *Generator) Serve(ctx context.Context, addr string) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) {
		g.mu.Lock()
		defer g.mu.Unlock()
		_ = json.NewEncoder(w).Encode(g.stats) // the reader went away
	})
	mux.HandleFunc("POST /reset", func(http.ResponseWriter, *http.Request) { g.reset() })
	return obs.Serve(ctx, addr, mux)
}
