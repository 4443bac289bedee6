// Package googletest stands in for what gives out tokens of Google: the metadata of a machine, the token services of
// workload identity federation, and the signatures of service accounts. It also sets the variables by which the SDK
// finds them.
package googletest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Email is the service account.
const Email = "robot@example.iam.gserviceaccount.com"

// Token is what opens doors as the service account, Pooled as one of a pool of identities.
const (
	Token  = "token-of-robot"
	Pooled = "token-of-pool"
	pod    = "token of the pod"
)

// Services give out tokens.
type Services struct {
	URL string
	// Sign signs as the service account; nil refuses that.
	Sign func(text []byte) []byte
	// Machines is whose the machine is; [Email] unless a test says otherwise.
	Machines string

	t     *testing.T
	mu    sync.Mutex
	asked []string
}

// Start serves tokens.
func Start(t *testing.T) *Services {
	t.Helper()
	s := &Services{t: t, Machines: Email}
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	s.URL = web.URL
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
	t.Setenv("HOME", t.TempDir())
	t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(s.URL, "http://"))
	return s
}

// Federated makes the environment that of a pod elsewhere whose identity Google trusts; with borrows it acts as the
// service account, and as itself else.
func (s *Services) Federated(borrows bool) {
	dir := s.t.TempDir()
	file := map[string]any{ //nolint:gosec // a form, not a secret
		"type":               "external_account",
		"audience":           "//iam.googleapis.com/pool",
		"subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
		"token_url":          s.URL + "/sts",
		"credential_source":  map[string]string{"file": filepath.Join(dir, "token")},
	}
	if borrows {
		file["service_account_impersonation_url"] = s.URL + "/v1/projects/-/serviceAccounts/" + Email +
			":generateAccessToken"
	}
	text, err := json.Marshal(file)
	if err != nil {
		s.t.Fatal(err)
	}
	for name, content := range map[string][]byte{"token": []byte(pod), "credentials.json": text} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	s.t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", filepath.Join(dir, "credentials.json"))
}

// Asked is what was asked for, without repetitions.
func (s *Services) Asked() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(slices.Compact(slices.Clone(s.asked)), ", ")
}

func (s *Services) note(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, what)
}

// ServeHTTP answers one question, when whoever asks it proves to be who may.
func (s *Services) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	const account = "/computeMetadata/v1/instance/service-accounts/default/"
	bearer, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	machine := r.Header.Get("Metadata-Flavor") == "Google"
	w.Header().Set("Metadata-Flavor", "Google")
	switch {
	case r.URL.Path == account+"token" && machine:
		s.note("machine for " + r.URL.Query().Get("scopes"))
		fmt.Fprintf(
			w, `{"access_token":%q,"expires_in":3600,"token_type":"Bearer"}`,
			map[bool]string{true: Token, false: Pooled}[s.Machines == Email],
		)
	case r.URL.Path == account+"email" && machine:
		_, _ = io.WriteString(w, s.Machines)
	case r.URL.Path == "/computeMetadata/v1/project/project-id" && machine:
		_, _ = io.WriteString(w, "project")
	case r.URL.Path == "/sts" && r.FormValue("subject_token") == pod &&
		r.FormValue("audience") == "//iam.googleapis.com/pool":
		s.note("federation")
		fmt.Fprintf(
			w,
			`{"access_token":%q,"expires_in":3600,"token_type":"Bearer","issued_token_type":"urn:ietf:params:oauth:token-type:access_token"}`,
			Pooled,
		)
	case r.URL.Path == "/v1/projects/-/serviceAccounts/"+Email+":generateAccessToken" && bearer == Pooled:
		s.note("as " + Email)
		fmt.Fprintf(
			w, `{"accessToken":%q,"expireTime":%q}`, Token, time.Now().Add(time.Hour).UTC().Format(time.RFC3339),
		)
	case r.URL.Path == "/v1/projects/-/serviceAccounts/"+Email+":signBlob" && bearer == Token && s.Sign != nil:
		s.sign(w, r)
	default:
		http.Error(w, "no", http.StatusForbidden)
	}
}

func (s *Services) sign(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		Payload []byte `json:"payload"`
	}
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.note("signature")
	_ = json.NewEncoder(w).Encode(map[string]any{"keyId": "1", "signedBlob": s.Sign(ask.Payload)})
}
