package storetest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// azureAccount is the account of the container.
const azureAccount = "devaccount"

// StartAzure serves a container as Azure Blob Storage does, with the account in the path, as its emulator has it. The
// URL is the endpoint.
func StartAzure(t *testing.T) *Cloud {
	t.Helper()
	c := newAzure()
	c.path, c.verify = "/"+azureAccount, serviceSAS
	c.start(t)
	c.URL += "/" + azureAccount
	return c
}

// OwnAzure is the endpoint of [StartOwnAzure].
const OwnAzure = "https://" + azureAccount + ".blob.core.windows.net"

// StartOwnAzure serves a container of [OwnAzure] that whoever has a token gets keys for. roots vouch for it, dial
// reaches it whatever the address.
func StartOwnAzure(t *testing.T, token string) (c *Cloud, roots *x509.CertPool,
	dial func(context.Context, string, string) (net.Conn, error)) {
	t.Helper()
	c = newAzure()
	c.objects, c.verify = map[string][]byte{}, delegatedSAS
	c.extra = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Get("comp") != "userdelegationkey" {
			return false
		}
		c.Asked++
		if r.Header.Get("Authorization") != "Bearer "+token || r.Host != azureAccount+".blob.core.windows.net" {
			refuse(w, http.StatusForbidden, "AuthorizationPermissionMismatch")
			return true
		}
		w.Header().Set("Content-Type", "application/xml")
		_, _ = io.WriteString(w, "<UserDelegationKey><SignedOid>oid</SignedOid><SignedTid>tid</SignedTid><SignedStart>2020-01-01T00:00:00Z</SignedStart><SignedExpiry>2099-01-01T00:00:00Z</SignedExpiry>"+
			"<SignedService>b</SignedService><SignedVersion>2020-12-06</SignedVersion><Value>"+base64.StdEncoding.EncodeToString([]byte(Secret))+"</Value></UserDelegationKey>")
		return true
	}
	web := httptest.NewUnstartedServer(c)
	web.StartTLS()
	t.Cleanup(web.Close)
	c.URL = OwnAzure
	authority, err := named(web)
	if err != nil {
		t.Fatal(err)
	}
	return c, authority, func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, web.Listener.Addr().String())
	}
}

// named gives a server a certificate of the name of [OwnAzure].
func named(web *httptest.Server) (*x509.CertPool, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{azureAccount + ".blob.core.windows.net"},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	raw, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	made, err := x509.ParseCertificate(raw)
	if err != nil {
		return nil, err
	}
	web.TLS.Certificates = []tls.Certificate{{Certificate: [][]byte{raw}, PrivateKey: key}}
	roots := x509.NewCertPool()
	roots.AddCert(made)
	return roots, nil
}

func newAzure() *Cloud {
	type blob struct {
		Name string `xml:"Name"`
	}
	type listing struct {
		XMLName xml.Name `xml:"EnumerationResults"`
		Blobs   []blob   `xml:"Blobs>Blob"`
		Then    string   `xml:"NextMarker"`
	}
	return &Cloud{Secret: base64.StdEncoding.EncodeToString([]byte(Secret)), from: "marker",
		required: http.Header{"X-Ms-Blob-Type": {"BlockBlob"}},
		page: func(keys []string, then string) any {
			out := listing{Then: then}
			for _, k := range keys {
				out.Blobs = append(out.Blobs, blob{k})
			}
			return out
		}}
}

// delegatedSAS checks a shared access signature by the key of an identity. Source: Azure Storage, "Create a user
// delegation SAS".
func delegatedSAS(r *http.Request, key string) string {
	q := r.URL.Query()
	return sasOf(r, key, "/blob/"+azureAccount+r.URL.Path, func(resource, kind string) []string {
		return []string{q.Get("sp"), q.Get("st"), q.Get("se"), resource, q.Get("skoid"), q.Get("sktid"), q.Get("skt"),
			q.Get("ske"), q.Get("sks"), q.Get("skv"), q.Get("saoid"), q.Get("suoid"), q.Get("scid"),
			"", "", q.Get("sip"), q.Get("spr"), q.Get("sv"), kind, q.Get("snapshot"), q.Get("ses"), q.Get("rscc"),
			q.Get("rscd"), q.Get("rsce"), q.Get("rscl"), q.Get("rsct")}
	})
}

// serviceSAS checks a shared access signature. Source: Azure Storage, "Create a service SAS".
func serviceSAS(r *http.Request, key string) string {
	q := r.URL.Query()
	return sasOf(r, key, "/blob"+r.URL.Path, func(resource, kind string) []string {
		return []string{q.Get("sp"), q.Get("st"), q.Get("se"), resource, q.Get("si"), q.Get("sip"), q.Get("spr"),
			q.Get("sv"), kind, q.Get("snapshot"), q.Get("ses"),
			q.Get("rscc"), q.Get("rscd"), q.Get("rsce"), q.Get("rscl"), q.Get("rsct")}
	})
}

// sasOf checks what all signatures have, and the signature itself.
func sasOf(r *http.Request, key, resource string, signed func(resource, kind string) []string) string {
	q := r.URL.Query()
	needed := map[string]string{http.MethodGet: "r", http.MethodHead: "r", http.MethodPut: "w",
		http.MethodDelete: "d"}[r.Method]
	kind := "b"
	if key == "" {
		needed, kind, resource = "l", "c", strings.TrimSuffix(resource, "/")
	}
	until, err := time.Parse(time.RFC3339, q.Get("se"))
	if err != nil || time.Now().After(until) {
		return "AuthenticationFailed"
	}
	if !strings.Contains(q.Get("sp"), needed) || q.Get("sr") != kind {
		return "AuthorizationPermissionMismatch"
	}
	mac := hmac.New(sha256.New, []byte(Secret))
	mac.Write([]byte(strings.Join(signed(resource, kind), "\n")))
	if base64.StdEncoding.EncodeToString(mac.Sum(nil)) != q.Get("sig") {
		return "AuthenticationFailed"
	}
	return ""
}
