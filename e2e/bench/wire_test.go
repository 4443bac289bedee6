package bench

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

func TestPostingsDifferInOneHeader(t *testing.T) {
	var mu sync.Mutex
	seen, from := map[string]string{}, map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		seen[r.Header.Get("X-Id")], from[r.RemoteAddr] = r.Method+" "+r.URL.Path+" "+r.Header.Get("X-Same")+" "+string(
			body,
		), true
		if err != nil || r.Header.Get("X-Id") == "refused" {
			w.WriteHeader(http.StatusForbidden)
		}
		_, _ = io.WriteString(w, strings.Repeat("answer ", 1000))
	}))
	defer server.Close()
	w := newWire(
		posting{
			address: server.Listener.Addr().String(), path: "/p", header: map[string]string{"X-Same": "s"},
			differs: "X-Id", body: []byte("body"),
		},
		2,
	)
	defer w.close()
	for id, want := range map[string]int{"a": 200, "b": 200, "refused": 403, "c": 200} {
		if status, err := w.post(t.Context(), id); status != want || err != nil {
			t.Errorf("%s: %d, %v, want %d", id, status, err, want)
		}
		if got := seen[id]; got != "POST /p s body" {
			t.Errorf("%s came as %q", id, got)
		}
	}
	if len(from) != 1 {
		t.Errorf("%d connections for one after the other", len(from))
	}
	server.Close()
	if status, err := w.post(t.Context(), "gone"); err == nil {
		t.Errorf("a server that is gone answered %d", status)
	}
}
