package store

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/identity/entra"
)

const (
	// delegationTime is how long a key counts that an account gives to an identity.
	delegationTime = 6 * time.Hour
	// delegationSpare is how long it must still count for URLs to be signed with it.
	delegationSpare = 2 * time.Hour
	// delegationSkew is how far clocks may be apart.
	delegationSkew = 5 * time.Minute
)

// delegations are the keys that accounts of Azure's storage gave to the identity of this process.
type delegations struct {
	find func() (azcore.TokenCredential, error) // nil: what Microsoft Entra gives to this process

	mu    sync.Mutex
	found azcore.TokenCredential
	keys  map[string]delegation // by endpoint
}

type delegation struct {
	key   *service.UserDelegationCredential
	until time.Time
}

// asOwn has the identity of this process vouch for requests, where the manifest asks for that and its namespace may. A
// token is sent to Azure alone: to another server it would be a key to all that the identity may.
func (s *Stores) asOwn(a *azure, namespace string, wanted bool) error {
	if !wanted {
		return nil // the container is open to all
	}
	if err := s.Own.Allow(namespace, "azure.useSDKCreds", "accountKeySecret"); err != nil {
		return err
	}
	if a.endpoint.Scheme != "https" || !entra.Azures(a.endpoint.Hostname()) {
		return fault.Poisonf("azure: useSDKCreds works with endpoints of Azure such as https://account.blob.core.windows.net, not with %s", a.endpoint)
	}
	a.own = &s.delegations
	return nil
}

// key is one that URLs of an account are signed with.
func (d *delegations) key(ctx context.Context, a *azure) (*service.UserDelegationCredential, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now, at := a.now().UTC(), a.endpoint.String()
	if k, ok := d.keys[at]; ok && now.Add(delegationSpare).Before(k.until) {
		return k.key, nil
	}
	if d.found == nil {
		find := d.find
		if find == nil {
			find = func() (azcore.TokenCredential, error) { return entra.Credential(nil) }
		}
		found, err := find()
		if err != nil {
			return nil, err
		}
		d.found = found
	}
	options := &service.ClientOptions{ClientOptions: policy.ClientOptions{Transport: a.client,
		Retry: policy.RetryOptions{MaxRetries: -1}}}
	client, err := service.NewClient(at, d.found, options)
	if err != nil {
		return nil, fmt.Errorf("azure: %w", err)
	}
	until := now.Add(delegationTime)
	start, end := now.Add(-delegationSkew).Format(time.RFC3339), until.Format(time.RFC3339)
	key, err := client.GetUserDelegationCredential(ctx, service.KeyInfo{Start: &start, Expiry: &end}, nil)
	if said, is := errors.AsType[*azcore.ResponseError](err); is && said.StatusCode == http.StatusForbidden {
		return nil, fault.Poisonf("azure: account %s gives the identity of the service no key to sign with (%s): it needs the roles Storage Blob Data Contributor and Storage Blob Delegator", a.account, said.ErrorCode)
	}
	if err != nil {
		return nil, fmt.Errorf("azure: ask %s for a key to sign with: %w", a.account, err)
	}
	if d.keys == nil || len(d.keys) >= clientsKept {
		d.keys = map[string]delegation{}
	}
	d.keys[at] = delegation{key: key, until: until}
	return key, nil
}
