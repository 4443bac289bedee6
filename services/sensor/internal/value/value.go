// Package value reads what manifests keep in Secrets and ConfigMaps of the Sensor's
// own namespace. It never logs a value.
package value

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Age is how long a value that was read is used. Reading the API server for each
// firing would make it part of every effect.
const Age = 15 * time.Second

// Reader reads values. Safe for concurrent use.
type Reader struct {
	objects client.Reader
	now     func() time.Time

	mu    sync.Mutex
	known map[place]entry
}

type place struct{ kind, namespace, name string }

type entry struct {
	data map[string][]byte
	at   time.Time
}

// NewReader reads through objects, which should not cache: Secrets are read one by
// one, not watched.
func NewReader(objects client.Reader, now func() time.Time) *Reader {
	return &Reader{objects: objects, now: now, known: map[place]entry{}}
}

// Secret returns the value of a key; nil means "" and no error. One that is not there
// is an error of class retry, since people create Secrets late.
func (r *Reader) Secret(ctx context.Context, namespace string, s *corev1.SecretKeySelector) (string, error) {
	if s == nil {
		return "", nil
	}
	data, err := r.load(ctx, place{"secret", namespace, s.Name})
	if err != nil {
		return "", err
	}
	v, ok := data[s.Key]
	if !ok {
		return "", fmt.Errorf("secret %s/%s has no key %q", namespace, s.Name, s.Key)
	}
	return string(v), nil
}

// ConfigMap returns the value of a key; nil means "".
func (r *Reader) ConfigMap(ctx context.Context, namespace string, s *corev1.ConfigMapKeySelector) (string, error) {
	if s == nil {
		return "", nil
	}
	data, err := r.load(ctx, place{"configmap", namespace, s.Name})
	if err != nil {
		return "", err
	}
	v, ok := data[s.Key]
	if !ok {
		return "", fmt.Errorf("configmap %s/%s has no key %q", namespace, s.Name, s.Key)
	}
	return string(v), nil
}

// From reads a value of either kind.
func (r *Reader) From(ctx context.Context, namespace string, s *v1alpha1.EventValueFromSource) (string, error) {
	switch {
	case s == nil:
		return "", nil
	case s.SecretKeyRef != nil:
		return r.Secret(ctx, namespace, s.SecretKeyRef)
	}
	return r.ConfigMap(ctx, namespace, s.ConfigMapKeyRef)
}

func (r *Reader) load(ctx context.Context, p place) (map[string][]byte, error) {
	r.mu.Lock()
	known, ok := r.known[p]
	r.mu.Unlock()
	if ok && r.now().Sub(known.at) < Age {
		return known.data, nil
	}
	data, err := r.fetch(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("read %s %s/%s: %w", p.kind, p.namespace, p.name, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known[p] = entry{data: data, at: r.now()}
	return data, nil
}

func (r *Reader) fetch(ctx context.Context, p place) (map[string][]byte, error) {
	key := client.ObjectKey{Namespace: p.namespace, Name: p.name}
	if p.kind == "secret" {
		var s corev1.Secret
		if err := r.objects.Get(ctx, key, &s); err != nil {
			return nil, classed(err)
		}
		return s.Data, nil
	}
	var c corev1.ConfigMap
	if err := r.objects.Get(ctx, key, &c); err != nil {
		return nil, classed(err)
	}
	data := c.BinaryData
	if data == nil {
		data = map[string][]byte{}
	}
	for k, v := range c.Data {
		data[k] = []byte(v)
	}
	return data, nil
}

func classed(err error) error {
	if apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) {
		return fault.AsPoison(err)
	}
	return err
}

// Basic reads a user name and password; nil means none.
func (r *Reader) Basic(ctx context.Context, namespace string, a *v1alpha1.EventBasicAuth) (user, password string, err error) {
	if a == nil {
		return "", "", nil
	}
	if user, err = r.Secret(ctx, namespace, a.Username); err != nil {
		return "", "", err
	}
	password, err = r.Secret(ctx, namespace, a.Password)
	return user, password, err
}

// TLS builds the settings of a connection; nil means none were given.
func (r *Reader) TLS(ctx context.Context, namespace string, t *v1alpha1.EventTLSConfig) (*tls.Config, error) {
	if t == nil {
		return nil, nil
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: t.InsecureSkipVerify} //nolint:gosec // the manifest asks for it
	ca, err := r.Secret(ctx, namespace, t.CaCertSecret)
	if err != nil {
		return nil, err
	}
	if ca != "" {
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM([]byte(ca)) {
			return nil, fault.Poisonf("tls.caCertSecret: holds no certificate in PEM")
		}
	}
	cert, err := r.Secret(ctx, namespace, t.ClientCertSecret)
	if err != nil {
		return nil, err
	}
	key, err := r.Secret(ctx, namespace, t.ClientKeySecret)
	if err != nil {
		return nil, err
	}
	if cert == "" && key == "" {
		return cfg, nil
	}
	pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
	if err != nil {
		// The library's text may quote what it could not read.
		return nil, fault.AsPoison(errors.New("tls: the client certificate and key do not fit each other, or are no PEM"))
	}
	cfg.Certificates = []tls.Certificate{pair}
	return cfg, nil
}
