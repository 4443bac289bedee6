package source

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/gitrepo"

	"github.com/argosy-mesh/argosy/libs/kube/secret"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/golang-jwt/jwt/v5"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

func TestARepositoryIsFetchedAsAGitHubApp(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	status := http.StatusCreated
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proof, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		var claims jwt.RegisteredClaims
		_, err := jwt.ParseWithClaims(
			proof,
			&claims,
			func(*jwt.Token) (any, error) { return &key.PublicKey, nil },
			jwt.WithValidMethods([]string{"RS256"}),
		)
		if err != nil || claims.Issuer != "7" || time.Until(claims.ExpiresAt.Time) > 10*time.Minute ||
			r.URL.Path != "/app/installations/42/access_tokens" ||
			r.Method != http.MethodPost {
			http.Error(w, "{}", http.StatusUnauthorized)
			return
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"token":"given"}`)
	}))
	t.Cleanup(api.Close)
	stored := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "s"}, Data: map[string][]byte{
		"key":  pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}),
		"junk": []byte("junk"),
	}}
	f := NewFetcher(secret.NewReader(fake.NewClientBuilder().WithObjects(stored).Build(), 0), nil, "")
	f.github = api.URL
	app := func(id int64, name string) *v1alpha1.GithubAppCreds {
		return &v1alpha1.GithubAppCreds{
			AppID:          id,
			InstallationID: 42,
			PrivateKey: corev1.SecretKeySelector{
				LocalObjectReference: corev1.LocalObjectReference{Name: "s"},
				Key:                  name,
			},
		}
	}
	var s gitrepo.Source
	err = f.gitAuth(
		t.Context(), "ns", &v1alpha1.EventGitArtifact{URL: "https://github.com/a/b", GithubApp: app(7, "key")}, &s,
	)
	if err != nil || s.User != "x-access-token" || s.Password != "given" {
		t.Errorf("%+v, %v", s, err)
	}
	for name, c := range map[string]*v1alpha1.EventGitArtifact{
		"another app":  {URL: "https://github.com/a/b", GithubApp: app(8, "key")},
		"no key":       {URL: "https://github.com/a/b", GithubApp: app(7, "junk")},
		"over SSH":     {URL: "git@github.com:a/b", GithubApp: app(7, "key")},
		"in the clear": {URL: "http://github.com/a/b", GithubApp: app(7, "key")},
	} {
		if err := f.gitAuth(t.Context(), "ns", c, &gitrepo.Source{}); fault.Of(err) != fault.Poison ||
			strings.Contains(err.Error(), "BEGIN") {
			t.Errorf("%s: %v", name, err)
		}
	}
	status = http.StatusBadGateway
	if err := f.gitAuth(
		t.Context(), "ns", &v1alpha1.EventGitArtifact{URL: "https://github.com/a/b", GithubApp: app(7, "key")},
		&gitrepo.Source{},
	); fault.Of(err) != fault.Retry {
		t.Errorf("GitHub is away: %v", err)
	}
	f.github = ""
	for repository, want := range map[string]string{
		"https://github.com/a/b": "https://api.github.com", "https://git.example/a/b": "https://git.example/api/v3",
	} {
		if got, err := f.api(repository); got != want || err != nil {
			t.Errorf("%s: %s, %v", repository, got, err)
		}
	}
}
