// Package core decides what becomes of one HTTP request: the answer, and the events
// that must be durable before it is given. It does no I/O and knows no clock.
package core

import (
	"crypto/subtle"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// MaxBody is the largest body of a hook. Source: GitHub does not deliver payloads
// over 25 MB.
const MaxBody = 25 << 20

// Request is a hook as it arrived, with its body already capped.
type Request struct {
	Method string
	Header http.Header
	Query  url.Values
	Body   []byte
	Now    time.Time
}

// Route is one endpoint of one event of an EventSource, with its secrets resolved.
type Route struct {
	Namespace, EventSource, Event string
	Provider                      string   // key of Providers
	Secret                        string   // for signatures; see Unsigned
	Unsigned                      bool     // the manifest asks for no signature check
	Bearer                        string   // token of authSecret; empty means none is asked for
	Broken                        string   // why the route cannot work, such as a missing secret; empty means it can
	Events                        []string // event types that are wanted; empty or "*" means all
	Repositories                  []string // of a registry; empty means all
	Registry                      string   // URL at which a registry may be asked; empty means never
	Method                        string
	Metadata                      map[string]string
	MaxBody                       int64 // lower limit than MaxBody; 0 means MaxBody
}

// Item is one event to publish.
type Item struct {
	ID      string // from the sender where it has one
	Type    string
	Data    any
	Message string // commit message whose trailers continue a chain, may be empty
}

// Outcome is what a request comes to. The items are published before the status
// is sent; with none it is sent at once.
type Outcome struct {
	Status int
	Text   string // for the sender; says nothing of our insides
	Class  string // metric label: accepted, ignored, or why it was refused
	Items  []Item
}

// Provider knows one kind of sender.
type Provider struct {
	// Verify checks who sent the request, on the raw bytes and in constant time.
	Verify func(Route, Request) error
	// Decode makes events of a verified request.
	Decode func(Route, Request) ([]Item, error)
}

// Providers are the kinds of senders by name.
var Providers = map[string]Provider{
	"github":   {Verify: verifyGitHub, Decode: decodeGitHub},
	"webhook":  {Verify: verifyBearer, Decode: decodeWebhook},
	"registry": {Verify: verifyRegistry, Decode: decodeRegistry},
}

// rejected is an error with the answer it deserves.
type rejected struct {
	status int
	class  string
	text   string
}

func (r *rejected) Error() string { return r.text }

func reject(status int, class, format string, args ...any) error {
	return &rejected{status: status, class: class, text: fmt.Sprintf(format, args...)}
}

// errIgnored is the error of an event that nobody asked for: it is answered like
// one that was, since senders disable hooks that fail.
var errIgnored = &rejected{status: http.StatusOK, class: "ignored", text: "ignored"}

// Decide says what becomes of a request to a route.
func Decide(route Route, req Request) Outcome {
	items, err := handle(route, req)
	if err == nil {
		return Outcome{Status: http.StatusOK, Text: "accepted", Class: "accepted", Items: items}
	}
	r, ok := err.(*rejected) //nolint:errorlint // handle never wraps it
	if !ok {
		return Outcome{Status: http.StatusBadRequest, Text: err.Error(), Class: "malformed"}
	}
	return Outcome{Status: r.status, Text: r.text, Class: r.class}
}

func handle(route Route, req Request) ([]Item, error) {
	provider, ok := Providers[route.Provider]
	if !ok {
		return nil, reject(http.StatusServiceUnavailable, "broken", "this route has no provider %q", route.Provider)
	}
	if route.Broken != "" {
		// Fail closed: without its secret a route must not accept anything.
		return nil, reject(http.StatusServiceUnavailable, "broken", "this route is not ready")
	}
	if !methodAllowed(route.Method, req.Method) {
		return nil, reject(http.StatusMethodNotAllowed, "method", "use %s", orPost(route.Method))
	}
	if route.MaxBody > 0 && int64(len(req.Body)) > route.MaxBody {
		return nil, reject(http.StatusRequestEntityTooLarge, "too_large", "the body is over %d bytes", route.MaxBody)
	}
	if err := provider.Verify(route, req); err != nil {
		return nil, err
	}
	return provider.Decode(route, req)
}

func methodAllowed(want, got string) bool { return strings.EqualFold(orPost(want), got) }

func orPost(method string) string {
	if method == "" {
		return http.MethodPost
	}
	return strings.ToUpper(method)
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

func wanted(list []string, value string) bool {
	return len(list) == 0 || slices.Contains(list, "*") || slices.Contains(list, value)
}
