package cluster

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func secretOf(server, config string) *corev1.Secret {
	return &corev1.Secret{Data: map[string][]byte{"server": []byte(server), "config": []byte(config)}}
}

func TestClusterSecrets(t *testing.T) {
	const server = "https://k.example.org:6443"
	for name, c := range map[string]struct {
		server, config string
		ok             bool
	}{
		"nothing but an address":  {server, "", true},
		"token":                   {server, `{"bearerToken":"t","tlsClientConfig":{"caData":"eA=="}}`, true},
		"certificate":             {server, `{"tlsClientConfig":{"certData":"eA==","keyData":"eA=="}}`, true},
		"a program":               {server, `{"execProviderConfig":{"command":"token","args":["a"],"env":{"A":"b"}}}`, true},
		"no address":              {"", "", false},
		"a name instead":          {"production", "", false},
		"another scheme":          {"file:///etc", "", false},
		"no JSON":                 {server, "{", false},
		"no base64":               {server, `{"tlsClientConfig":{"caData":"%"}}`, false},
		"insecure with authority": {server, `{"tlsClientConfig":{"insecure":true,"caData":"eA=="}}`, false},
		"what is not supported":   {server, `{"awsAuthConfig":{"roleARN":"r"}}`, false},
		"a broken proxy":          {server, `{"proxyUrl":"http://[::1"}`, false},
	} {
		got, err := configOf(secretOf(c.server, c.config))
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && got.Host != c.server {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func FuzzClusterSecret(f *testing.F) {
	f.Add("https://k", `{"bearerToken":"t"}`)
	f.Fuzz(func(_ *testing.T, server, config string) {
		_, _ = configOf(secretOf(server, config)) // must not panic
	})
}
