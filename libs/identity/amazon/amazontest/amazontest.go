// Package amazontest stands in for what gives out credentials of AWS: the token service, the credentials of a
// container, and the metadata of a machine. It also sets the variables by which the SDK finds them.
package amazontest

import (
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

// Keys are credentials.
type Keys struct{ ID, Secret, Token string }

// Services give out credentials.
type Services struct {
	URL string

	t     *testing.T
	keys  Keys
	role  Keys // of sessions of roles
	mu    sync.Mutex
	asked []string
}

// What the environment of a pod holds.
const (
	WebToken  = "token of the pod"
	WebRole   = "arn:aws:iam::1:role/pod"
	container = "token of the container"
	machine   = "token of the machine"
)

// Start serves keys, and other keys for sessions of roles, and takes what else could give credentials out of the
// environment.
func Start(t *testing.T, keys, role Keys) *Services {
	t.Helper()
	s := &Services{t: t, keys: keys, role: role}
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	s.URL = web.URL
	for name, value := range map[string]string{ //nolint:gosec // they are taken out of the environment
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "",
		"AWS_REGION": "eu-west-1", "HOME": t.TempDir(),
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_WEB_IDENTITY_TOKEN_FILE": "",
		"AWS_ROLE_ARN": "", "AWS_ROLE_SESSION_NAME": "",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI": "", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "",
		"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "",
		"AWS_EC2_METADATA_DISABLED":              "true", "AWS_ENDPOINT_URL_STS": s.URL,
	} {
		t.Setenv(name, value)
	}
	return s
}

// WebIdentity makes the environment that of a pod whose service account has a role (IRSA).
func (s *Services) WebIdentity() {
	s.t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", s.file(WebToken))
	s.t.Setenv("AWS_ROLE_ARN", WebRole)
}

// Container makes the environment that of a pod with an association (EKS Pod Identity).
func (s *Services) Container() {
	s.t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", s.URL+"/v1/credentials")
	s.t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", s.file(container))
}

// Machine makes the environment that of a machine with a profile.
func (s *Services) Machine() {
	s.t.Setenv("AWS_EC2_METADATA_DISABLED", "false")
	s.t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", s.URL)
}

func (s *Services) file(text string) string {
	path := filepath.Join(s.t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
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
	switch {
	case r.URL.Path == "/" && r.Method == http.MethodPost:
		s.token(w, r)
	case r.URL.Path == "/v1/credentials" && r.Header.Get("Authorization") == container:
		s.note("container")
		s.plain(w)
	case r.URL.Path == "/latest/api/token" && r.Method == http.MethodPut:
		w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "300")
		_, _ = io.WriteString(w, machine)
	case strings.HasPrefix(r.URL.Path, "/latest/") && r.Header.Get("X-Aws-Ec2-Metadata-Token") != machine:
		http.Error(w, "no token", http.StatusUnauthorized)
	case r.URL.Path == "/latest/meta-data/iam/security-credentials/":
		_, _ = io.WriteString(w, "profile")
	case r.URL.Path == "/latest/meta-data/iam/security-credentials/profile":
		s.note("machine")
		s.plain(w)
	default:
		http.Error(w, "no", http.StatusForbidden)
	}
}

func until() string { return time.Now().Add(time.Hour).UTC().Format(time.RFC3339) }

func (s *Services) plain(w http.ResponseWriter) {
	_, _ = fmt.Fprintf(
		w, `{"Code":"Success","AccessKeyId":%q,"SecretAccessKey":%q,"Token":%q,"Expiration":%q}`, s.keys.ID,
		s.keys.Secret, s.keys.Token, until(),
	)
}

// token answers as the token service does. Source: AWS Security Token Service, API reference.
func (s *Services) token(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	action, role := r.PostForm.Get("Action"), r.PostForm.Get("RoleArn")
	given := s.keys
	switch action {
	case "AssumeRoleWithWebIdentity":
		if r.PostForm.Get("WebIdentityToken") != WebToken || role != WebRole {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		s.note("web identity")
	case "AssumeRole":
		_, scope, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
		by, _, _ := strings.Cut(scope, "/")
		given = s.role
		s.note(
			"role " + role + " as " + r.PostForm.Get("RoleSessionName") + " by " + by + " " + r.Header.Get(
				"X-Amz-Security-Token",
			),
		)
	default:
		http.Error(w, "no", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	//nolint:gosec // a stand-in answers its own test
	_, _ = fmt.Fprintf(
		w,
		`<%[1]sResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><%[1]sResult><Credentials><AccessKeyId>%s</AccessKeyId>`+
			`<SecretAccessKey>%s</SecretAccessKey><SessionToken>%s</SessionToken><Expiration>%s</Expiration></Credentials></%[1]sResult></%[1]sResponse>`,
		action,
		given.ID,
		given.Secret,
		given.Token,
		until(),
	)
}
