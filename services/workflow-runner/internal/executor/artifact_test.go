package executor

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow/protocol"
)

func TestOnlyTheStoreCanRefuse(t *testing.T) {
	cases := []struct {
		name         string
		status       int
		store        bool
		final, fails bool
	}{
		{"stored", 204, true, false, false},
		{"forbidden by the store", 403, true, true, true},
		{"no such artifact", 404, true, true, true},
		{"the store is away", 503, true, false, true},
		{"somebody else at its address", 404, false, false, true},
		{"somebody else says fine", 200, false, false, true},
	}
	for _, c := range cases {
		res := &http.Response{StatusCode: c.status, Status: http.StatusText(c.status), Header: http.Header{},
			Body: io.NopCloser(strings.NewReader("x"))}
		if c.store {
			res.Header.Set(protocol.StoreHeader, "1")
		}
		err := verdict(res)
		if (err != nil) != c.fails || errors.Is(err, errGone) != c.final {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestAnUploadOutlastsARestartOfTheStore(t *testing.T) {
	calls, got := 0, ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls++
		if calls == 1 {
			http.NotFound(w, r) // not the store
			return
		}
		w.Header().Set(protocol.StoreHeader, "1")
		if calls == 2 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		body, _ := io.ReadAll(r.Body)
		got = string(body)
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	try := func() error {
		return answer(server.Client().Do(request(t, server.URL, "content")))
	}
	noWait := func(context.Context, time.Duration) error { return nil }
	if err := patiently(t.Context(), try, noWait); err != nil {
		t.Fatal(err)
	}
	if got != "content" || calls != 3 {
		t.Fatalf("stored %q after %d calls", got, calls)
	}
}

func request(t *testing.T, url, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return req
}
