package storetest

import (
	"encoding/xml"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// pageSize is how many objects one page of a listing holds: few, so that there are several.
const pageSize = 2

// Cloud is a store of another kind, with one bucket named art. Every request must be signed as that kind wants it.
type Cloud struct {
	URL    string
	Secret string                   // what the Secret of the manifest holds
	Token  string                   // opens the store beside what is signed; "" for none
	Sign   func(text []byte) []byte // signs as the account of the Secret, where accounts sign

	Asked int // how often a key was asked for

	path     string // before the bucket
	verify   func(r *http.Request, key string) string
	required http.Header // of a PUT
	page     func(keys []string, then string) any
	from     string                                            // parameter that a page begins after
	extra    func(w http.ResponseWriter, r *http.Request) bool // answers what is not about objects; may be nil

	mu      sync.Mutex
	objects map[string][]byte
	broken  int
}

func (c *Cloud) start(t *testing.T) *Cloud {
	t.Helper()
	c.objects = map[string][]byte{}
	web := httptest.NewServer(c)
	t.Cleanup(web.Close)
	c.URL = web.URL
	return c
}

// Put keeps an object.
func (c *Cloud) Put(key, content string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.objects[key] = []byte(content)
}

// Objects are the objects of the bucket.
func (c *Cloud) Objects() map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string]string{}
	for key, content := range c.objects {
		out[key] = string(content)
	}
	return out
}

// Break makes the store answer some requests with 503.
func (c *Cloud) Break(requests int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken = requests
}

// ServeHTTP answers one request.
func (c *Cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken > 0 {
		c.broken--
		refuse(w, http.StatusServiceUnavailable, "ServerBusy")
		return
	}
	bucket, key, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, c.path), "/"), "/")
	if c.extra != nil && c.extra(w, r) {
		return
	}
	if code := c.verify(r, key); code != "" && (c.Token == "" || r.Header.Get("Authorization") != "Bearer "+c.Token) {
		refuse(w, http.StatusForbidden, code)
		return
	}
	if bucket != "art" {
		refuse(w, http.StatusNotFound, "NoSuchBucket")
		return
	}
	for name := range c.required {
		if r.Method == http.MethodPut && r.Header.Get(name) != c.required.Get(name) {
			refuse(w, http.StatusBadRequest, "MissingRequiredHeader")
			return
		}
	}
	if key == "" {
		c.list(w, r)
		return
	}
	if _, there := c.objects[key]; !there && r.Method == http.MethodDelete {
		refuse(w, http.StatusNotFound, "NoSuchKey")
		return
	}
	object(w, r, c.objects, key, body)
}

func (c *Cloud) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	var keys []string
	for _, key := range slices.Sorted(maps.Keys(c.objects)) {
		if strings.HasPrefix(key, q.Get("prefix")) {
			keys = append(keys, key)
		}
	}
	begin, _ := strconv.Atoi(q.Get(c.from))
	end, then := begin+pageSize, strconv.Itoa(begin+pageSize)
	if end >= len(keys) {
		end, then = len(keys), ""
	}
	text, _ := xml.Marshal(c.page(keys[min(begin, end):end], then))
	_, _ = w.Write(text)
}
