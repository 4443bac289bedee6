package storetest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"net/http"
	"strings"
	"testing"
	"time"
)

// azureAccount is the account of the container.
const azureAccount = "devaccount"

// StartAzure serves a container as Azure Blob Storage does, with the account in the path, as its emulator has it. The URL
// is the endpoint.
func StartAzure(t *testing.T) *Cloud {
	t.Helper()
	type blob struct {
		Name string `xml:"Name"`
	}
	type listing struct {
		XMLName xml.Name `xml:"EnumerationResults"`
		Blobs   []blob   `xml:"Blobs>Blob"`
		Then    string   `xml:"NextMarker"`
	}
	c := &Cloud{Secret: base64.StdEncoding.EncodeToString([]byte(Secret)), path: "/" + azureAccount, from: "marker", verify: serviceSAS,
		required: http.Header{"X-Ms-Blob-Type": {"BlockBlob"}},
		page: func(keys []string, then string) any {
			out := listing{Then: then}
			for _, k := range keys {
				out.Blobs = append(out.Blobs, blob{k})
			}
			return out
		}}
	c.start(t)
	c.URL += "/" + azureAccount
	return c
}

// serviceSAS checks a shared access signature. Source: Azure Storage, "Create a service SAS".
func serviceSAS(r *http.Request, key string) string {
	q := r.URL.Query()
	needed := map[string]string{http.MethodGet: "r", http.MethodHead: "r", http.MethodPut: "w", http.MethodDelete: "d"}[r.Method]
	resource, kind := "/blob"+r.URL.Path, "b"
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
	fields := []string{q.Get("sp"), q.Get("st"), q.Get("se"), resource, q.Get("si"), q.Get("sip"), q.Get("spr"), q.Get("sv"), kind, q.Get("snapshot"), q.Get("ses"),
		q.Get("rscc"), q.Get("rscd"), q.Get("rsce"), q.Get("rscl"), q.Get("rsct")}
	mac := hmac.New(sha256.New, []byte(Secret))
	mac.Write([]byte(strings.Join(fields, "\n")))
	if base64.StdEncoding.EncodeToString(mac.Sum(nil)) != q.Get("sig") {
		return "AuthenticationFailed"
	}
	return ""
}
