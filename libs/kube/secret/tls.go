package secret

import (
	"context"
	"crypto/tls"
	"crypto/x509"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// Pool returns certificate authorities in PEM as a pool. field is what the error names.
func Pool(field string, pem []byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fault.Poisonf("%s holds no certificate in PEM", field)
	}
	return pool, nil
}

// Basic reads a user name and a password; both are "" for none.
func (r *Reader) Basic(
	ctx context.Context, namespace string, a *v1alpha1.EventBasicAuth,
) (user, password string, err error) {
	if a == nil {
		return "", "", nil
	}
	if user, err = r.Value(ctx, namespace, a.Username); err != nil {
		return "", "", err
	}
	password, err = r.Value(ctx, namespace, a.Password)
	return user, password, err
}

// TLS builds the settings of a connection; nil means that none were given. What a Secret holds is never part of an
// error.
func (r *Reader) TLS(ctx context.Context, namespace string, t *v1alpha1.EventTLSConfig) (*tls.Config, error) {
	if t == nil {
		return nil, nil
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	cfg.InsecureSkipVerify = t.InsecureSkipVerify // the manifest asks for it by name
	ca, err := r.Bytes(ctx, namespace, t.CaCertSecret)
	if err != nil {
		return nil, err
	}
	if ca != nil {
		if cfg.RootCAs, err = Pool("tls.caCertSecret", ca); err != nil {
			return nil, err
		}
	}
	cert, err := r.Bytes(ctx, namespace, t.ClientCertSecret)
	if err != nil {
		return nil, err
	}
	key, err := r.Bytes(ctx, namespace, t.ClientKeySecret)
	if err != nil {
		return nil, err
	}
	if (cert == nil) != (key == nil) {
		return nil, fault.Poisonf("tls.clientCertSecret and tls.clientKeySecret go together")
	}
	if cert == nil {
		return cfg, nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		// The library's text may quote what it could not read.
		return nil, fault.Poisonf("tls: the client certificate and key do not fit each other, or are no PEM")
	}
	cfg.Certificates = []tls.Certificate{pair}
	return cfg, nil
}
