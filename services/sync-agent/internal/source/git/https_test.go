package git

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// certificate is one that a client shows, signed by itself.
func certificate(t *testing.T) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "client"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AddCert(parsed)
	encode := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return encode("CERTIFICATE", der), encode("PRIVATE KEY", text), pool
}

// secure serves a repository by HTTPS to those with one of the headers and the certificate. It returns its URL and
// what it is known by.
func secure(t *testing.T, o *origin, clients *x509.CertPool, headers ...string) (location, ca string) {
	t.Helper()
	path, err := exec.CommandContext(t.Context(), "git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	backend := &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(path)), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + filepath.Dir(o.bare), "GIT_HTTP_EXPORT_ALL=1"},
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, h := range headers {
			if r.Header.Get("Authorization") == h {
				backend.ServeHTTP(w, r)
				return
			}
		}
		w.WriteHeader(http.StatusUnauthorized)
	}))
	s.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	if clients != nil {
		s.TLS.ClientAuth, s.TLS.ClientCAs = tls.RequireAndVerifyClientCert, clients
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	ca = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	return s.URL + "/" + filepath.Base(o.bare), ca
}

func TestHTTPS(t *testing.T) {
	o := newOrigin(t)
	want := o.commit("one", map[string]string{"a": "1"})
	cert, key, clients := certificate(t)
	basic, bearer := "Basic dTpw", "Bearer token" // u:p
	location, ca := secure(t, o, nil, basic, bearer)
	closed, closedCA := secure(t, o, clients, basic)
	s, err := Open(t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		location string
		creds    Credentials
		works    bool
	}{
		"password":          {location, Credentials{Username: "u", Password: "p", CA: ca}, true},
		"token":             {location, Credentials{BearerToken: "token", CA: ca}, true},
		"whoever answers":   {location, Credentials{BearerToken: "token", Insecure: true}, true},
		"unknown authority": {location, Credentials{BearerToken: "token"}, false},
		"other password":    {location, Credentials{Username: "u", Password: "x", CA: ca}, false},
		"certificate": {
			closed, Credentials{Username: "u", Password: "p", CA: closedCA, ClientCert: cert, ClientKey: key}, true,
		},
		"without certificate": {closed, Credentials{Username: "u", Password: "p", CA: closedCA}, false},
		"a proxy that is away": {
			location, Credentials{Username: "u", Password: "p", CA: ca, Proxy: "http://127.0.0.1:1"}, false,
		},
		"not by the proxy": {
			location,
			Credentials{Username: "u", Password: "p", CA: ca, Proxy: "http://127.0.0.1:1", NoProxy: "127.0.0.1"},
			true,
		},
	} {
		m, err := s.Mirror(t.Context(), c.location, c.creds)
		if err != nil {
			t.Fatal(err)
		}
		got, err := m.Resolve(t.Context(), "main", Want{Since: time.Now()})
		if c.works != (err == nil && got == want) {
			t.Errorf("%s: %s, %v", name, got, err)
		}
		if err != nil && (strings.Contains(err.Error(), "dTp") || strings.Contains(err.Error(), "token")) {
			t.Errorf("%s: the error tells the password: %v", name, err)
		}
	}
}

// A token that was renewed opens the mirror of the one before.
func TestTokensOfOneIdentityShareAMirror(t *testing.T) {
	o := newOrigin(t)
	want := o.commit("one", map[string]string{"a": "1"})
	location, ca := secure(t, o, nil, "Basic dTpy") // u:r
	s, err := Open(t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	old, err := s.Mirror(t.Context(), location, Credentials{Username: "u", Password: "o", Identity: "app", CA: ca})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := old.Resolve(t.Context(), "main", Want{}); err == nil {
		t.Error("the old token opens it")
	}
	renewed, err := s.Mirror(t.Context(), location, Credentials{Username: "u", Password: "r", Identity: "app", CA: ca})
	if err != nil || renewed != old {
		t.Fatalf("another mirror: %v", err)
	}
	if got, err := renewed.Resolve(t.Context(), "main", Want{}); err != nil || got != want {
		t.Errorf("%s, %v", got, err)
	}
}
