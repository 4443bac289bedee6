package store

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"sync"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/httpx"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/minio/minio-go/v7"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
)

// access is how a server is reached, with the values of its secrets. It is never logged.
type access struct {
	endpoint          string
	secure            bool
	region            string
	style             minio.BucketLookupType
	id, secret, token string
	authority         string // PEM
	role              string // is assumed with the keys, or with the identity of this process
	own               string // "aws" or "alibaba": the identity of this process that counts where there are no keys
}

// anonymous reports whether nobody vouches for requests.
func (a access) anonymous() bool { return a.id == "" && a.own == "" }

// styles are how buckets are addressed. Source: Argo Workflows.
var styles = map[string]minio.BucketLookupType{"": minio.BucketLookupAuto, "auto-detect": minio.BucketLookupAuto,
	"path": minio.BucketLookupPath, "virtual-hosted": minio.BucketLookupDNS}

// access reads what a place names. A Secret or a key of it that is missing is an error of class poison, as is an option
// that would be silently left out.
func (s *Stores) access(ctx context.Context, namespace string, l v1alpha1.S3Artifact) (access, error) {
	a := access{endpoint: l.Endpoint, secure: l.Insecure == nil || !*l.Insecure, region: l.Region}
	style, ok := styles[l.AddressingStyle]
	if a.style = style; !ok {
		return a, fault.Poisonf("s3: addressingStyle %q is none of path, virtual-hosted, auto-detect",
			l.AddressingStyle)
	}
	if (l.AccessKeySecret == nil) != (l.SecretKeySecret == nil) {
		return a, fault.Poisonf("s3: accessKeySecret and secretKeySecret come together")
	}
	a.role = l.RoleARN
	if l.AccessKeySecret == nil && (l.UseSDKCreds || l.RoleARN != "") {
		field := "s3.useSDKCreds"
		if !l.UseSDKCreds {
			field = "s3.roleARN without keys"
		}
		if err := s.Own.Allow(namespace, field, "accessKeySecret and secretKeySecret"); err != nil {
			return a, err
		}
		a.own = "aws"
	}
	if u, err := url.Parse(l.Endpoint); err == nil && u.Host != "" {
		a.endpoint = u.Host
	}
	for _, part := range []struct {
		ref  *corev1.SecretKeySelector
		into *string
	}{{l.AccessKeySecret, &a.id}, {l.SecretKeySecret, &a.secret}, {l.SessionTokenSecret, &a.token},
		{l.CaSecret, &a.authority}} {
		if part.ref == nil {
			continue
		}
		value, err := s.secret(ctx, namespace, *part.ref)
		if err != nil {
			return a, err
		}
		*part.into = value
	}
	return a, nil
}

func (s *Stores) secret(ctx context.Context, namespace string, ref corev1.SecretKeySelector) (string, error) {
	var secret corev1.Secret
	err := s.Secrets.Get(ctx, types.NamespacedName{Namespace: namespace, Name: ref.Name}, &secret)
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return "", fault.Poisonf("read Secret %q: %w", ref.Name, err)
	}
	if err != nil {
		return "", fmt.Errorf("read Secret %q: %w", ref.Name, err)
	}
	value, ok := secret.Data[ref.Key]
	if !ok {
		return "", fault.Poisonf("the Secret %q has no key %q", ref.Name, ref.Key)
	}
	return string(value), nil
}

// clientsKept bounds the clients that are kept for the next time: each knows the region of its buckets.
const clientsKept = 256

// clients are those of servers that were reached lately.
type clients struct {
	mu    sync.Mutex
	known map[[sha256.Size]byte]*minio.Client
}

func (c *clients) of(ctx context.Context, a access, namespace string,
	dial func(context.Context, string, string) (net.Conn, error)) (*minio.Client, error) {
	if httpx.Short(a.endpoint) {
		dial = httpx.Within(namespace, dial) // and no other namespace may have its connections
	} else {
		namespace = ""
	}
	key := sha256.Sum256(fmt.Appendf(nil, "%q",
		[]any{a.endpoint, a.secure, a.region, a.style, a.id, a.secret, a.token, a.authority, a.role, a.own, namespace}))
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.known[key]; ok {
		return known, nil
	}
	made, err := connect(ctx, a, dial)
	if err != nil {
		return nil, err
	}
	if c.known == nil || len(c.known) >= clientsKept {
		c.known = map[[sha256.Size]byte]*minio.Client{}
	}
	c.known[key] = made
	return made, nil
}

// tries is how often a request is made before whoever asked must ask again.
const tries = 3

func connect(ctx context.Context, a access,
	dial func(context.Context, string, string) (net.Conn, error)) (*minio.Client, error) {
	transport, err := minio.DefaultTransport(a.secure)
	if err != nil {
		return nil, fmt.Errorf("s3: set up the client: %w", err)
	}
	if dial != nil {
		// Manifests say where it goes: a proxy would hide that from the check of the address.
		transport.DialContext, transport.Proxy = dial, nil
	}
	if a.authority != "" {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM([]byte(a.authority)) {
			return nil, fault.Poisonf("s3: caSecret holds no certificate in PEM")
		}
		transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
	}
	keys, err := a.keys(ctx)
	if err != nil {
		return nil, err
	}
	client, err := minio.New(a.endpoint, &minio.Options{Creds: keys, Secure: a.secure, Region: a.region,
		BucketLookup: a.style, Transport: transport, MaxRetries: tries})
	if err != nil {
		return nil, fault.Poisonf("s3: endpoint %q: %w", a.endpoint, err)
	}
	return client, nil
}
