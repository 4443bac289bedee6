package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"os"
	"testing"
)

func TestIssuedCertificateIsTrusted(t *testing.T) {
	a, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	request := Request{
		Name: "server", User: "system:node:a", Groups: []string{"system:nodes"}, Hosts: []string{"127.0.0.1", "a.svc"},
	}
	if err := a.Issue(request); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(a.Cert("server"), a.Key("server"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	ca, _ := os.ReadFile(a.Cert("ca"))
	if !roots.AppendCertsFromPEM(ca) {
		t.Fatal("no CA in ca.crt")
	}
	for _, host := range []string{"a.svc", "127.0.0.1"} {
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: host}); err != nil {
			t.Errorf("verify for %s: %v", host, err)
		}
	}
	if got := pair.Leaf.Subject; got.CommonName != "system:node:a" || got.Organization[0] != "system:nodes" {
		t.Errorf("subject %v", got)
	}
}

func TestOpenAndIssueKeepWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	read := func() []byte {
		a, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Issue(Request{Name: "admin"}); err != nil {
			t.Fatal(err)
		}
		config, err := a.Kubeconfig("c", "https://127.0.0.1:1", "admin")
		if err != nil {
			t.Fatal(err)
		}
		return config
	}
	if first, second := read(), read(); !bytes.Equal(first, second) {
		t.Error("the second call made new certificates")
	}
}
