package entra_test

import (
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/argosy-mesh/argosy/libs/identity/entra"
	"github.com/argosy-mesh/argosy/libs/identity/entra/entratest"
)

func TestTheChainOfEntra(t *testing.T) {
	for name, c := range map[string]struct {
		environment func(*entratest.Services)
		asked       string
	}{
		"web identity": {(*entratest.Services).WebIdentity, "web identity for https://storage.azure.com/.default"},
		"machine":      {func(*entratest.Services) {}, "machine for https://storage.azure.com"},
	} {
		t.Run(name, func(t *testing.T) {
			s := entratest.Start(t)
			c.environment(s)
			found, err := entra.Credential(s.Client())
			if err != nil {
				t.Fatal(err)
			}
			token, err := found.GetToken(
				t.Context(), policy.TokenRequestOptions{Scopes: []string{"https://storage.azure.com/.default"}},
			)
			if err != nil || token.Token != entratest.Token || s.Asked() != c.asked {
				t.Errorf("%q, %v; asked %q", token.Token, err, s.Asked())
			}
		})
	}
}

func TestTokensGoToAzureAlone(t *testing.T) {
	for host, want := range map[string]bool{
		"acme.blob.core.windows.net": true, "ACME.queue.core.windows.net.": true, "acme.servicebus.windows.net": true,
		"acme.privatelink.blob.core.windows.net": true, "acme.z1.blob.storage.azure.net": true,
		"core.windows.net": false, ".core.windows.net": false, "acme.blob.core.windows.net.example.com": false,
		"evilcore.windows.net": false, "127.0.0.1": false, "vm.cloudapp.chinacloudapi.cn": false, "": false,
		"example.com/.core.windows.net": false, "user@acme.core.windows.net": false, "acme.core.windows.net:443": false,
		"example.com#.core.windows.net": false,
	} {
		if got := entra.Azures(host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
}
