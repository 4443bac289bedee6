// Package entratest stands in for what gives out tokens of Microsoft Entra: its token service and the metadata of a
// machine. It also sets the variables by which the SDK finds them.
package entratest

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Token is what opens doors.
const Token = "token-of-entra" //nolint:gosec // it opens the tests' stand-ins

const (
	tenant = "tenant-of-pod"
	client = "client-of-pod"
	pod    = "token of the pod"
	login  = "login.microsoftonline.com"
)

// Services give out tokens.
type Services struct {
	t     *testing.T
	mu    sync.Mutex
	asked []string
}

// Start serves tokens, and takes what else could give some out of the environment.
func Start(t *testing.T) *Services {
	t.Helper()
	for _, name := range []string{
		"AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE",
		"AZURE_AUTHORITY_HOST", "IDENTITY_ENDPOINT", "MSI_ENDPOINT",
	} {
		t.Setenv(name, "")
		if err := os.Unsetenv(name); err != nil { // it is set again when the test ends
			t.Fatal(err)
		}
	}
	t.Setenv("AZURE_TOKEN_CREDENTIALS", "prod")
	return &Services{t: t}
}

// WebIdentity makes the environment that of a pod whose service account Entra trusts (workload identity).
func (s *Services) WebIdentity() {
	path := filepath.Join(s.t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(pod), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.t.Setenv("AZURE_FEDERATED_TOKEN_FILE", path)
	s.t.Setenv("AZURE_TENANT_ID", tenant)
	s.t.Setenv("AZURE_CLIENT_ID", client)
}

// Client reaches them in place of the network.
func (s *Services) Client() *http.Client { return &http.Client{Transport: s} }

// Asked is what was asked for, without repetitions.
func (s *Services) Asked() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(slices.Compact(slices.Clone(s.asked)), ", ")
}

// RoundTrip answers one question, when whoever asks it proves to be who may.
func (s *Services) RoundTrip(r *http.Request) (*http.Response, error) {
	var form url.Values
	if r.Body != nil {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		if form, err = url.ParseQuery(string(raw)); err != nil {
			return nil, err
		}
	}
	code, text := s.answer(r, form)
	return &http.Response{
		StatusCode: code,
		Status:     http.StatusText(code),
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
		Request:    r,
		Header: http.Header{
			"Content-Type": {"application/json"},
		},
		Body:          io.NopCloser(strings.NewReader(text)),
		ContentLength: int64(len(text)),
	}, nil
}

func (s *Services) answer(r *http.Request, form url.Values) (code int, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := r.URL.Query()
	switch {
	case r.URL.Host == login && strings.HasSuffix(r.URL.Path, "/discovery/instance"):
		return http.StatusOK, fmt.Sprintf(
			`{"tenant_discovery_endpoint":"https://%s/%s/v2.0/.well-known/openid-configuration","metadata":[{"preferred_network":%q,"preferred_cache":%q,"aliases":[%q]}]}`,
			login, tenant, login, login, login,
		)
	case r.URL.Host == login && r.URL.Path == "/"+tenant+"/v2.0/.well-known/openid-configuration":
		return http.StatusOK, fmt.Sprintf(
			`{"token_endpoint":"https://%s/%s/oauth2/v2.0/token","authorization_endpoint":"https://%s/%s/oauth2/v2.0/authorize","issuer":"https://%s/%s/v2.0"}`,
			login, tenant, login, tenant, login, tenant,
		)
	case r.URL.Host == login && r.URL.Path == "/"+tenant+"/oauth2/v2.0/token" && form.Get("client_assertion") == pod &&
		form.Get("client_id") == client:
		scope, _, _ := strings.Cut(form.Get("scope"), " ")
		s.asked = append(s.asked, "web identity for "+scope)
		return http.StatusOK, fmt.Sprintf(`{"access_token":%q,"expires_in":3600,"token_type":"Bearer"}`, Token)
	case r.URL.Host == "169.254.169.254" && r.URL.Path == "/metadata/identity/oauth2/token" &&
		r.Header.Get("Metadata") == "true":
		s.asked = append(s.asked, "machine for "+q.Get("resource"))
		return http.StatusOK, fmt.Sprintf(
			`{"access_token":%q,"expires_in":"3600","token_type":"Bearer","resource":%q}`, Token, q.Get("resource"),
		)
	case r.URL.Host == "169.254.169.254":
		// that there is one
		return http.StatusBadRequest, `{"error":"invalid_request","error_description":"Required metadata header not specified"}`
	}
	return http.StatusForbidden, `{"error":"access_denied"}`
}
