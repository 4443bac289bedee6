// Package secret reads the secrets that EventSources name. Nothing
// is cached: they are not kept in memory for all namespaces, and a rotated one counts
// from its next reading.
package secret

import (
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Reader reads values by reference.
type Reader struct {
	// Client must not cache.
	Client client.Reader
}

// missing is the error of a value that is not there. It is not one of the API.
type missing struct{ text string }

func (m *missing) Error() string { return m.text }

// IsMissing reports whether err says that a value is not there, and in which words.
func IsMissing(err error) (text string, is bool) {
	if m, ok := errors.AsType[*missing](err); ok {
		return m.text, true
	}
	return "", false
}

// Read returns the value of a key, without space around it; "" for no reference. An
// empty value counts as missing.
func (r Reader) Read(ctx context.Context, namespace string, ref *corev1.SecretKeySelector) (string, error) {
	if ref == nil {
		return "", nil
	}
	raw, err := r.Bytes(ctx, namespace, ref)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(raw)), nil
}

// Bytes is Read for values that are files.
func (r Reader) Bytes(ctx context.Context, namespace string, ref *corev1.SecretKeySelector) ([]byte, error) {
	if ref == nil {
		return nil, nil
	}
	var s corev1.Secret
	err := r.Client.Get(ctx, types.NamespacedName{Namespace: namespace, Name: ref.Name}, &s)
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("read secret %s/%s: %w", namespace, ref.Name, err)
	}
	if len(strings.TrimSpace(string(s.Data[ref.Key]))) == 0 {
		return nil, &missing{fmt.Sprintf("secret %s/%s has no key %q", namespace, ref.Name, ref.Key)}
	}
	return s.Data[ref.Key], nil
}
