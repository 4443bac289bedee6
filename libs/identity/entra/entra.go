// Package entra finds the identity that Microsoft Entra gives to this process.
package entra

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// Credential is what the SDK's default chain finds: variables, a web identity file (AZURE_FEDERATED_TOKEN_FILE,
// AZURE_CLIENT_ID, AZURE_TENANT_ID), the machine's managed identity. client is how token services are asked; nil is the
// SDK's own, whatever guards the connections to what a manifest names.
func Credential(client *http.Client) (azcore.TokenCredential, error) {
	options := &azidentity.DefaultAzureCredentialOptions{}
	if client != nil {
		options.ClientOptions = policy.ClientOptions{Transport: client}
	}
	found, err := azidentity.NewDefaultAzureCredential(options)
	if err != nil {
		return nil, fmt.Errorf("find an identity of Microsoft Entra: %w", err)
	}
	return found, nil
}

// domains end the names of storage accounts and of namespaces of messages in Azure's clouds. Machines of customers have
// names of other domains.
var domains = []string{
	".core.windows.net", ".storage.azure.net", ".servicebus.windows.net", ".core.chinacloudapi.cn",
	".servicebus.chinacloudapi.cn", ".core.usgovcloudapi.net", ".servicebus.usgovcloudapi.net",
}

// Azures reports whether a host is a server of Azure. A token opens all that its identity may use, so that no other
// server may see one.
func Azures(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if strings.ContainsFunc(
		host,
		func(r rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-.", r) },
	) {
		return false // such as another server with this name in its path
	}
	for _, domain := range domains {
		if strings.HasSuffix(host, domain) && len(host) > len(domain) {
			return true
		}
	}
	return false
}
