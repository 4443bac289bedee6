// Package core decides what becomes of one HTTP request: the answer, and the events
// that must be durable before it is given. It does no I/O and knows no clock.
package core

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
)

// MaxBody is the largest body of a hook. Source: GitHub does not deliver payloads
// over 25 MB.
const MaxBody = 25 << 20

// Request is a hook as it arrived, with its body already capped.
type Request struct {
	Method  string
	Header  http.Header
	Query   url.Values
	Body    []byte
	Tail    string // last element of the path, when the route is secret by its path
	Now     time.Time
	Fetched []byte // what Needs asked for; nil when it could not be had
	Room    []byte // memory that the data of one event may be written to; may be nil
}

// Route is one endpoint of one event of an EventSource, with its secrets resolved.
type Route struct {
	Namespace, EventSource, Event string
	Provider                      string    // key of Providers
	Secret                        string    // for signatures; see Unsigned
	Unsigned                      bool      // the manifest asks for no signature check
	Account                       string    // service account that a source of the kind resource reads as
	Bearer                        string    // token of authSecret; empty means none is asked for
	Token                         string    // of Slack: the older check, a word in the body
	PathSecret                    string    // last element of the path; empty means none is asked for
	Signature                     Signature // of plain webhooks; its Header is empty when none is asked for
	Broken                        string    // why the route cannot work, such as a missing secret; empty means it can
	Events                        []string  // event types that are wanted; empty or "*" means all
	Origins                       []string  // of CloudEvents: senders that the handshake lets in; empty means all
	Repositories                  []string  // of a registry; empty means all
	Form                          string    // of a registry: which one it is; empty means that its payload tells
	Registry                      string    // URL at which a registry may be asked; empty means never
	Topic                         string    // of sns and storageGrid; empty means any
	Prefix, Suffix                string    // of the keys of storageGrid
	Split                         bool      // of bitbucketserver: one event per change
	Hosts                         []string  // hosts beside the sender's own that may be fetched from
	Rate                          float64   // requests per second; 0 means no limit
	Burst                         int       // how many of them may come at once; 0 means those of a second
	Method                        string
	Metadata                      map[string]string
	Filter                        Filter // nil keeps everything
	MaxBody                       int64  // lower limit than MaxBody; 0 means MaxBody
}

// Filter says which events are kept, by their data.
type Filter interface {
	Keep(data []byte) (bool, error)
}

// Item is one event to publish.
type Item struct {
	ID      string              // from the sender where it has one
	Type    string              // of the event
	Data    json.RawMessage     // unless Image is set
	Pushed  *events.GitPushed   // of forges: what a push did; nil when it is none
	Image   *events.ImagePushed // of registries: the registry may still be asked about it
	Message string              // commit message whose trailers continue a chain, may be empty
	Trace   string              // traceparent that the sender gave inside the event, may be empty
	Read    bool                // it was read from a source: there is no sender who could be refused
}

// Outcome is what a request comes to. The items are published, and Visit is
// fetched, before the status is sent; with neither it is sent at once.
type Outcome struct {
	Status int
	Text   string            // for the sender; says nothing of our insides
	Header map[string]string // of the answer
	Class  string            // metric label: accepted, ignored, or why it was refused
	Items  []Item
	Visit  string // URL whose fetching confirms a subscription
}

// Provider knows one kind of sender.
type Provider struct {
	// Hooks are what the manifest of an EventSource has of this kind, by event.
	Hooks func(*v1alpha1.EventSourceSpec) map[string]Hook
	// Greet answers what is no delivery, such as the handshake of a subscription; nil when the kind has none.
	Greet func(Route, Request) (Outcome, bool)
	// Needs names a URL whose content Verify asks for, such as a certificate; nil when it asks for none.
	Needs func(Route, Request) (string, error)
	// Verify checks who sent the request, on the raw bytes and in constant time.
	Verify func(Route, Request) error
	// Secrets are headers in which this kind of sender puts a secret as it is; no event tells what they hold.
	Secrets []string
	// Decode makes events of a verified request, whose headers hold no secret any more.
	Decode func(Route, Request) ([]Item, error)
	// Answer words the answer to a request whose events are durable; nil means plain text.
	Answer func(Route, Request) Outcome
}

// Providers are the kinds of senders by name.
var Providers = map[string]Provider{
	"azureEventGrid":  azureEventGridProvider,
	"bitbucket":       bitbucketProvider,
	"bitbucketserver": bitbucketServerProvider,
	"cloudEvents":     cloudEventsProvider,
	"gerrit":          gerritProvider,
	"gitea":           giteaProvider,
	"github":          githubProvider,
	"gitlab":          gitlabProvider,
	"registry":        registryProvider,
	"slack":           slackProvider,
	"sns":             snsProvider,
	"storageGrid":     storageGridProvider,
	"stripe":          stripeProvider,
	"webhook":         webhookProvider,
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

// errUnknown is the error of what nobody here understands: its sender gets 200, and
// the status of the EventSource says so.
var errUnknown = &rejected{status: http.StatusOK, class: NotUnderstood, text: "ignored: it is not understood"}

// NotUnderstood is the class of what was answered 200 although no event came of it and
// nobody knows what it is.
const NotUnderstood = "not_understood"

// Needs names what must be fetched before Decide, or "".
func Needs(route Route, req Request) (string, error) {
	needs := Providers[route.Provider].Needs
	if needs == nil {
		return "", nil
	}
	return needs(route, req)
}

// Decide says what becomes of a request to a route.
func Decide(route Route, req Request) Outcome {
	provider := Providers[route.Provider]
	if provider.Greet != nil && route.Broken == "" {
		if out, greeted := provider.Greet(route, req); greeted {
			return out
		}
	}
	items, err := handle(route, req)
	if err == nil || err == error(errIgnored) { //nolint:errorlint // never wrapped
		return accepted(provider, route, req, items)
	}
	return Refusal(err)
}

func accepted(provider Provider, route Route, req Request, items []Item) Outcome {
	out := Outcome{Status: http.StatusOK, Text: "accepted"}
	if provider.Answer != nil {
		out = provider.Answer(route, req)
	}
	out.Items = items
	if out.Class == "" {
		out.Class = "accepted"
	}
	if len(items) == 0 && out.Class == "accepted" {
		out.Class = errIgnored.class
		if provider.Answer == nil {
			out.Text = errIgnored.text
		}
	}
	return out
}

// Refusal is the answer that an error of this package deserves.
func Refusal(err error) Outcome {
	r, ok := err.(*rejected) //nolint:errorlint // this package never wraps it
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
	if !strings.EqualFold(orPost(route.Method), req.Method) {
		return nil, reject(http.StatusMethodNotAllowed, "method", "use %s", orPost(route.Method))
	}
	if route.MaxBody > 0 && int64(len(req.Body)) > route.MaxBody {
		return nil, reject(http.StatusRequestEntityTooLarge, "too_large", "the body is over %d bytes", route.MaxBody)
	}
	if route.PathSecret != "" && !same(route.PathSecret, req.Tail) {
		return nil, reject(http.StatusNotFound, "unauthorized", "no event source listens on this path")
	}
	if err := provider.Verify(route, req); err != nil {
		return nil, err
	}
	req.Header = redacted(provider, route, req.Header)
	return provider.Decode(route, req)
}

func orPost(method string) string {
	if method == "" {
		return http.MethodPost
	}
	return strings.ToUpper(method)
}

func wanted(list []string, value string) bool {
	return len(list) == 0 || slices.Contains(list, "*") || slices.Contains(list, value)
}

// digest names a delivery by its content, for senders that give it no name. A
// repeated delivery has the same bytes.
func digest(parts ...string) string { return Digest(parts...) }

// Digest is a short name for parts that are long or odd.
func Digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))[:32]
}

// numbered tells the events of one delivery apart.
func numbered(id string, i int) string {
	if i == 0 || id == "" {
		return id
	}
	return fmt.Sprintf("%s#%d", id, i)
}
