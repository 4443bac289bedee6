package pull

import (
	"context"
	"crypto/tls"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	corev1 "k8s.io/api/core/v1"
)

// secretOf reads one secret; "" for no reference.
func (e Env) secretOf(ctx context.Context, ref *corev1.SecretKeySelector) (string, error) {
	return e.Secrets.Text(ctx, e.Namespace, ref)
}

// login reads a name and a password.
func (e Env) login(ctx context.Context, auth *v1alpha1.EventBasicAuth) (user, password string, err error) {
	if auth == nil {
		return "", "", nil
	}
	if user, err = e.secretOf(ctx, auth.Username); err != nil {
		return "", "", err
	}
	password, err = e.secretOf(ctx, auth.Password)
	return user, password, err
}

// TLS is what a manifest says of TLS; nil means a plain connection.
func (e Env) TLS(ctx context.Context, c *v1alpha1.EventTLSConfig) (*tls.Config, error) {
	return e.Secrets.TLS(ctx, e.Namespace, c)
}
