package load

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestAnswersAreCountedByVersion(t *testing.T) {
	answers := make(chan string, 3)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		version := <-answers
		w.Header().Set("X-Version", version)
		if version == "v2" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	g := New(server.URL, 1)
	for _, v := range []string{"v1", "v2", "v1"} {
		answers <- v
		g.one(t.Context())
	}
	if g.stats.Requests != 3 || g.stats.Failed != 1 || g.stats.Versions["v1"] != 2 || g.stats.Versions["v2"] != 1 ||
		g.stats.LastErr == "" {
		t.Errorf("%+v", g.stats)
	}
	server.Close()
	g.reset()
	g.one(t.Context())
	if g.stats.Requests != 1 || g.stats.Failed != 1 {
		t.Errorf("a server that is away: %+v", g.stats)
	}
}

func TestRunLetsRequestsFinish(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { cancel() }))
	t.Cleanup(server.Close)
	g := New(server.URL, 100)
	if err := g.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if g.stats.Requests == 0 || g.stats.Failed != 0 {
		t.Errorf("%+v", g.stats)
	}
}
