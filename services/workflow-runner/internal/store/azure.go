package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// azureVersion is the version of the service that requests with the key of an account are of: older emulators know it.
const azureVersion = "2021-12-02"

// azure is a container of Azure Blob Storage. Every request, of the runner as of pods, is a URL with a shared access
// signature for what it does. See docs/adr/0060-identities-of-clouds.md.
type azure struct {
	rest

	endpoint  *url.URL
	account   string
	container string
	key       *service.SharedKeyCredential // of the account
	own       *delegations                 // of the identity of this process; without both the container is open to all
	now       func() time.Time
}

func (s *Stores) azure(ctx context.Context, namespace string, l v1alpha1.ArtifactLocation) (Store, error) {
	at, err := url.Parse(strings.TrimSuffix(l.Azure.Endpoint, "/"))
	switch {
	case err != nil || at.Host == "" || at.Scheme != "https" && at.Scheme != "http":
		return nil, fault.Poisonf("azure: endpoint %q is no URL such as https://account.blob.core.windows.net",
			l.Azure.Endpoint)
	case l.Azure.Container == "":
		return nil, fault.Poisonf("azure: the container is not named")
	}
	a := &azure{rest: s.rest("container "+l.Azure.Container, namespace), endpoint: at, account: accountOf(at),
		container: l.Azure.Container, now: time.Now}
	if l.Azure.AccountKeySecret == nil {
		return a, s.asOwn(a, namespace, l.Azure.UseSDKCreds)
	}
	text, err := s.secret(ctx, namespace, *l.Azure.AccountKeySecret)
	if err != nil {
		return nil, err
	}
	if a.key, err = service.NewSharedKeyCredential(a.account, strings.TrimSpace(text)); err != nil {
		return nil, fault.Poisonf("azure: accountKeySecret holds no key of an account in base64")
	}
	return a, nil
}

// accountOf is the storage account of an endpoint: the first part of its host, or of its path where the host is an
// address or has no parts. Source: Azure, and its emulator Azurite.
func accountOf(endpoint *url.URL) string {
	first, rest, _ := strings.Cut(endpoint.Hostname(), ".")
	if path := strings.Trim(endpoint.Path, "/"); path != "" &&
		(rest == "" || net.ParseIP(endpoint.Hostname()) != nil || !strings.Contains(rest, "blob.")) {
		first, _, _ = strings.Cut(path, "/")
	}
	return first
}

// signature is the query that allows some permissions on a blob, or with blob "" on the container.
func (a *azure) signature(ctx context.Context, permissions, blob string, lifetime time.Duration) (url.Values, error) {
	values := sas.BlobSignatureValues{Protocol: sas.ProtocolHTTPS, ExpiryTime: a.now().UTC().Add(lifetime),
		Permissions: permissions, ContainerName: a.container, BlobName: blob}
	if a.endpoint.Scheme == "http" {
		values.Protocol = sas.ProtocolHTTPSandHTTP
	}
	var signed sas.QueryParameters
	var err error
	if a.own != nil {
		var key *service.UserDelegationCredential
		if key, err = a.own.key(ctx, a); err != nil {
			return nil, err
		}
		signed, err = values.SignWithUserDelegation(key)
	} else {
		values.Version = azureVersion
		signed, err = values.SignWithSharedKey(a.key)
	}
	if err != nil {
		return nil, fmt.Errorf("azure: sign a URL: %w", err)
	}
	return url.ParseQuery(signed.Encode())
}

// url is the address of a blob, or of the container, with what allows to use it.
func (a *azure) url(ctx context.Context, permissions, blob string, more url.Values, lifetime time.Duration) (string,
	error) {
	query := url.Values{}
	if a.key != nil || a.own != nil {
		var err error
		if query, err = a.signature(ctx, permissions, blob, lifetime); err != nil {
			return "", err
		}
	}
	maps.Copy(query, more)
	path := "/" + escaped(a.container)
	if blob != "" {
		path += "/" + escaped(blob)
	}
	return a.endpoint.String() + path + suffix(queryOf(query)), nil
}

// Open streams a blob.
func (a *azure) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	to, err := a.url(ctx, "r", key, nil, ownTime)
	if err != nil {
		return nil, err
	}
	return a.call(ctx, http.MethodGet, to, "read", key)
}

// Has reports whether there is a blob of this name.
func (a *azure) Has(ctx context.Context, key string) (bool, error) {
	if key == "" || strings.HasSuffix(key, "/") {
		return false, nil
	}
	to, err := a.url(ctx, "r", key, nil, ownTime)
	if err == nil {
		err = a.do(ctx, http.MethodHead, to, "look for", key)
	}
	if errors.Is(err, ErrAbsent) {
		return false, nil
	}
	return err == nil, err
}

// Names lists the names of blobs.
func (a *azure) Names(ctx context.Context, prefix string, limit int) ([]string, error) {
	return a.collect(prefix, limit, func(from string) ([]string, string, error) {
		query := url.Values{"restype": {"container"}, "comp": {"list"}, "prefix": {prefix}}
		if from != "" {
			query.Set("marker", from)
		}
		var page struct {
			Then  string   `xml:"NextMarker"`
			Names []string `xml:"Blobs>Blob>Name"`
		}
		to, err := a.url(ctx, "l", "", query, ownTime)
		if err == nil {
			err = a.page(ctx, to, prefix, &page)
		}
		return page.Names, page.Then, err
	})
}

// Remove takes away a blob and those below it.
func (a *azure) Remove(ctx context.Context, key string) error {
	return removeAll(ctx, a, key, func(ctx context.Context, key string) error {
		to, err := a.url(ctx, "d", key, nil, ownTime)
		if err != nil {
			return err
		}
		return a.do(ctx, http.MethodDelete, to, "remove", key)
	})
}

// Sign makes a URL. Of a container without key it is the plain address of the blob.
func (a *azure) Sign(ctx context.Context, method, key string, lifetime time.Duration) (to string,
	headers map[string]string, err error) {
	if method == http.MethodPut {
		// Create and write: a blob that is there is replaced, as in other stores.
		to, err = a.url(ctx, "cw", key, nil, lifetime)
		return to, map[string]string{"x-ms-blob-type": "BlockBlob"}, err
	}
	to, err = a.url(ctx, "r", key, nil, lifetime)
	return to, nil, err
}

// Ready is for whoever made the container.
func (a *azure) Ready(context.Context) error { return nil }

// Authority is the usual one.
func (a *azure) Authority() string { return "" }
