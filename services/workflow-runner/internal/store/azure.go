package store

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// azureVersion is the version of the service that requests are of: with it the text that is signed changed last.
const azureVersion = "2021-12-02"

// azure is a container of Azure Blob Storage. Every request, of the runner as of pods, is a URL with a shared access
// signature for what it does. See docs/adr/0018-speak-rest-to-azure.md.
type azure struct {
	rest

	endpoint  *url.URL
	account   string
	container string
	key       []byte // of the account; nil: the container is open to all
	now       func() time.Time
}

func (s *Stores) azure(ctx context.Context, namespace string, l v1alpha1.ArtifactLocation) (Store, error) {
	at, err := url.Parse(strings.TrimSuffix(l.Azure.Endpoint, "/"))
	switch {
	case err != nil || at.Host == "" || at.Scheme != "https" && at.Scheme != "http":
		return nil, fault.Poisonf("azure: endpoint %q is no URL such as https://account.blob.core.windows.net", l.Azure.Endpoint)
	case l.Azure.Container == "":
		return nil, fault.Poisonf("azure: the container is not named")
	case l.Azure.UseSDKCreds:
		return nil, fault.Poisonf("azure: useSDKCreds is not supported; accountKeySecret is")
	}
	a := &azure{rest: newRest("container "+l.Azure.Container, s.dial(namespace)), endpoint: at, account: accountOf(at), container: l.Azure.Container, now: time.Now}
	if l.Azure.AccountKeySecret == nil {
		return a, nil
	}
	text, err := s.secret(ctx, namespace, *l.Azure.AccountKeySecret)
	if err != nil {
		return nil, err
	}
	if a.key, err = base64.StdEncoding.DecodeString(strings.TrimSpace(text)); err != nil {
		return nil, fault.Poisonf("azure: accountKeySecret holds no key of an account in base64")
	}
	return a, nil
}

// accountOf is the storage account of an endpoint: the first part of its host, or of its path where the host is an address
// or has no parts. Source: Azure, and its emulator Azurite.
func accountOf(endpoint *url.URL) string {
	first, rest, _ := strings.Cut(endpoint.Hostname(), ".")
	if path := strings.Trim(endpoint.Path, "/"); path != "" && (rest == "" || net.ParseIP(endpoint.Hostname()) != nil || !strings.Contains(rest, "blob.")) {
		first, _, _ = strings.Cut(path, "/")
	}
	return first
}

// signature is the query that allows some permissions on a blob, or with blob "" on the container. Source: Azure Storage,
// "Create a service SAS", version 2020-12-06 and later.
func (a *azure) signature(permissions, blob string, lifetime time.Duration) url.Values {
	kind, resource := "c", "/blob/"+a.account+"/"+a.container
	if blob != "" {
		kind, resource = "b", resource+"/"+blob
	}
	until := a.now().UTC().Add(lifetime).Format(time.RFC3339)
	protocol := "https"
	if a.endpoint.Scheme == "http" {
		protocol = "https,http"
	}
	// In order: permissions, start, end, resource, identifier, addresses, protocol, version, kind, snapshot, encryption
	// scope, and five headers of answers.
	text := strings.Join([]string{permissions, "", until, resource, "", "", protocol, azureVersion, kind, "", "", "", "", "", "", ""}, "\n")
	mac := hmac.New(sha256.New, a.key)
	mac.Write([]byte(text))
	return url.Values{"sp": {permissions}, "se": {until}, "spr": {protocol}, "sv": {azureVersion}, "sr": {kind}, "sig": {base64.StdEncoding.EncodeToString(mac.Sum(nil))}}
}

// url is the address of a blob, or of the container, with what allows to use it.
func (a *azure) url(permissions, blob string, more url.Values, lifetime time.Duration) string {
	query := url.Values{}
	if a.key != nil {
		query = a.signature(permissions, blob, lifetime)
	}
	maps.Copy(query, more)
	path := "/" + escaped(a.container)
	if blob != "" {
		path += "/" + escaped(blob)
	}
	return a.endpoint.String() + path + suffix(queryOf(query))
}

// Open streams a blob.
func (a *azure) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	return a.call(ctx, http.MethodGet, a.url("r", key, nil, ownTime), "read", key)
}

// Has reports whether there is a blob of this name.
func (a *azure) Has(ctx context.Context, key string) (bool, error) {
	if key == "" || strings.HasSuffix(key, "/") {
		return false, nil
	}
	err := a.do(ctx, http.MethodHead, a.url("r", key, nil, ownTime), "look for", key)
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
		err := a.page(ctx, a.url("l", "", query, ownTime), prefix, &page)
		return page.Names, page.Then, err
	})
}

// Remove takes away a blob and those below it.
func (a *azure) Remove(ctx context.Context, key string) error {
	return removeAll(ctx, a, key, func(ctx context.Context, key string) error {
		return a.do(ctx, http.MethodDelete, a.url("d", key, nil, ownTime), "remove", key)
	})
}

// Sign makes a URL. Of a container without key it is the plain address of the blob.
func (a *azure) Sign(_ context.Context, method, key string, lifetime time.Duration) (to string, headers map[string]string, err error) {
	if method == http.MethodPut {
		// Create and write: a blob that is there is replaced, as in other stores.
		return a.url("cw", key, nil, lifetime), map[string]string{"x-ms-blob-type": "BlockBlob"}, nil
	}
	return a.url("r", key, nil, lifetime), nil, nil
}

// Ready is for whoever made the container.
func (a *azure) Ready(context.Context) error { return nil }

// Authority is the usual one.
func (a *azure) Authority() string { return "" }
