// Package storetest serves buckets as S3 does, for tests: requests must be signed by version 4 with its keys, in their
// headers or in their URL, and a body must say its size.
package storetest

import (
	"crypto/md5" //nolint:gosec // the ETag of S3
	"encoding/hex"
	"encoding/xml"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The keys of the server.
const (
	ID     = "AKIDEXAMPLE"
	Secret = "secret of the example"
)

// KeyFields are the fields of an artifact in S3 that take the keys from the Secret "keys".
const KeyFields = "accessKeySecret: {name: keys, key: id}, secretKeySecret: {name: keys, key: secret}"

// Server is a server with buckets.
type Server struct {
	Endpoint string // host and port, over plain HTTP
	Token    string // of a session, which the signature must hold; "" wants none

	mu      sync.Mutex
	buckets map[string]map[string][]byte
	hidden  map[string]string // how objects are encrypted, by bucket and key
	broken  int               // requests that still get a 503
}

// Start serves the named buckets until the test ends.
func Start(t *testing.T, buckets ...string) *Server {
	t.Helper()
	s := &Server{buckets: map[string]map[string][]byte{}, hidden: map[string]string{}}
	for _, b := range buckets {
		s.buckets[b] = map[string][]byte{}
	}
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	s.Endpoint = strings.TrimPrefix(web.URL, "http://")
	return s
}

// Put keeps an object.
func (s *Server) Put(bucket, key, content string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buckets[bucket][key] = []byte(content)
}

// Objects are the objects of a bucket.
func (s *Server) Objects(bucket string) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]string{}
	for key, content := range s.buckets[bucket] {
		out[key] = string(content)
	}
	return out
}

// Break makes the server answer some requests with 503.
func (s *Server) Break(requests int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = requests
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken > 0 {
		s.broken--
		refuse(w, http.StatusServiceUnavailable, "SlowDown")
		return
	}
	if code := signed(r, s.Token, time.Now()); code != "" {
		refuse(w, http.StatusForbidden, code)
		return
	}
	name, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if r.Method == http.MethodPut && key == "" {
		s.buckets[name] = map[string][]byte{}
		return
	}
	bucket, ok := s.buckets[name]
	switch {
	case !ok:
		refuse(w, http.StatusNotFound, "NoSuchBucket")
	case r.URL.Query().Has("location"):
		_, _ = io.WriteString(w, `<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></LocationConstraint>`)
	case key == "" && r.Method == http.MethodGet:
		list(w, bucket, r.URL.Query().Get("prefix"))
	case key == "":
		w.WriteHeader(http.StatusOK)
	default:
		if code := s.encrypted(r, name+"/"+key); code != "" {
			refuse(w, http.StatusBadRequest, code)
			return
		}
		object(w, r, bucket, key, body)
	}
}

// Encrypted is how an object is encrypted: what the request that stored it said, by the names of headers.
func (s *Server) Encrypted(bucket, key string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hidden[bucket+"/"+key]
}

// encrypted heeds what a request says of encryption, and returns the code of the error when it must not say so. Source:
// S3, "Protecting data with server-side encryption".
func (s *Server) encrypted(r *http.Request, at string) string {
	const prefix = "X-Amz-Server-Side-Encryption"
	var said []string
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		if strings.HasPrefix(name, prefix) {
			if p, _ := proofOf(r); !slices.Contains(strings.Split(p.headers, ";"), strings.ToLower(name)) {
				return "AccessDenied" // it is not signed
			}
			said = append(said, strings.TrimPrefix(name, prefix)+"="+r.Header.Get(name))
		}
	}
	text := strings.Join(said, " ")
	byCustomer := strings.Contains(text, "Customer")
	switch {
	case r.Method == http.MethodPut:
		s.hidden[at] = text
	case text != "" && !byCustomer, r.Method == http.MethodDelete && text != "":
		return "InvalidArgument"
	case r.Method != http.MethodDelete && (byCustomer || strings.Contains(s.hidden[at], "Customer")) &&
		s.hidden[at] != text:
		return "InvalidRequest"
	}
	return ""
}

func object(w http.ResponseWriter, r *http.Request, bucket map[string][]byte, key string, body []byte) {
	content, there := bucket[key]
	switch r.Method {
	case http.MethodPut:
		if r.ContentLength < 0 {
			refuse(w, http.StatusLengthRequired, "MissingContentLength")
			return
		}
		bucket[key] = body
	case http.MethodDelete:
		delete(bucket, key)
		w.WriteHeader(http.StatusNoContent)
	case http.MethodGet, http.MethodHead:
		if !there {
			refuse(w, http.StatusNotFound, "NoSuchKey")
			return
		}
		sum := md5.Sum(content) //nolint:gosec // the ETag of S3
		w.Header().Set("ETag", `"`+hex.EncodeToString(sum[:])+`"`)
		w.Header().Set("Last-Modified", time.Unix(0, 0).UTC().Format(http.TimeFormat))
		_, _ = w.Write(content)
	}
}

func list(w http.ResponseWriter, bucket map[string][]byte, prefix string) {
	type entry struct {
		Key          string `xml:"Key"`
		Size         int    `xml:"Size"`
		LastModified string `xml:"LastModified"`
	}
	answer := struct {
		XMLName     xml.Name `xml:"ListBucketResult"`
		Prefix      string   `xml:"Prefix"`
		IsTruncated bool     `xml:"IsTruncated"`
		Contents    []entry  `xml:"Contents"`
	}{Prefix: prefix}
	for _, key := range slices.Sorted(maps.Keys(bucket)) {
		if strings.HasPrefix(key, prefix) {
			answer.Contents = append(answer.Contents,
				entry{Key: key, Size: len(bucket[key]), LastModified: "1970-01-01T00:00:00.000Z"})
		}
	}
	text, _ := xml.Marshal(answer)
	_, _ = w.Write(text)
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "<Error><Code>"+code+"</Code><Message>refused</Message><AWSAccessKeyId>"+ID+"</AWSAccessKeyId></Error>")
}
