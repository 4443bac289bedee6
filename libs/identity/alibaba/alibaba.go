// Package alibaba finds the identity that Alibaba Cloud gives to this process.
package alibaba

import (
	"fmt"
	"os"
	"sync"

	"github.com/aliyun/credentials-go/credentials/providers"
)

// Keys are what requests are signed with for some time. They are never logged.
type Keys struct{ ID, Secret, Token string }

// Chain is what the SDK's default chain finds: variables, a web identity file (ALIBABA_CLOUD_OIDC_TOKEN_FILE,
// ALIBABA_CLOUD_ROLE_ARN, ALIBABA_CLOUD_OIDC_PROVIDER_ARN: RRSA), the RAM role of the machine. Where there is a web
// identity nothing else counts: the role of the machine is that of others too.
//
// Token services are asked by the SDK's own client, whatever guards the connections to what a manifest names.
type Chain struct {
	mu sync.Mutex
	of providers.CredentialsProvider
}

// Default makes the chain. Nothing is asked before keys are needed.
func Default() *Chain { return &Chain{} }

// Keys returns keys that still count; the chain fetches new ones when the old ones end.
func (c *Chain) Keys() (Keys, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		made, err := chain()
		if err != nil {
			return Keys{}, fmt.Errorf("find an identity of Alibaba Cloud: %w", err)
		}
		c.of = made
	}
	found, err := c.of.GetCredentials()
	if err != nil {
		c.of = nil // one that failed at its end never begins anew
		return Keys{}, fmt.Errorf("find an identity of Alibaba Cloud: %w", err)
	}
	return Keys{ID: found.AccessKeyId, Secret: found.AccessKeySecret, Token: found.SecurityToken}, nil
}

func chain() (providers.CredentialsProvider, error) {
	if os.Getenv("ALIBABA_CLOUD_OIDC_TOKEN_FILE") != "" {
		return providers.NewOIDCCredentialsProviderBuilder().Build()
	}
	return providers.NewDefaultCredentialsProvider(), nil
}
