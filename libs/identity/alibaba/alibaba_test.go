package alibaba_test

import (
	"testing"

	"github.com/argosy-mesh/argosy/libs/identity/alibaba"
	"github.com/argosy-mesh/argosy/libs/identity/alibaba/alibabatest"
)

func TestTheChainOfAlibaba(t *testing.T) {
	for want, environment := range map[string]func(*alibabatest.Services){
		"web identity": (*alibabatest.Services).WebIdentity,
		"machine":      func(*alibabatest.Services) {},
	} {
		t.Run(want, func(t *testing.T) {
			s := alibabatest.Start(t, "id", "secret", "token")
			environment(s)
			chain := alibaba.Default()
			if s.Asked() != "" {
				t.Error("it was asked before keys were needed")
			}
			for range 2 {
				if keys, err := chain.Keys(); err != nil ||
					keys != (alibaba.Keys{ID: "id", Secret: "secret", Token: "token"}) ||
					s.Asked() != want {
					t.Errorf("%v, %v; asked %q", keys, err, s.Asked())
				}
			}
		})
	}
}

func TestAWebIdentityThatIsRefusedDoesNotBecomeTheMachines(t *testing.T) {
	s := alibabatest.Start(t, "id", "secret", "token")
	s.WebIdentity()
	t.Setenv("ALIBABA_CLOUD_ROLE_ARN", "another")
	chain := alibaba.Default()
	if keys, err := chain.Keys(); err == nil || s.Asked() != "" {
		t.Errorf("%v; asked %q", keys, s.Asked())
	}
	s.WebIdentity()
	if keys, err := chain.Keys(); err != nil || keys.ID != "id" {
		t.Errorf("the next attempt begins anew: %v, %v", keys, err)
	}
}
