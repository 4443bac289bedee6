package source

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// forge is the API of GitHub as far as Apps use it. It checks who they say they are.
func forge(t *testing.T, key *rsa.PublicKey, asked *[]string) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.Method+" "+r.URL.Path)
		parts := strings.Split(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), ".")
		if len(parts) != 3 {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		signature, _ := base64.RawURLEncoding.DecodeString(parts[2])
		sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
		var claims struct {
			Issuer string `json:"iss"`
			Until  int64  `json:"exp"`
			From   int64  `json:"iat"`
		}
		text, _ := base64.RawURLEncoding.DecodeString(parts[1])
		if rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature) != nil || json.Unmarshal(text, &claims) != nil ||
			claims.Issuer != "42" || claims.Until-claims.From > 600 {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		switch r.Method + " " + r.URL.Path {
		case "GET /app/installations":
			if r.URL.Query().Get("page") == "1" {
				// The one that is looked for is on the second page.
				fmt.Fprint(
					w,
					"["+strings.Repeat(`{"id":1,"account":{"login":"x"}},`, 99)+`{"id":1,"account":{"login":"x"}}]`,
				)
				return
			}
			fmt.Fprint(w, `[{"id":7,"account":{"login":"Team"}}]`)
		case "POST /app/installations/7/access_tokens":
			w.WriteHeader(http.StatusCreated)
			fmt.Fprintf(
				w,
				`{"token":"t-%d","expires_at":%q}`,
				len(*asked),
				time.Now().Add(time.Hour).UTC().Format(time.RFC3339),
			)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func TestGitHubApps(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	var asked []string
	s := forge(t, &key.PublicKey, &asked)
	r := repository{URL: "https://github.example.org/team/a.git", App: githubApp{ID: "42", Key: text, Base: s.URL}}
	tokens := newTokens()
	first, err := r.git(t.Context(), tokens)
	if err != nil || first.Username != "x-access-token" || !strings.HasPrefix(first.Password, "t-") ||
		first.Identity == "" {
		t.Fatalf("%+v, %v", first, err)
	}
	r.URL = "https://github.example.org/team/b.git"
	again, err := r.git(t.Context(), tokens)
	if err != nil || again.Password != first.Password || len(asked) != 3 {
		t.Errorf("a token is asked for again: %v, %v", asked, err)
	}
	for want, broken := range map[string]repository{
		"not installed":       {URL: "https://github.example.org/others/a", App: r.App},
		"githubAppPrivateKey": {URL: r.URL, App: githubApp{ID: "42", Key: "x", Base: s.URL}},
		"401":                 {URL: r.URL, App: githubApp{ID: "43", Key: text, Base: s.URL}},
		"owner/name":          {URL: "https://github.example.org/a", App: r.App},
	} {
		if _, err := broken.git(t.Context(), tokens); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
