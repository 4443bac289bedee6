package trigger

import (
	"crypto/tls"
	"crypto/x509"

	"github.com/argosy-mesh/argosy/libs/core/fault"
)

// trust adds a certificate authority in PEM to the settings of a connection.
func trust(cfg *tls.Config, pem string) (*tls.Config, error) {
	if cfg == nil {
		cfg = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if cfg.RootCAs == nil {
		cfg.RootCAs = x509.NewCertPool()
	}
	if !cfg.RootCAs.AppendCertsFromPEM([]byte(pem)) {
		return nil, fault.Poisonf("the trusted certificate is no PEM")
	}
	return cfg, nil
}
