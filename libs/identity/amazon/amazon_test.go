package amazon_test

import (
	"testing"

	"github.com/argosy-mesh/argosy/libs/identity/amazon"
	"github.com/argosy-mesh/argosy/libs/identity/amazon/amazontest"
)

func TestTheChainOfAWS(t *testing.T) {
	keys, role := amazontest.Keys{
		ID: "POD", Secret: "secret", Token: "session",
	}, amazontest.Keys{
		ID: "ROLE", Secret: "other", Token: "second",
	}
	for name, c := range map[string]struct {
		environment func(*amazontest.Services)
		access      amazon.Access
		id, asked   string
	}{
		"web identity": {(*amazontest.Services).WebIdentity, amazon.Access{}, "POD", "web identity"},
		"container":    {(*amazontest.Services).Container, amazon.Access{}, "POD", "container"},
		"machine":      {(*amazontest.Services).Machine, amazon.Access{}, "POD", "machine"},
		"a role by web identity": {
			(*amazontest.Services).WebIdentity, amazon.Access{RoleARN: "arn:r"}, "ROLE",
			"web identity, role arn:r as argosy by POD session",
		},
		"a role by keys": {
			(*amazontest.Services).WebIdentity, amazon.Access{ID: "MINE", Secret: "s", Token: "t", RoleARN: "arn:r"},
			"ROLE", "role arn:r as argosy by MINE t",
		},
		"keys": {
			(*amazontest.Services).WebIdentity, amazon.Access{ID: "MINE", Secret: "s"}, "MINE", "",
		},
		"nothing": {func(*amazontest.Services) {}, amazon.Access{}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := amazontest.Start(t, keys, role)
			c.environment(s)
			cfg, err := amazon.Config(t.Context(), c.access)
			if err != nil {
				t.Fatal(err)
			}
			if asked := s.Asked(); asked != "" {
				t.Errorf("%s was asked before credentials were needed", asked)
			}
			got, err := cfg.Credentials.Retrieve(t.Context())
			if got.AccessKeyID != c.id || (err == nil) != (c.id != "") || s.Asked() != c.asked {
				t.Errorf("%q, %v; asked %q", got.AccessKeyID, err, s.Asked())
			}
		})
	}
}
