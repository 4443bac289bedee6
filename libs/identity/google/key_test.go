package google_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/libs/identity/google"
	"github.com/argosy-mesh/argosy/libs/identity/google/googletest"
)

func TestKeysThatSomebodyKeeps(t *testing.T) {
	s := googletest.Start(t)
	s.Federated(true)
	text, err := os.ReadFile(os.Getenv("GOOGLE_APPLICATION_CREDENTIALS"))
	if err != nil {
		t.Fatal(err)
	}
	all := func(string) bool { return true }
	a, err := google.Key(t.Context(), text, all, google.Platform)
	if err != nil {
		t.Fatal(err)
	}
	token, err := a.TokenSource.Token()
	if err != nil || token.AccessToken != googletest.Token {
		t.Errorf("%v, %v", token, err)
	}
	if email, err := a.Email(t.Context()); err != nil || email != googletest.Email {
		t.Errorf("%s, %v", email, err)
	}
	for name, text := range map[string]string{
		"token services of others": string(text),
		"no JSON":                  `{"private_key": "secret`,
		"another type":             `{"type": "authorized_user", "client_secret": "secret"}`,
		"no type":                  `{}`,
		"a program":                `{"type": "external_account", "credential_source": {"executable": {"command": "secret"}}}`,
		"a key without a key":      `{"type": "service_account", "token_uri": "https://evil.example.org/secret"}`,
	} {
		_, err := google.Key(t.Context(), []byte(text), nil, google.Platform)
		if !errors.Is(err, google.ErrKey) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for host, want := range map[string]bool{
		"oauth2.googleapis.com": true, "STS.googleapis.com.": true, "googleapis.com.example.org": false,
		"evilgoogleapis.com": false, "": false,
	} {
		if google.Googles(host) != want {
			t.Error(host)
		}
	}
}
