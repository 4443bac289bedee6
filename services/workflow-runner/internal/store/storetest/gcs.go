package storetest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// StartGCS serves a bucket as Google Cloud Storage does.
func StartGCS(t *testing.T) *Cloud {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file, err := json.Marshal(map[string]string{"type": "service_account",
		"client_email": "robot@example.iam.gserviceaccount.com",
		"private_key":  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))})
	if err != nil {
		t.Fatal(err)
	}
	type entry struct {
		Key string `xml:"Key"`
	}
	type listing struct {
		XMLName  xml.Name `xml:"ListBucketResult"`
		Then     string   `xml:"NextContinuationToken,omitempty"`
		Contents []entry  `xml:"Contents"`
	}
	c := &Cloud{Secret: string(file), from: "continuation-token",
		verify: func(r *http.Request, _ string) string { return goog4(r, &key.PublicKey) },
		page: func(keys []string, then string) any {
			out := listing{Then: then}
			for _, k := range keys {
				out.Contents = append(out.Contents, entry{k})
			}
			return out
		}}
	c.Sign = func(text []byte) []byte {
		sum := sha256.Sum256(text)
		signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
		if err != nil {
			t.Error(err)
		}
		return signature
	}
	return c.start(t)
}

// goog4 checks a signed URL. Source: Google Cloud Storage, V4 signing process.
func goog4(r *http.Request, key *rsa.PublicKey) string {
	query, signature, ok := strings.Cut(r.URL.RawQuery, "&X-Goog-Signature=")
	if !ok {
		return "AccessDenied"
	}
	q := r.URL.Query()
	at, err := time.Parse(stamp, q.Get("X-Goog-Date"))
	seconds, err2 := strconv.Atoi(q.Get("X-Goog-Expires"))
	if err != nil || err2 != nil || time.Now().After(at.Add(time.Duration(seconds)*time.Second)) {
		return "ExpiredToken"
	}
	_, scope, _ := strings.Cut(q.Get("X-Goog-Credential"), "/")
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%s\nhost:%s\n\nhost\nUNSIGNED-PAYLOAD", r.Method,
		r.URL.EscapedPath(), query, r.Host))
	whole := sha256.Sum256(fmt.Appendf(nil, "GOOG4-RSA-SHA256\n%s\n%s\n%s", q.Get("X-Goog-Date"), scope,
		hex.EncodeToString(sum[:])))
	raw, err := hex.DecodeString(signature)
	if err != nil || rsa.VerifyPKCS1v15(key, crypto.SHA256, whole[:], raw) != nil {
		return "SignatureDoesNotMatch"
	}
	return ""
}
