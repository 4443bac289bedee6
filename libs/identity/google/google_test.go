package google_test

import (
	"errors"
	"testing"

	"github.com/argosy-mesh/argosy/libs/identity/google"
	"github.com/argosy-mesh/argosy/libs/identity/google/googletest"
)

func TestTheChainOfGoogle(t *testing.T) {
	for name, c := range map[string]struct {
		environment  func(*googletest.Services)
		token, asked string
		signs        bool
	}{
		"a machine": {
			func(*googletest.Services) {}, googletest.Token, "machine for " + google.Platform + ", signature", true,
		},
		"one of a pool": {
			func(s *googletest.Services) { s.Machines = "project.svc.id.goog" }, googletest.Pooled,
			"machine for " + google.Platform, false,
		},
		"one that may not": {
			func(s *googletest.Services) { s.Sign = nil }, googletest.Token, "machine for " + google.Platform, false,
		},
		"federated": {
			func(s *googletest.Services) { s.Federated(false) }, googletest.Pooled, "federation", false,
		},
		"federated as an account": {
			func(s *googletest.Services) { s.Federated(true) }, googletest.Token,
			"federation, as " + googletest.Email + ", signature", true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := googletest.Start(t)
			s.Sign = func(text []byte) []byte { return append([]byte("signed "), text...) }
			c.environment(s)
			a, err := google.Default(t.Context(), google.Platform)
			if err != nil {
				t.Fatal(err)
			}
			a.IAM = s.URL
			token, err := a.TokenSource.Token()
			if err != nil || token.AccessToken != c.token {
				t.Fatalf("%v, %v", token, err)
			}
			signed, err := a.Sign(t.Context(), []byte("text"))
			if c.signs && (string(signed) != "signed text" || err != nil) ||
				!c.signs && !errors.Is(err, google.ErrNoSigner) ||
				s.Asked() != c.asked {
				t.Errorf("%q, %v; asked %q", signed, err, s.Asked())
			}
		})
	}
}
