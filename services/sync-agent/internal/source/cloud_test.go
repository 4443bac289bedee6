package source

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/identity/entra/entratest"
	"github.com/argosy-mesh/argosy/libs/identity/google/googletest"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

// tokenService gives out tokens for the key of a service account.
func tokenService(t *testing.T) (key string, asked func() int) {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n++
		parts := strings.Split(r.FormValue("assertion"), ".")
		claims, _ := base64.RawURLEncoding.DecodeString(parts[min(1, len(parts)-1)])
		if len(parts) != 3 || !strings.Contains(string(claims), `"iss":"robot@example.org"`) {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"access_token": "token-of-key", "expires_in": 3600, "token_type": "Bearer"}`)
	}))
	t.Cleanup(s.Close)
	text, err := json.Marshal(map[string]string{
		"type": "service_account", "client_email": "robot@example.org", "private_key_id": "k", "token_uri": s.URL,
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(text), func() int { return n }
}

// here lets tokens go to the servers of a test.
func (w *world) here() {
	w.tokens.googles = regexp.MustCompile(`^127\.0\.0\.1$`)
	w.tokens.services, w.tokens.plain = func(string) bool { return true }, true
}

// A repository in Git is opened by a key of Google, and by workload identity federation; tokens are asked for once.
func TestIdentitiesOfGoogle(t *testing.T) {
	stand := googletest.Start(t)
	stand.Federated(true)
	federated, err := os.ReadFile(os.Getenv("GOOGLE_APPLICATION_CREDENTIALS"))
	if err != nil {
		t.Fatal(err)
	}
	key, asked := tokenService(t)
	for name, c := range map[string]struct{ key, token string }{
		"a key": {key, "token-of-key"}, "federation": {string(federated), googletest.Token},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.here()
			h := w.serve("Basic " + base64.StdEncoding.EncodeToString([]byte("oauth2accesstoken:"+c.token)))
			w.commit("app", map[string]string{"a.yaml": cm("a")})
			w.declared.secrets = []corev1.Secret{secret(kindTemplate, "url", h.URL, "gcpServiceAccountKey", c.key)}
			for range 2 {
				found, err := w.Render(t.Context(), request(directory(h.URL+"/app", ".")), new(NewMemory(time.Now())))
				if err != nil || !cmp.Equal(names(found), []string{"ConfigMap/a"}) {
					t.Fatalf("%v", err)
				}
			}
		})
	}
	if asked() != 1 {
		t.Errorf("%d tokens of one key", asked())
	}
}

// An identity opens servers of its cloud alone, and says nothing of itself where it does not.
func TestWhomTokensAreShownTo(t *testing.T) {
	services := entratest.Start(t)
	services.WebIdentity()
	exchanged := 0
	client := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.URL.Host != "team.azurecr.io" {
			return services.RoundTrip(r)
		}
		exchanged++
		if r.FormValue("access_token") != entratest.Token || r.FormValue("service") != "team.azurecr.io" {
			return &http.Response{StatusCode: http.StatusForbidden, Body: http.NoBody, Request: r}, nil
		}
		return &http.Response{
			StatusCode: http.StatusOK, Request: r, Body: io.NopCloser(
				strings.NewReader(`{"refresh_token": "of-registry"}`),
			),
		}, nil
	})}
	key, _ := tokenService(t)
	for name, c := range map[string]struct{ url, key, want string }{
		"Azure DevOps":   {"https://dev.azure.com/team/app/_git/app", "", "Bearer token-of-entra"},
		"its older name": {"https://team.visualstudio.com/app/_git/app", "", "Bearer token-of-entra"},
		"a registry": {
			"oci://team.azurecr.io/charts/web", "", "00000000-0000-0000-0000-000000000000:of-registry",
		},
		"it once more": {
			"oci://team.azurecr.io/charts/other", "", "00000000-0000-0000-0000-000000000000:of-registry",
		},
		"without a scheme": {"team.azurecr.io/charts/web", "", "00000000-0000-0000-0000-000000000000:of-registry"},
		"in plain":         {"http://dev.azure.com/team/app/_git/app", "", "shown no token"},
		"by ssh":           {"git@ssh.dev.azure.com:v3/team/app/app", "", "shown no token"},
		"another host":     {"https://dev.azure.com.example.org/app", "", "shown no token"},
		"Google's":         {"https://europe-docker.pkg.dev/p/charts", key, "oauth2accesstoken:token-of-key"},
		"Google's Git":     {"https://source.developers.google.com/p/x/r/app", key, "oauth2accesstoken:token-of-key"},
		"Google, in plain": {"http://source.developers.google.com/p/x/r/app", key, "shown no token"},
		"not Google's":     {"https://git.example.org/app", key, "shown no token"},
		"no key":           {"https://source.developers.google.com/p/x/r/app", `{"type": "secret"}`, "neither the key"},
	} {
		tokens := newTokens()
		tokens.client, tokens.services = client, func(string) bool { return true }
		r := repository{URL: c.url, GoogleKey: c.key, Azure: c.key == ""}
		for range 2 {
			creds, err := r.git(t.Context(), tokens)
			got := creds.Username + ":" + creds.Password
			if creds.BearerToken != "" {
				got = "Bearer " + creds.BearerToken
			}
			if err != nil {
				got = err.Error()
			}
			if err == nil && got != c.want || !strings.Contains(got, c.want) || strings.Contains(got, "secret") {
				t.Errorf("%s: %s", name, got)
			}
			if err == nil && creds.Identity == "" {
				t.Errorf("%s: each token has a mirror of its own", name)
			}
		}
	}
	if exchanged != 3 {
		t.Errorf("%d logins for three places where it was not known", exchanged)
	}
	if asked := fmt.Sprint(services.Asked()); !strings.Contains(asked, devops) {
		t.Errorf("asked for %s", asked)
	}
}

// roundTrip is a network.
type roundTrip func(*http.Request) (*http.Response, error)

// RoundTrip asks it.
func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
