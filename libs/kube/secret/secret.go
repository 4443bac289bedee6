// Package secret reads what manifests keep in Secrets and ConfigMaps, one by one: a cache would watch those of the
// whole cluster. It never logs a value.
package secret

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/hashicorp/golang-lru/v2/expirable"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// kept bounds the objects that a Reader remembers, each of at most 1 MiB, for as long as its age says.
const kept = 128

// Reader reads values. Safe for concurrent use.
type Reader struct {
	objects client.Reader
	known   *expirable.LRU[place, map[string][]byte] // nil remembers nothing
}

type place struct{ kind, namespace, name string }

// NewReader reads through objects, which should not cache. A value is used for age after it was read, so that the API
// server is not part of every effect; with age 0 a rotated one counts from its next reading.
func NewReader(objects client.Reader, age time.Duration) *Reader {
	r := &Reader{objects: objects}
	if age > 0 {
		r.known = expirable.NewLRU[place, map[string][]byte](kept, nil, age)
	}
	return r
}

// MissingError says that a value is not there. It is of class retry: people create Secrets late.
type MissingError struct {
	// Kind is "secret" or "configmap".
	Kind string
	// Namespace, Name and Key say which value.
	Namespace, Name, Key string
}

// Error names the object and the key.
func (e *MissingError) Error() string {
	return fmt.Sprintf("%s %s/%s has no key %q", e.Kind, e.Namespace, e.Name, e.Key)
}

// IsMissing reports whether err says that a value is not there, and in which words.
func IsMissing(err error) (text string, is bool) {
	if m, ok := errors.AsType[*MissingError](err); ok {
		return m.Error(), true
	}
	return "", false
}

// Bytes returns the value of a key of a Secret as it is; nil for no reference. One without anything but space counts as
// missing.
func (r *Reader) Bytes(ctx context.Context, namespace string, s *corev1.SecretKeySelector) ([]byte, error) {
	if s == nil {
		return nil, nil
	}
	v, err := r.value(ctx, place{"secret", namespace, s.Name}, s.Key)
	if err == nil && len(strings.TrimSpace(string(v))) == 0 {
		return nil, &MissingError{Kind: "secret", Namespace: namespace, Name: s.Name, Key: s.Key}
	}
	return v, err
}

// Text is Bytes without space around it; "" for no reference.
func (r *Reader) Text(ctx context.Context, namespace string, s *corev1.SecretKeySelector) (string, error) {
	raw, err := r.Bytes(ctx, namespace, s)
	return strings.TrimSpace(string(raw)), err
}

// Value returns the value of a key of a Secret, which may be empty; "" for no reference.
func (r *Reader) Value(ctx context.Context, namespace string, s *corev1.SecretKeySelector) (string, error) {
	if s == nil {
		return "", nil
	}
	v, err := r.value(ctx, place{"secret", namespace, s.Name}, s.Key)
	return string(v), err
}

// ConfigMap returns the value of a key of a ConfigMap; "" for no reference.
func (r *Reader) ConfigMap(ctx context.Context, namespace string, s *corev1.ConfigMapKeySelector) (string, error) {
	if s == nil {
		return "", nil
	}
	v, err := r.value(ctx, place{"configmap", namespace, s.Name}, s.Key)
	return string(v), err
}

// From reads a value of either kind.
func (r *Reader) From(ctx context.Context, namespace string, s *v1alpha1.EventValueFromSource) (string, error) {
	switch {
	case s == nil:
		return "", nil
	case s.SecretKeyRef != nil:
		return r.Value(ctx, namespace, s.SecretKeyRef)
	}
	return r.ConfigMap(ctx, namespace, s.ConfigMapKeyRef)
}

func (r *Reader) value(ctx context.Context, p place, key string) ([]byte, error) {
	data, err := r.load(ctx, p)
	if err != nil {
		return nil, err
	}
	v, ok := data[key]
	if !ok {
		return nil, &MissingError{Kind: p.kind, Namespace: p.namespace, Name: p.name, Key: key}
	}
	return v, nil
}

func (r *Reader) load(ctx context.Context, p place) (map[string][]byte, error) {
	if r.known != nil {
		if data, ok := r.known.Get(p); ok {
			return data, nil
		}
	}
	data, err := r.fetch(ctx, p)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil // it is looked for again each time, so that a late one counts at once
	case apierrors.IsInvalid(err) || apierrors.IsBadRequest(err):
		err = fault.AsPoison(err)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s %s/%s: %w", p.kind, p.namespace, p.name, err)
	}
	if r.known != nil {
		r.known.Add(p, data)
	}
	return data, nil
}

func (r *Reader) fetch(ctx context.Context, p place) (map[string][]byte, error) {
	key := client.ObjectKey{Namespace: p.namespace, Name: p.name}
	if p.kind == "secret" {
		var s corev1.Secret
		err := r.objects.Get(ctx, key, &s)
		return s.Data, err
	}
	var c corev1.ConfigMap
	if err := r.objects.Get(ctx, key, &c); err != nil {
		return nil, err
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
