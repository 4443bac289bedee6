// Package dns takes the place of lego's package of the same name, which links the
// clients of 150 DNS services: more than half of what Traefik is compiled from.
package dns

import (
	"fmt"

	"github.com/go-acme/lego/v4/challenge"
	"github.com/go-acme/lego/v4/challenge/dns01"
)

// NewDNSChallengeProviderByName knows the provider that asks a person.
func NewDNSChallengeProviderByName(name string) (challenge.Provider, error) {
	if name == "manual" {
		return dns01.NewDNSProviderManual()
	}
	return nil, fmt.Errorf("DNS provider %s is not part of this build of Traefik", name)
}
