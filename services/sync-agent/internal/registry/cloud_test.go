package registry

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/identity"
	"github.com/argosy-mesh/argosy/libs/identity/amazon/amazontest"
	"github.com/argosy-mesh/argosy/libs/identity/entra/entratest"
	"github.com/argosy-mesh/argosy/libs/identity/google/googletest"
)

// network sends requests for the login services of clouds to a stand-in, and all others on.
type network struct {
	next  http.RoundTripper
	asked []string
	ends  time.Time
}

func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	var text string
	switch {
	case r.URL.Host == "team.azurecr.io" && r.URL.Path == "/oauth2/exchange":
		if err := r.ParseForm(); err != nil {
			return nil, err
		}
		if r.PostForm.Get("access_token") != entratest.Token || r.PostForm.Get("service") != r.URL.Host {
			return nil, fmt.Errorf("a wrong exchange: %v", r.PostForm)
		}
		text = `{"refresh_token":"of-azure"}`
	case r.URL.Host == "api.ecr.eu-west-1.amazonaws.com":
		if !strings.Contains(r.Header.Get("Authorization"), "Credential=ID/") ||
			!strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".GetAuthorizationToken") {
			return nil, fmt.Errorf("a wrong signature: %v", r.Header)
		}
		pair := base64.StdEncoding.EncodeToString([]byte("AWS:of-amazon"))
		text = fmt.Sprintf(`{"authorizationData":[{"authorizationToken":%q,"expiresAt":%d.5}]}`, pair, n.ends.Unix())
	case n.next == nil:
		return nil, fmt.Errorf("nobody serves %s", r.URL)
	default:
		return n.next.RoundTrip(r)
	}
	n.asked = append(n.asked, r.URL.Host)
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text)), Request: r,
	}, nil
}

// The identity opens registries of its cloud, for namespaces that may use it, and is asked again before it ends.
func TestClouds(t *testing.T) {
	tokens := entratest.Start(t)
	tokens.WebIdentity()
	googletest.Start(t)
	amazontest.Start(t, amazontest.Keys{ID: "ID", Secret: "SECRET", Token: "T"}, amazontest.Keys{ID: "ID",
		Secret: "SECRET"}).WebIdentity()
	n := &network{next: tokens, ends: time.Now().Add(time.Hour)}
	c := NewClouds(identity.For("argocd"), &http.Client{Transport: n})
	const ecr = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
	for _, want := range [][3]string{
		{"argocd", "team.azurecr.io", "{" + azureUser + " of-azure}"}, {"argocd", "eu-docker.pkg.dev",
			"{oauth2accesstoken " + googletest.Token + "}"},
		{"argocd", ecr, "{AWS of-amazon}"}, {"argocd", ecr, "{AWS of-amazon}"}, {"team", "team.azurecr.io", "{ }"},
		{"argocd", "team.azurecr.io.example.org", "{ }"}, {"argocd", "registry.local:5000", "{ }"},
		{"argocd", "x.dkr.ecr.eu-west-1.amazonaws.com.example.org", "{ }"}, {"argocd", "docker.pkg.dev.example.org", "{ }"},
	} {
		got, err := c.Access(t.Context(), want[0], want[1])
		if fmt.Sprint(got) != want[2] || err != nil {
			t.Errorf("%v: %v, %v", want, got, err)
		}
	}
	if got := fmt.Sprint(n.asked); got != "[team.azurecr.io api.ecr.eu-west-1.amazonaws.com]" {
		t.Errorf("asked %s", got)
	}
	c.now = func() time.Time { return n.ends.Add(-early + time.Minute) }
	if _, err := c.Access(t.Context(), "argocd", ecr); err != nil || len(n.asked) != 3 {
		t.Errorf("a login that ends soon: %v, %v", n.asked, err)
	}
	if got, err := (*Clouds)(nil).Access(t.Context(), "argocd", ecr); err != nil || got != (Access{}) {
		t.Error(got, err)
	}
}
