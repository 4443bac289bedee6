package artifact

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus/bustest"
	"github.com/argosy-mesh/argosy/libs/flow/protocol"
)

func TestAURLAllowsOneMethodOnOneObjectForSomeTime(t *testing.T) {
	s := &Signer{Base: "http://here", Key: []byte("k")}
	now := time.Unix(1000, 0)
	token := strings.TrimPrefix(s.URL(http.MethodGet, "artifact/ns/a", now.Add(time.Minute)), "http://here"+Path)
	head, tail, _ := strings.Cut(token, ".")
	forged, _, _ := strings.Cut(strings.TrimPrefix((&Signer{Key: []byte("other")}).URL(http.MethodGet, "artifact/ns/b",
		now.Add(time.Minute)), Path), ".")
	cases := []struct {
		name, token, method string
		now                 time.Time
		good                bool
	}{
		{"as given", token, http.MethodGet, now, true},
		{"at its last second", token, http.MethodGet, now.Add(time.Minute), true},
		{"expired", token, http.MethodGet, now.Add(time.Minute + time.Second), false},
		{"another method", token, http.MethodPut, now, false},
		{"another object", forged + "." + tail, http.MethodGet, now, false},
		{"no signature", head, http.MethodGet, now, false},
		{"an empty signature", head + ".", http.MethodGet, now, false},
		{"half a signature", token[:len(token)-4], http.MethodGet, now, false},
		{"nothing", "", http.MethodGet, now, false},
		{"not base64", "!.!", http.MethodGet, now, false},
	}
	for _, c := range cases {
		g, err := s.check(c.token, c.method, c.now)
		if (err == nil) != c.good || c.good && g.Object != "artifact/ns/a" {
			t.Errorf("%s: %q, %v", c.name, g.Object, err)
		}
	}
}

func FuzzAURLThatWasNotGivenIsRefused(f *testing.F) {
	s := &Signer{Key: []byte("k")}
	f.Add("a.b")
	f.Add("eyJtIjoiR0VUIn0.")
	f.Fuzz(func(t *testing.T, token string) {
		if g, err := s.check(token, http.MethodGet, time.Unix(0, 0)); err == nil {
			t.Errorf("%s allows %s", token, g.Object)
		}
	})
}

func TestAllReplicasSignWithOneKey(t *testing.T) {
	b := bustest.Start(t).Connect("test")
	first, err := NewSigner(t.Context(), b, "http://one")
	if err != nil {
		t.Fatal(err)
	}
	second, err := NewSigner(t.Context(), b, "http://two")
	if err != nil {
		t.Fatal(err)
	}
	if len(first.Key) != 32 || string(first.Key) != string(second.Key) {
		t.Error("they do not")
	}
}

// asker asks the built-in store over HTTP.
type asker struct {
	t    *testing.T
	sign *Signer
}

func (a asker) do(method, url, body string) (int, string) {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	if res.Header.Get(protocol.StoreHeader) == "" {
		a.t.Errorf("%s: the store does not say that it is one", method)
	}
	return res.StatusCode, string(text)
}

func TestTheBuiltInStore(t *testing.T) {
	server := bustest.Start(t)
	b := server.Connect("test")
	sign := &Signer{Key: []byte("k")}
	web := httptest.NewServer(&Server{Bus: b, Signer: sign, Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(web.Close)
	sign.Base = web.URL
	a := asker{t, sign}
	later := time.Now().Add(time.Hour)
	put, get := sign.URL(http.MethodPut, "artifact/ns/a", later), sign.URL(http.MethodGet, "artifact/ns/a", later)
	if code, _ := a.do(http.MethodGet, get, ""); code != http.StatusNotFound {
		t.Errorf("before it is there: %d", code)
	}
	body := strings.Repeat("content ", 200_000) // several chunks of the bus
	if code, text := a.do(http.MethodPut, put, body); code != http.StatusNoContent {
		t.Fatalf("put: %d %s", code, text)
	}
	if code, text := a.do(http.MethodGet, get, ""); code != http.StatusOK || text != body {
		t.Errorf("get: %d, %d bytes", code, len(text))
	}
	if code, text := a.do(http.MethodGet, sign.URL(http.MethodGet, "artifact/ns", later), ""); code != http.StatusOK ||
		!strings.Contains(text[:40], protocol.FolderMark) {
		t.Errorf("a folder of keys: %d, %d bytes", code, len(text))
	}
	if code, _ := a.do(http.MethodPut, get, "evil"); code != http.StatusForbidden {
		t.Errorf("put with a URL to get: %d", code)
	}
	if code, _ := a.do(http.MethodGet, sign.URL(http.MethodGet, "artifact/ns/a", time.Now().Add(-time.Minute)),
		""); code != http.StatusForbidden {
		t.Errorf("an old URL: %d", code)
	}
	if code, _ := a.do(http.MethodDelete, get, ""); code != http.StatusForbidden {
		t.Errorf("delete: %d", code)
	}
	server.Stop()
	if code, _ := a.do(http.MethodPut, put, "x"); code != http.StatusServiceUnavailable {
		t.Errorf("while the bus is away: %d", code)
	}
}
