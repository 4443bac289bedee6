// Package alibabatest stands in for what gives out keys of Alibaba Cloud: its token service and the metadata of a
// machine. It also sets the variables by which the SDK finds them.
package alibabatest

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	role     = "acs:ram::1:role/pod"
	provider = "acs:ram::1:oidc-provider/cluster"
	pod      = "token of the pod"
	machine  = "token of the machine"
)

// Services give out keys.
type Services struct {
	t                 *testing.T
	id, secret, token string

	mu    sync.Mutex
	asked []string
}

// Start serves keys in place of the network that the SDK reaches.
func Start(t *testing.T, id, secret, token string) *Services {
	t.Helper()
	s := &Services{t: t, id: id, secret: secret, token: token}
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	for _, name := range []string{
		"ACCESS_KEY_ID", "ACCESS_KEY_SECRET", "SECURITY_TOKEN", "OIDC_TOKEN_FILE", "ROLE_ARN", "OIDC_PROVIDER_ARN",
		"ECS_METADATA", "CREDENTIALS_URI",
	} {
		t.Setenv("ALIBABA_CLOUD_"+name, "")
	}
	t.Setenv("HOME", t.TempDir())
	usual := http.DefaultTransport
	to, err := url.Parse(web.URL)
	if err != nil {
		t.Fatal(err)
	}
	http.DefaultTransport = &http.Transport{
		Proxy: func(r *http.Request) (*url.URL, error) {
			if r.URL.Host != "100.100.100.200" {
				return nil, nil
			}
			return to, nil
		},
		DialTLSContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, to.Host)
		},
	}
	t.Cleanup(func() { http.DefaultTransport = usual })
	return s
}

// WebIdentity makes the environment that of a pod whose service account has a role (RRSA).
func (s *Services) WebIdentity() {
	path := filepath.Join(s.t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(pod), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.t.Setenv("ALIBABA_CLOUD_OIDC_TOKEN_FILE", path)
	s.t.Setenv("ALIBABA_CLOUD_ROLE_ARN", role)
	s.t.Setenv("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", provider)
}

// Asked is what was asked for, without repetitions.
func (s *Services) Asked() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(slices.Compact(slices.Clone(s.asked)), ", ")
}

// ServeHTTP answers one question, when whoever asks it proves to be who may. Source: Alibaba Cloud, AssumeRoleWithOIDC
// and the metadata of an instance.
func (s *Services) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	const metadata = "/latest/meta-data/ram/security-credentials/"
	until := time.Now().Add(time.Hour).UTC().Format("2006-01-02T15:04:05Z")
	switch {
	case strings.HasPrefix(r.Host, "sts.") && r.FormValue("Action") == "AssumeRoleWithOIDC" &&
		r.FormValue("OIDCToken") == pod && r.FormValue("RoleArn") == role && r.FormValue("OIDCProviderArn") == provider:
		s.asked = append(s.asked, "web identity")
		fmt.Fprintf(
			w, `{"Credentials":{"AccessKeyId":%q,"AccessKeySecret":%q,"SecurityToken":%q,"Expiration":%q}}`, s.id,
			s.secret, s.token, until,
		)
	case r.Host == "100.100.100.200" && r.URL.Path == "/latest/api/token" && r.Method == http.MethodPut:
		_, _ = io.WriteString(w, machine)
	case r.Host == "100.100.100.200" && r.Header.Get("X-Aliyun-Ecs-Metadata-Token") == machine &&
		r.URL.Path == metadata:
		_, _ = io.WriteString(w, "ecs")
	case r.Host == "100.100.100.200" && r.Header.Get("X-Aliyun-Ecs-Metadata-Token") == machine &&
		r.URL.Path == metadata+"ecs":
		s.asked = append(s.asked, "machine")
		fmt.Fprintf(
			w, `{"Code":"Success","AccessKeyId":%q,"AccessKeySecret":%q,"SecurityToken":%q,"Expiration":%q}`, s.id,
			s.secret, s.token, until,
		)
	default:
		http.Error(w, "no", http.StatusForbidden)
	}
}
