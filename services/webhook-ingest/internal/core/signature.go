package core

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Signature says how the sender of a plain webhook signs.
type Signature struct {
	Scheme    string // StandardWebhooks, or empty for what the other fields say
	Header    string // where the signature is
	Algorithm string // sha256 or sha512; empty means sha256
	Encoding  string // hex or base64; empty means hex
	Prefix    string // before the signature
	Key       string
}

// StandardWebhooks is the scheme of that specification, in which Svix and those who use
// it sign too: id, time and body together, base64.
const StandardWebhooks = "standardWebhooks"

// asked reports whether the manifest asks for a signature.
func (s Signature) asked() bool { return s.Header != "" || s.Scheme != "" }

// hashes are the algorithms that may sign. SHA-1 and MD5 are not among them.
var hashes = map[string]func() hash.Hash{"": sha256.New, "sha256": sha256.New, "sha512": sha512.New}

var encodings = map[string]func(string) ([]byte, error){
	"": hex.DecodeString, "hex": hex.DecodeString, "base64": base64.StdEncoding.DecodeString,
}

// check verifies the signature of a body.
func (s Signature) check(req Request) error {
	if s.Scheme != "" {
		return s.standard(req)
	}
	algorithm, ok := hashes[s.Algorithm]
	decode, known := encodings[s.Encoding]
	if !ok || !known {
		return reject(http.StatusServiceUnavailable, "broken", "this route is not ready")
	}
	return matchMAC(
		s.Header, mac(algorithm, s.Key, req.Body),
		encodedMAC{text: req.Header.Get(s.Header), prefix: s.Prefix, decode: decode},
	)
}

// standard verifies the scheme of Standard Webhooks: one of the signatures in the
// header must be of version 1 and match. Source: Standard Webhooks, "Webhook
// signatures"; there a secret is base64 behind whsec_.
func (s Signature) standard(req Request) error {
	if s.Scheme != StandardWebhooks {
		return reject(http.StatusServiceUnavailable, "broken", "this route is not ready")
	}
	prefix := "Webhook-"
	if req.Header.Get("Webhook-Signature") == "" && req.Header.Get("Svix-Signature") != "" {
		prefix = "Svix-"
	}
	id, at := req.Header.Get(prefix+"Id"), req.Header.Get(prefix+"Timestamp")
	if id == "" || at == "" {
		return reject(http.StatusUnauthorized, "unauthorized", "webhook-id or webhook-timestamp is missing")
	}
	for _, key := range standardKeys(s.Key) {
		want := mac(sha256.New, key, []byte(id+"."+at+"."), req.Body)
		for text := range strings.FieldsSeq(req.Header.Get(prefix + "Signature")) {
			if matchMAC(
				prefix+"Signature", want,
				encodedMAC{text: text, prefix: "v1,", decode: base64.StdEncoding.DecodeString},
			) == nil {
				return fresh(prefix+"Timestamp", at, req.Now)
			}
		}
	}
	return reject(http.StatusUnauthorized, "unauthorized", "webhook-signature is missing or does not match the body")
}

// standardKeys are the keys that a secret may mean: its base64, and itself where it
// does not say that it is base64.
func standardKeys(secret string) []string {
	text, said := strings.CutPrefix(secret, "whsec_")
	var keys []string
	if key, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "=")); err == nil && len(key) > 0 {
		keys = append(keys, string(key))
	}
	if !said {
		keys = append(keys, secret)
	}
	return keys
}

// encodedMAC is a signature as a header carries it.
type encodedMAC struct {
	text   string
	prefix string
	decode func(string) ([]byte, error)
}

// matchMAC compares in constant time.
func matchMAC(name string, want []byte, got encodedMAC) error {
	if got.text == "" {
		return reject(http.StatusUnauthorized, "unauthorized", "%s is missing", name)
	}
	text, ok := strings.CutPrefix(got.text, got.prefix)
	claimed, err := got.decode(text)
	if !ok || err != nil || !hmac.Equal(claimed, want) {
		return reject(http.StatusUnauthorized, "unauthorized", "%s does not match the body", name)
	}
	return nil
}

// hubSignature checks a header of the form "sha256=<hex>".
func hubSignature(header string, route Route, req Request) error {
	return matchMAC(
		header, sign(route.Secret, req.Body),
		encodedMAC{text: req.Header.Get(header), prefix: "sha256=", decode: hex.DecodeString},
	)
}

func mac(algorithm func() hash.Hash, key string, parts ...[]byte) []byte {
	m := hmac.New(algorithm, []byte(key))
	for _, p := range parts {
		m.Write(p)
	}
	return m.Sum(nil)
}

func sign(secret string, parts ...[]byte) []byte { return mac(sha256.New, secret, parts...) }

// tolerance is how old a signature with a time in it may be. Source: the defaults
// of Stripe's and Slack's own libraries.
const tolerance = 5 * time.Minute

// fresh checks the seconds that were signed along.
func fresh(header, seconds string, now time.Time) error {
	at, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return reject(http.StatusUnauthorized, "unauthorized", "%s has no time", header)
	}
	if age := now.Sub(time.Unix(at, 0)); age > tolerance || age < -tolerance {
		return reject(http.StatusUnauthorized, "unauthorized", "%s is over %s old", header, tolerance)
	}
	return nil
}

// verifyBearer asks for the token of authSecret, when there is one.
func verifyBearer(route Route, req Request) error {
	if route.Bearer == "" || same(req.Header.Get("Authorization"), "Bearer "+route.Bearer) {
		return nil
	}
	return reject(http.StatusUnauthorized, "unauthorized", "the bearer token is missing or wrong")
}

// same compares in constant time; only the lengths may leak.
func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// bearerAnd is for kinds whose manifests may ask for a token and a signature.
func bearerAnd(signed func(Route, Request) error) func(Route, Request) error {
	return func(route Route, req Request) error {
		if err := verifyBearer(route, req); err != nil || route.Unsigned {
			return err
		}
		return signed(route, req)
	}
}
