package pull

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	corev1 "k8s.io/api/core/v1"
)

// secretOf reads one secret; "" for no reference.
func (e Env) secretOf(ctx context.Context, ref *corev1.SecretKeySelector) (string, error) {
	return e.Secrets.Read(ctx, e.Namespace, ref)
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
	if c == nil {
		return nil, nil
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: c.InsecureSkipVerify} //nolint:gosec // the manifest asks for it by name
	ca, err := e.Secrets.Bytes(ctx, e.Namespace, c.CaCertSecret)
	if err != nil {
		return nil, err
	}
	if ca != nil {
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(ca) {
			return nil, errors.New("tls.caCertSecret holds no certificate")
		}
	}
	cert, err := e.Secrets.Bytes(ctx, e.Namespace, c.ClientCertSecret)
	if err != nil {
		return nil, err
	}
	key, err := e.Secrets.Bytes(ctx, e.Namespace, c.ClientKeySecret)
	if err != nil {
		return nil, err
	}
	if (cert == nil) != (key == nil) {
		return nil, errors.New("tls.clientCertSecret and tls.clientKeySecret go together")
	}
	if cert != nil {
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("tls.clientCertSecret: %w", err)
		}
		out.Certificates = []tls.Certificate{pair}
	}
	return out, nil
}
