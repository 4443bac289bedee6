package storetest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// stamp is the form of times in signatures.
const stamp = "20060102T150405Z"

// proof is what a request says about its signature.
type proof struct {
	credential, headers, signature, date, payload string
	expires                                       time.Duration
}

// signed returns the code of the error when a request is not signed as S3 wants it. Source: AWS, Signature Version 4.
func signed(r *http.Request, session string, now time.Time) string {
	p, ok := proofOf(r)
	if token := r.URL.Query().Get("X-Amz-Security-Token") + r.Header.Get("X-Amz-Security-Token"); token != session {
		return "InvalidToken"
	}
	if !ok {
		return "AccessDenied"
	}
	at, err := time.Parse(stamp, p.date)
	if err != nil || now.After(at.Add(p.expires)) {
		return "AccessDenied"
	}
	parts := strings.Split(p.credential, "/")
	if len(parts) != 5 || parts[0] != ID {
		return "InvalidAccessKeyId"
	}
	sum := sha256.Sum256([]byte(canonical(r, p)))
	text := strings.Join([]string{"AWS4-HMAC-SHA256", p.date, strings.Join(parts[1:], "/"), hex.EncodeToString(sum[:])},
		"\n")
	key := []byte("AWS4" + Secret)
	for _, part := range append(parts[1:], text) {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	if hex.EncodeToString(key) != p.signature {
		return "SignatureDoesNotMatch"
	}
	return ""
}

func proofOf(r *http.Request) (proof, bool) {
	q := r.URL.Query()
	if q.Has("X-Amz-Signature") {
		seconds, err := strconv.Atoi(q.Get("X-Amz-Expires"))
		return proof{credential: q.Get("X-Amz-Credential"), headers: q.Get("X-Amz-SignedHeaders"),
			signature: q.Get("X-Amz-Signature"), date: q.Get("X-Amz-Date"),
			payload: "UNSIGNED-PAYLOAD", expires: time.Duration(seconds) * time.Second}, err == nil
	}
	text, ok := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ")
	p := proof{date: r.Header.Get("X-Amz-Date"), payload: r.Header.Get("X-Amz-Content-Sha256"),
		expires: 15 * time.Minute}
	for field := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch name {
		case "Credential":
			p.credential = value
		case "SignedHeaders":
			p.headers = value
		case "Signature":
			p.signature = value
		}
	}
	return p, ok
}

// canonical is the request as it is signed.
func canonical(r *http.Request, p proof) string {
	var query []string
	values := r.URL.Query()
	for _, name := range slices.Sorted(maps.Keys(values)) {
		for _, value := range values[name] {
			if name != "X-Amz-Signature" {
				query = append(query, escape(name)+"="+escape(value))
			}
		}
	}
	var headers strings.Builder
	for name := range strings.SplitSeq(p.headers, ";") {
		value := r.Header.Get(name)
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = strconv.FormatInt(r.ContentLength, 10)
		}
		fmt.Fprintf(&headers, "%s:%s\n", name, strings.TrimSpace(value))
	}
	path := strings.ReplaceAll(escape(r.URL.Path), "%2F", "/")
	return strings.Join([]string{r.Method, path, strings.Join(query, "&"), headers.String(), p.headers, p.payload},
		"\n")
}

func escape(text string) string {
	return strings.NewReplacer("+", "%20", "%7E", "~").Replace(url.QueryEscape(text))
}
