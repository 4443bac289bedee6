package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/argosy-mesh/argosy/libs/identity/entra"
	"github.com/argosy-mesh/argosy/libs/identity/google"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/registry"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source/git"
)

// devops is the scope of Azure DevOps. Source: Microsoft's documentation of it.
const devops = "499b84ac-1321-427f-aa17-267ca6975798/.default"

// Where tokens of clouds may go: a token opens all that its identity may use, so that no other server may see one.
var (
	azureGit = regexp.MustCompile(`^(dev\.azure\.com|ssh\.dev\.azure\.com|[a-z0-9-]+\.visualstudio\.com)$`)
	azureOCI = regexp.MustCompile(`^[a-z0-9-]+\.azurecr\.(io|cn|us)$`)
	googles  = regexp.MustCompile(
		`^(source\.developers\.google\.com|[a-z0-9.-]+\.sourcemanager\.dev|[a-z0-9-]+\.pkg\.dev|([a-z]+\.)?gcr\.io)$`,
	)
)

// tokens are what opens repositories for a while: of Apps of GitHub, and of identities of clouds. Safe for concurrent
// use.
type tokens struct {
	githubTokens

	client *http.Client // of the token services of Azure; nil is the SDK's own
	// Whom tokens are shown to, and whom the proofs for them; of tests alone.
	azureGit, azureOCI, googles *regexp.Regexp
	services                    func(host string) bool
	plain                       bool

	clouds sync.Mutex
	azure  azcore.TokenCredential
	google map[string]*google.Account // by the digest of their keys
	login  map[string]registryLogin   // by host
}

type registryLogin struct {
	registry.Access
	ends time.Time
}

func newTokens() *tokens {
	return &tokens{
		azureGit: azureGit, azureOCI: azureOCI, googles: googles, google: map[string]*google.Account{},
		login: map[string]registryLogin{},
	}
}

// hostOf is that of a repository or a registry; one of a registry may stand without a scheme.
func hostOf(location string) string {
	if host := git.Host(location); host != "" {
		return host
	}
	host, _, _ := strings.Cut(strings.ToLower(location), "/")
	return host
}

// keysKept bounds the keys of Google whose tokens are remembered.
const keysKept = 1000

// ofGoogle opens a repository by a key that its Secret has.
func (t *tokens) ofGoogle(ctx context.Context, r repository) (git.Credentials, error) {
	host := hostOf(r.URL)
	if !t.googles.MatchString(host) || (strings.HasPrefix(r.URL, "http://") && !t.plain) {
		return git.Credentials{}, fmt.Errorf(
			"gcpServiceAccountKey: %q is no host of Google's repositories and registries, and is shown no token", host,
		)
	}
	sum := sha256.Sum256([]byte(r.GoogleKey))
	id := hex.EncodeToString(sum[:])
	account, err := t.account(ctx, id, r.GoogleKey)
	if err != nil {
		return git.Credentials{}, fmt.Errorf("gcpServiceAccountKey: %w", err)
	}
	token, err := account.TokenSource.Token()
	if err != nil {
		return git.Credentials{}, fmt.Errorf("gcpServiceAccountKey: the token service refuses it: %w", err)
	}
	return git.Credentials{
		Username: "oauth2accesstoken", Password: token.AccessToken, Identity: "google:" + id,
	}, nil
}

func (t *tokens) account(ctx context.Context, id, key string) (*google.Account, error) {
	t.clouds.Lock()
	defer t.clouds.Unlock()
	if known := t.google[id]; known != nil {
		return known, nil
	}
	account, err := google.Key(ctx, []byte(key), t.services, google.Platform)
	if err != nil {
		return nil, err
	}
	if len(t.google) >= keysKept {
		clear(t.google)
	}
	t.google[id] = account
	return account, nil
}

// ofAzure opens a repository by the identity that Entra gives to this process.
func (t *tokens) ofAzure(ctx context.Context, r repository) (git.Credentials, error) {
	host := hostOf(r.URL)
	out := git.Credentials{Identity: "azure-workload-identity"}
	switch {
	case t.azureOCI.MatchString(host):
		login, err := t.registry(ctx, host)
		out.Username, out.Password = login.Username, login.Password
		return out, err
	case t.azureGit.MatchString(host) && strings.HasPrefix(r.URL, "https://"):
		credential, err := t.entra()
		if err != nil {
			return out, err
		}
		token, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{devops}})
		if err != nil {
			return out, fmt.Errorf("useAzureWorkloadIdentity: %w", err)
		}
		out.BearerToken = token.Token
		return out, nil
	}
	return out, fmt.Errorf(
		"useAzureWorkloadIdentity: %q is neither Azure DevOps by https nor an Azure Container Registry, and is shown no token",
		host,
	)
}

func (t *tokens) entra() (azcore.TokenCredential, error) {
	t.clouds.Lock()
	defer t.clouds.Unlock()
	if t.azure != nil {
		return t.azure, nil
	}
	found, err := entra.Credential(t.client)
	if err != nil {
		return nil, fmt.Errorf("useAzureWorkloadIdentity: %w", err)
	}
	t.azure = found
	return found, nil
}

// registry changes a token of Entra into one of a registry, which is remembered until it ends.
func (t *tokens) registry(ctx context.Context, host string) (registryLogin, error) {
	t.clouds.Lock()
	known, is := t.login[host]
	t.clouds.Unlock()
	if is && time.Until(known.ends) > tokenMargin {
		return known, nil
	}
	credential, err := t.entra()
	if err != nil {
		return known, err
	}
	client := t.client
	if client == nil {
		client = &http.Client{Timeout: 30 * time.Second}
	}
	access, ends, err := registry.Exchange(ctx, client, credential, host)
	if err != nil {
		return known, fmt.Errorf("useAzureWorkloadIdentity: log in to %s: %w", host, err)
	}
	t.clouds.Lock()
	defer t.clouds.Unlock()
	if len(t.login) >= keysKept {
		clear(t.login)
	}
	t.login[host] = registryLogin{access, ends}
	return t.login[host], nil
}
