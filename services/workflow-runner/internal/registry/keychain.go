package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
)

// secretsLimit bounds the pull secrets that are read for one image.
const secretsLimit = 32

// credential is one entry of a pull secret.
type credential struct {
	host string // may hold a * for each part, as *.example.com
	path string // what the repository's path begins with, "" for all
	auth authn.AuthConfig
}

// keychain holds the credentials of a pod, the more special first.
type keychain []credential

// Resolve returns the credentials for a repository, or none. Source: Kubernetes, "Using a private registry": hosts may
// hold globs, and the entry with the longest path that fits wins.
func (k keychain) Resolve(r authn.Resource) (authn.Authenticator, error) {
	_, repository, _ := strings.Cut(r.String(), "/")
	for _, c := range k {
		if fits(c.host, r.RegistryStr()) &&
			(c.path == "" || repository == c.path || strings.HasPrefix(repository, c.path+"/")) {
			return authn.FromConfig(c.auth), nil
		}
	}
	return authn.Anonymous, nil
}

// fits reports whether a host is one of a pattern, part by part; ports must be the same.
func fits(pattern, host string) bool {
	if pattern == host {
		return true
	}
	want, have := strings.Split(pattern, "."), strings.Split(host, ".")
	if len(want) != len(have) {
		return false
	}
	for i := range want {
		if ok, err := path.Match(want[i], have[i]); err != nil || !ok {
			return false
		}
	}
	return true
}

// keychain reads the pull secrets of a pod and of its service account. One that is not there is left out, as the
// kubelet does.
func (c *Client) keychain(ctx context.Context, who Puller) (keychain, error) {
	names := slices.Clone(who.Secrets)
	account := who.Account
	if account == "" {
		account = "default"
	}
	var sa corev1.ServiceAccount
	err := c.reader.Get(ctx, types.NamespacedName{Namespace: who.Namespace, Name: account}, &sa)
	if err != nil && !missing(err) {
		return nil, fmt.Errorf("read ServiceAccount %s/%s: %w", who.Namespace, account, err)
	}
	for _, ref := range sa.ImagePullSecrets {
		names = append(names, ref.Name)
	}
	var all keychain
	for _, secret := range names[:min(len(names), secretsLimit)] {
		var s corev1.Secret
		err := c.reader.Get(ctx, types.NamespacedName{Namespace: who.Namespace, Name: secret}, &s)
		if missing(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read Secret %s/%s: %w", who.Namespace, secret, err)
		}
		all = append(all, credentials(s)...)
	}
	slices.SortStableFunc(all, func(a, b credential) int { return len(b.path) - len(a.path) })
	return all, nil
}

func missing(err error) bool { return apierrors.IsNotFound(err) || apierrors.IsForbidden(err) }

// credentials reads a pull secret; what cannot be read of it is left out. Source: Kubernetes, the two types of such
// Secrets.
func credentials(s corev1.Secret) keychain {
	entries := map[string]authn.AuthConfig{}
	switch s.Type {
	case corev1.SecretTypeDockerConfigJson:
		var file struct {
			Auths map[string]authn.AuthConfig `json:"auths"`
		}
		if json.Unmarshal(s.Data[corev1.DockerConfigJsonKey], &file) == nil {
			entries = file.Auths
		}
	case corev1.SecretTypeDockercfg:
		if json.Unmarshal(s.Data[corev1.DockerConfigKey], &entries) != nil {
			return nil
		}
	}
	var out keychain
	for key, auth := range entries {
		out = append(out, entry(key, auth))
	}
	return out
}

// entry reads the key of a credential: a host, with or without scheme and path. The paths /v1/ and /v2/ are of old
// clients.
func entry(key string, auth authn.AuthConfig) credential {
	key = strings.TrimPrefix(strings.TrimPrefix(key, "https://"), "http://")
	host, rest, _ := strings.Cut(key, "/")
	rest = strings.Trim(rest, "/")
	if rest == "v1" || rest == "v2" {
		rest = ""
	}
	if host == "docker.io" || host == "registry-1.docker.io" {
		host = name.DefaultRegistry
	}
	return credential{host: host, path: rest, auth: auth}
}
