// Package certs makes the certificates of a local cluster: one CA that signs
// servers and clients alike, and the key of service accounts. Existing files
// are kept, so that a cluster that comes up again trusts what it trusted.
package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// life is long because nothing renews the certificates of a test cluster.
const life = 10 * 365 * 24 * time.Hour

// Authority signs certificates into one directory.
type Authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Request describes a certificate: Name is the file name and, unless User is
// set, the common name; Groups become organizations; Hosts are the names and
// addresses that a server answers to.
type Request struct {
	Name   string
	User   string
	Groups []string
	Hosts  []string
}

// Open loads the authority of a directory, or makes one.
func Open(dir string) (*Authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make certificate directory: %w", err)
	}
	a := &Authority{dir: dir}
	cert, key, err := a.load("ca")
	if err == nil {
		a.cert, a.key = cert, key
		return a, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "localcluster-ca"},
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, fmt.Errorf("make CA key: %w", err)
	}
	if a.cert, err = a.write("ca", template, template, a.key); err != nil {
		return nil, err
	}
	return a, nil
}

// Cert is the path of a certificate, whether it exists or not.
func (a *Authority) Cert(name string) string { return filepath.Join(a.dir, name+".crt") }

// Key is the path of a private key, whether it exists or not.
func (a *Authority) Key(name string) string { return filepath.Join(a.dir, name+".key") }

// Issue makes the certificate unless it is there.
func (a *Authority) Issue(r Request) error {
	if _, _, err := a.load(r.Name); err == nil {
		return nil
	}
	user := r.User
	if user == "" {
		user = r.Name
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: user, Organization: r.Groups},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	for _, host := range r.Hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make key of %s: %w", r.Name, err)
	}
	_, err = a.write(r.Name, template, a.cert, key)
	return err
}

func (a *Authority) write(
	name string, template, parent *x509.Certificate, key *ecdsa.PrivateKey,
) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("make serial of %s: %w", name, err)
	}
	template.SerialNumber = serial
	template.NotBefore = time.Now().Add(-time.Hour)
	template.NotAfter = template.NotBefore.Add(life)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, a.key)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", name, err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key of %s: %w", name, err)
	}
	if err := writePEM(a.Key(name), "EC PRIVATE KEY", keyDER, 0o600); err != nil {
		return nil, err
	}
	if err := writePEM(a.Cert(name), "CERTIFICATE", der, 0o644); err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func (a *Authority) load(name string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	certDER, err := readPEM(a.Cert(name))
	if err != nil {
		return nil, nil, err
	}
	keyDER, err := readPEM(a.Key(name))
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(certDER)
	if err != nil {
		return nil, nil, fmt.Errorf("parse %s: %w", a.Cert(name), err)
	}
	key, err := x509.ParseECPrivateKey(keyDER)
	if err != nil {
		return nil, nil, fmt.Errorf("parse %s: %w", a.Key(name), err)
	}
	return cert, key, nil
}

func writePEM(path, kind string, der []byte, mode os.FileMode) error {
	block := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(path, block, mode); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func readPEM(path string) ([]byte, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM block", path)
	}
	return block.Bytes, nil
}
