package kubeapi

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"encoding/pem"

	"github.com/argosy-mesh/argosy/tools/localcluster/internal/certs"
)

func TestClient(t *testing.T) {
	var got *http.Request
	var body string
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		got, body = r, string(raw)
		if r.URL.Path == "/missing" {
			http.Error(w, "no such thing", http.StatusNotFound)
			return
		}
		_, _ = io.WriteString(w, "ok")
	}))
	defer server.Close()

	dir := t.TempDir()
	authority, err := certs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := authority.Issue(certs.Request{Name: "admin"}); err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(dir, "server-ca.crt")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	client, err := New(server.URL, Identity{CA: ca, Cert: authority.Cert("admin"), Key: authority.Key("admin")})
	if err != nil {
		t.Fatal(err)
	}

	if answer, err := client.Get(t.Context(), "/readyz"); err != nil || string(answer) != "ok" {
		t.Errorf("get: %q, %v", answer, err)
	}
	if err := client.Apply(t.Context(), "/api/v1/x", []byte("kind: X")); err != nil {
		t.Fatal(err)
	}
	if got.Method != http.MethodPatch || body != "kind: X" || got.URL.Query().Get("fieldManager") != "localcluster" {
		t.Errorf("applied by %s %s with %q", got.Method, got.URL, body)
	}
	if _, err := client.Get(t.Context(), "/missing"); err == nil || !strings.Contains(err.Error(), "no such thing") {
		t.Errorf("error %v does not hold the answer", err)
	}
}
