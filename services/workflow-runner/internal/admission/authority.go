package admission

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	authorityLife = 10 * 365 * 24 * time.Hour
	// leafLife is how long a certificate of a replica is good; it is made anew when half of that is over.
	leafLife = 90 * 24 * time.Hour
	// skew lets clocks differ.
	skew = time.Hour
)

// authority vouches for the certificates of replicas. They share it by a Secret.
type authority struct {
	pem  []byte
	cert *x509.Certificate
	key  crypto.Signer
}

// loadAuthority reads the authority of a Secret. One that is not there, cannot be read or ends soon is made. Of
// replicas that make one at once, one wins, and the others read it.
func loadAuthority(ctx context.Context, c client.Client, r client.Reader, name types.NamespacedName,
	now time.Time) (*authority, error) {
	for range 5 {
		var secret corev1.Secret
		err := r.Get(ctx, name, &secret)
		there := err == nil
		if err != nil && !apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("read Secret %s: %w", name, err)
		}
		if there {
			if a, err := readAuthority(secret); err == nil && now.Add(2*leafLife).Before(a.cert.NotAfter) {
				return a, nil
			}
		}
		a, data, err := newAuthority(now)
		if err != nil {
			return nil, err
		}
		secret.Namespace, secret.Name, secret.Type, secret.Data = name.Namespace, name.Name, corev1.SecretTypeTLS, data
		if there {
			err = c.Update(ctx, &secret)
		} else {
			err = c.Create(ctx, &secret)
		}
		if err == nil {
			return a, nil
		}
		if !apierrors.IsAlreadyExists(err) && !apierrors.IsConflict(err) {
			return nil, fmt.Errorf("keep the authority in Secret %s: %w", name, err)
		}
	}
	return nil, fmt.Errorf("the Secret %s changes all the time", name)
}

func readAuthority(s corev1.Secret) (*authority, error) {
	pair, err := tls.X509KeyPair(s.Data[corev1.TLSCertKey], s.Data[corev1.TLSPrivateKeyKey])
	if err != nil {
		return nil, err
	}
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok || !pair.Leaf.IsCA {
		return nil, errors.New("it vouches for nobody")
	}
	return &authority{pem: s.Data[corev1.TLSCertKey], cert: pair.Leaf, key: key}, nil
}

func newAuthority(now time.Time) (*authority, map[string][]byte, error) {
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "argosy workflow admission"}, NotBefore: now.Add(-skew),
		NotAfter: now.Add(authorityLife),
		IsCA:     true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	cert, key, err := issue(template, nil)
	if err != nil {
		return nil, nil, err
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("make an authority: %w", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
	return &authority{pem: text, cert: cert, key: key},
		map[string][]byte{corev1.TLSCertKey: text,
			corev1.TLSPrivateKeyKey: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})}, nil
}

// leaf makes the certificate of a replica, for the names and addresses that it is reached by.
func (a *authority) leaf(hosts []string, now time.Time) (*tls.Certificate, error) {
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: hosts[0]}, NotBefore: now.Add(-skew), NotAfter: now.Add(leafLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
			continue
		}
		template.DNSNames = append(template.DNSNames, host)
	}
	cert, key, err := issue(template, a)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}, nil
}

// issue signs a certificate over a new key: by an authority, or by itself.
func issue(template *x509.Certificate, by *authority) (*x509.Certificate, crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make a key: %w", err)
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return nil, nil, fmt.Errorf("make a certificate: %w", err)
	}
	parent, signer := template, crypto.Signer(key)
	if by != nil {
		parent, signer = by.cert, by.key
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return nil, nil, fmt.Errorf("make a certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(raw)
	if err != nil {
		return nil, nil, fmt.Errorf("make a certificate: %w", err)
	}
	return cert, key, nil
}
