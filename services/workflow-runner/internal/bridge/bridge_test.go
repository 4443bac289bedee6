package bridge

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow/protocol"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/bridge/drivertest"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/executor"
)

// pod is a bridge beside a driver.
type pod struct {
	t       *testing.T
	url     string
	driver  *drivertest.Driver
	staging string
	ended   chan error
}

func start(t *testing.T, idle time.Duration) pod {
	t.Helper()
	sockets := t.TempDir()
	p := pod{t: t, driver: &drivertest.Driver{Folder: t.TempDir()}, staging: t.TempDir(), ended: make(chan error, 1)}
	socket := filepath.Join(sockets, protocol.DriverSocket)
	go func() { _ = p.driver.Serve(t.Context(), socket) }()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.url = "http://" + l.Addr().String()
	if err := os.Mkdir(filepath.Join(p.staging, transferPrefix+"left"), 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	go func() {
		p.ended <- Serve(ctx, l, Config{Token: "secret", Socket: socket, Staging: p.staging, Idle: idle})
	}()
	return p
}

func (p pod) ask(method, path string, d protocol.Driven, body io.Reader) (int, string) {
	p.t.Helper()
	raw, err := json.Marshal(d)
	if err != nil {
		p.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, body)
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer secret")
	req.Header.Set(protocol.BridgeArtifact, base64.RawURLEncoding.EncodeToString(raw))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.Header.Get(protocol.StoreHeader) == "" {
		p.t.Fatalf("%v, %v", err, res.Header)
	}
	return res.StatusCode, string(text)
}

func TestArtifactsGoThroughTheDriverAndBack(t *testing.T) {
	p := start(t, time.Hour)
	of := func(key string) protocol.Driven { return protocol.Driven{Name: "files", Key: key, Configuration: "c"} }
	if code, text := p.ask(http.MethodGet, protocol.BridgeReady, of(""), nil); code != http.StatusNoContent {
		t.Fatal(code, text)
	}
	for _, c := range []struct {
		name, method, path string
		of                 protocol.Driven
		body               string
		code               int
		text               string
	}{
		{"is not there", http.MethodGet, protocol.BridgeObject, of("a/b"), "", 404, "there is no such artifact"},
		{"is saved", http.MethodPut, protocol.BridgeObject, of("a/b"), "hello", 204, ""},
		{"is loaded", http.MethodGet, protocol.BridgeObject, of("a/b"), "", 200, "hello"},
		{"is listed", http.MethodGet, protocol.BridgeNames, of("a"), "", 200, `["a/b"]`},
		{"is refused by the driver", http.MethodPut, protocol.BridgeObject, protocol.Driven{Name: "files", Key: "k"},
			"x", 422, "no configuration"},
		{"the driver is away for now", http.MethodGet, protocol.BridgeObject,
			protocol.Driven{Name: "files", Key: "k", Configuration: "busy"}, "", 503, "Unavailable: busy"},
		{"is removed", http.MethodDelete, protocol.BridgeObject, of("a/b"), "", 204, ""},
		{"is removed although it is not there", http.MethodDelete, protocol.BridgeObject, of("a/b"), "", 204, ""},
		{"is not there any more", http.MethodGet, protocol.BridgeObject, of("a/b"), "", 404, "no such"},
		{"is nothing that a bridge does", http.MethodPost, protocol.BridgeObject, of("a/b"), "", 405, ""},
	} {
		if code, text := p.ask(c.method, c.path, c.of, strings.NewReader(c.body)); code != c.code ||
			!strings.Contains(text, c.text) {
			t.Errorf("%s: %d %s", c.name, code, text)
		}
	}
	if left, _ := os.ReadDir(p.staging); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if asked := p.driver.Asked(); !slices.Contains(asked, "Save a/b c") || !slices.Contains(asked, "Load a/b c") {
		t.Errorf("%q", asked)
	}
}

func TestFoldersReachTheDriverAsFolders(t *testing.T) {
	p := start(t, time.Hour)
	folder := filepath.Join(t.TempDir(), "out")
	if err := os.MkdirAll(filepath.Join(folder, "deep"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "deep", "f"), []byte("deep"), 0o644); err != nil {
		t.Fatal(err)
	}
	packed, err := executor.Send(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	of := protocol.Driven{Name: "files", Key: "tree", Configuration: "c"}
	if code, text := p.ask(http.MethodPut, protocol.BridgeObject, of, packed); code != http.StatusNoContent {
		t.Fatal(code, text)
	}
	if raw, err := os.ReadFile(filepath.Join(p.driver.Folder, "tree", "deep", "f")); string(raw) != "deep" {
		t.Errorf("%q, %v", raw, err)
	}
	code, text := p.ask(http.MethodGet, protocol.BridgeObject, of, nil)
	back := filepath.Join(t.TempDir(), "in")
	if err := executor.Receive(strings.NewReader(text), back); err != nil || code != http.StatusOK {
		t.Fatal(code, err)
	}
	if raw, err := os.ReadFile(filepath.Join(back, "deep", "f")); string(raw) != "deep" {
		t.Errorf("%q, %v", raw, err)
	}
}

func TestStrangersAreNotAnswered(t *testing.T) {
	p := start(t, time.Hour)
	for _, header := range []string{"", "Bearer ", "Bearer other"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+protocol.BridgeNames, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", header)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%q: %s", header, res.Status)
		}
	}
}

func TestABridgeThatNobodyNeedsEnds(t *testing.T) {
	p := start(t, 50*time.Millisecond)
	select {
	case err := <-p.ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Error("it did not end")
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add([]byte{0x08, 1, 0x12, 2, 'n', 'o'})
	f.Add([]byte{0x0a, 1, 'a', 0x0a, 1, 'b', 0xff})
	f.Fuzz(func(_ *testing.T, raw []byte) {
		_ = codec{}.Unmarshal(raw, &answer{})
	})
}
