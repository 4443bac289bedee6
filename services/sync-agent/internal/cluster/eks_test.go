package cluster

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/argosy-mesh/argosy/libs/identity/amazon/amazontest"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
)

// A cluster of EKS takes a request to the token service that was signed for it, and asks the service who signed.
func TestClustersOfEKSAreReachedByIdentities(t *testing.T) {
	services := amazontest.Start(
		t, amazontest.Keys{ID: "POD", Secret: "s", Token: "t"}, amazontest.Keys{ID: "ROLE", Secret: "r", Token: "u"},
	)
	services.WebIdentity()
	var token atomic.Value
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token.Store(r.Header.Get("Authorization"))
		_, _ = w.Write([]byte(`{}`))
	}))
	defer api.Close()
	for name, c := range map[string]struct{ config, who string }{
		"the agent's own":   {`{"awsAuthConfig":{"clusterName":"prod"}}`, "POD"},
		"a role":            {`{"awsAuthConfig":{"clusterName":"prod","roleARN":"arn:aws:iam::1:role/deploy"}}`, "ROLE"},
		"with an authority": {`{"awsAuthConfig":{"clusterName":"prod"},"tlsClientConfig":{"insecure":true}}`, "POD"},
	} {
		t.Run(name, func(t *testing.T) {
			config, err := configOf(&corev1.Secret{Data: map[string][]byte{
				"server": []byte(api.URL), "config": []byte(c.config),
			}})
			if err != nil {
				t.Fatal(err)
			}
			client, err := rest.HTTPClientFor(rest.CopyConfig(config))
			if err != nil {
				t.Fatal(err)
			}
			var tokens []string
			for range 2 {
				res, err := client.Get(api.URL)
				if err != nil {
					t.Fatal(err)
				}
				res.Body.Close()
				tokens = append(tokens, token.Load().(string))
			}
			if tokens[0] != tokens[1] {
				t.Error("a token that is good is made anew")
			}
			text, ok := strings.CutPrefix(tokens[0], "Bearer "+eksTokenPrefix)
			raw, err := base64.RawURLEncoding.DecodeString(text)
			if !ok || err != nil {
				t.Fatalf("token %q: %v", tokens[0], err)
			}
			signed, err := url.Parse(string(raw))
			if err != nil {
				t.Fatal(err)
			}
			q := signed.Query()
			headers := strings.Split(q.Get("X-Amz-SignedHeaders"), ";")
			if q.Get("Action") != "GetCallerIdentity" || q.Get("X-Amz-Expires") != "60" ||
				!strings.HasPrefix(q.Get("X-Amz-Credential"), c.who+"/") || q.Get("X-Amz-Signature") == "" ||
				!slices.Contains(headers, eksNameHeader) || !slices.Contains(headers, "host") {
				t.Errorf("signed %s", signed)
			}
		})
	}
}

func TestRegionsOfClusters(t *testing.T) {
	for host, want := range map[string]string{
		"https://0123.gr7.eu-west-1.eks.amazonaws.com":       "eu-west-1",
		"https://0123.sk1.cn-north-1.eks.amazonaws.com.cn/x": "cn-north-1",
		"https://eks.example.org":                            "",
		"https://10.0.0.1:6443":                              "",
		"%":                                                  "",
	} {
		if got := regionOf(host); got != want {
			t.Errorf("%s: %q, want %q", host, got, want)
		}
	}
}
