package metric

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// profile is a Secret in which a provider keeps its address and its keys.
type profile struct {
	secrets         Secrets
	namespace, name string
	hidden          *Redactor
}

// profile returns the Secret of a template's choice in the namespace of the analyzer, or the usual one.
func (t *tools) profile(r Request, name, usual string) profile {
	if name == "" {
		name = usual
	}
	return profile{secrets: t.Secrets, namespace: t.Namespace, name: name, hidden: r.Hidden}
}

// need returns a value that must be there; its value is hidden from then on.
func (p profile) need(ctx context.Context, key string) (string, error) {
	v, err := p.maybe(ctx, key, "")
	if err == nil && v == "" {
		err = fmt.Errorf("secret %s/%s has no key %q", p.namespace, p.name, key)
	}
	p.hidden.Hide(v)
	return v, err
}

// maybe returns a value that may be left out.
func (p profile) maybe(ctx context.Context, key, fallback string) (string, error) {
	if p.secrets == nil {
		return "", fmt.Errorf("secret %s/%s cannot be read", p.namespace, p.name)
	}
	v, err := p.secrets.Value(ctx, p.namespace, &corev1.SecretKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: p.name}, Key: key,
	})
	if missing(err) {
		return fallback, nil
	}
	if err != nil {
		return "", fmt.Errorf("read the keys of the provider: %w", err)
	}
	if v = strings.TrimSpace(v); v == "" {
		return fallback, nil
	}
	return v, nil
}
