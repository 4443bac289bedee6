// Package artifact brings artifacts in and out of pods, by URLs that allow one thing each, and takes away those that are to go.
package artifact

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/flow/protocol"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/store"
)

// UrlLifetime is how long a pod may take to use its URLs.
const UrlLifetime = 7 * 24 * time.Hour

// artifactLimit is the largest artifact that goes through this service: into the built-in store, or into one that pods do
// not reach themselves.
const artifactLimit = 5 << 30

// Path is where the built-in store is mounted.
const Path = "/artifacts/"

// Signer makes and checks URLs that allow one method on one object for some time.
// All replicas share its key, so that any of them can serve.
type Signer struct {
	Base string // scheme and host that pods reach
	Key  []byte
}

// grant is what a URL allows: one method on one object of the built-in store, or to ask for URLs for one place.
type grant struct {
	Method    string                     `json:"m"`
	Object    string                     `json:"o,omitempty"`
	Expires   int64                      `json:"e"`
	Namespace string                     `json:"n,omitempty"`
	Place     *v1alpha1.ArtifactLocation `json:"p,omitempty"`
	Relay     bool                       `json:"r,omitempty"` // the place is reached through this service, though its store could be reached
}

// NewSigner loads the shared key from the bus, or makes it once.
func NewSigner(ctx context.Context, b *bus.Bus, base string) (*Signer, error) {
	const name = "workflow-runner.signing-key"
	kv := b.KV(bus.LocksBucket)
	fresh := make([]byte, 32)
	_, _ = rand.Read(fresh) // never fails, by its documentation
	if _, err := kv.CompareAndSwap(ctx, name, fresh, 0); err == nil {
		return &Signer{Base: base, Key: fresh}, nil
	} else if fault.Of(err) != fault.Stale {
		return nil, fmt.Errorf("make the signing key: %w", err)
	}
	key, _, err := kv.Get(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("load the signing key: %w", err)
	}
	return &Signer{Base: base, Key: key}, nil
}

// URL allows a method on one object of the built-in store.
func (s *Signer) URL(method, object string, expires time.Time) string {
	return s.grant(grant{Method: method, Object: object, Expires: expires.Unix()})
}

func (s *Signer) grant(g grant) string {
	raw := object.JSON(g)
	token := base64.RawURLEncoding.EncodeToString(raw) + "." + base64.RawURLEncoding.EncodeToString(s.sign(raw))
	return s.Base + Path + token
}

func (s *Signer) sign(raw []byte) []byte {
	mac := hmac.New(sha256.New, s.Key)
	mac.Write(raw)
	return mac.Sum(nil)
}

var errGrant = errors.New("the URL is not valid")

// check returns what a token allows to get or to put here by a method.
func (s *Signer) check(token, method string, now time.Time) (grant, error) {
	g, err := s.read(token, now)
	if err == nil && (g.Method != method || g.Place != nil && !g.Relay && !store.Relayed(*g.Place)) {
		err = errGrant
	}
	return g, err
}

// read returns what a token allows.
func (s *Signer) read(token string, now time.Time) (g grant, err error) {
	head, tail, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		return grant{}, errGrant
	}
	mac, err := base64.RawURLEncoding.DecodeString(tail)
	if err != nil || !hmac.Equal(mac, s.sign(raw)) || json.Unmarshal(raw, &g) != nil {
		return grant{}, errGrant
	}
	if now.Unix() > g.Expires {
		return grant{}, errors.New("the URL has expired")
	}
	return g, nil
}

// Server serves the built-in artifact store to pods, and the URLs of others.
type Server struct {
	Bus    *bus.Bus
	Stores *store.Stores
	Signer *Signer
	Log    *slog.Logger
	most   int64 // bytes of an artifact; 0 means artifactLimit
}

func (s *Server) limit() int64 {
	if s.most == 0 {
		return artifactLimit
	}
	return s.most
}

// ServeHTTP answers what a URL of the signer allows.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set(protocol.StoreHeader, "1")
	if r.Method == http.MethodPost {
		s.presign(w, r)
		return
	}
	g, err := s.Signer.check(strings.TrimPrefix(r.URL.Path, Path), r.Method, time.Now())
	if err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	// Artifacts are large: the server's own timeouts are for requests.
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{})
	_ = control.SetWriteDeadline(time.Time{})
	switch {
	case g.Place != nil && r.Method == http.MethodPut:
		s.putRelayed(w, r, g)
	case g.Place != nil:
		s.getRelayed(w, r, g)
	case r.Method == http.MethodPut:
		s.put(w, r, g.Object)
	default:
		s.get(w, r, g.Object)
	}
}

func (s *Server) put(w http.ResponseWriter, r *http.Request, object string) {
	err := s.Bus.Objects(bus.ArtifactsBucket).Put(r.Context(), object, http.MaxBytesReader(w, r.Body, s.limit()))
	switch {
	case tooLarge(w, err):
	case err != nil:
		s.Log.WarnContext(r.Context(), "artifact was not stored", "object", object, "error", err)
		http.Error(w, "the store is away; try again", http.StatusServiceUnavailable)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// tooLarge answers a pod whose artifact is over the limit, and reports whether that is what went wrong.
func tooLarge(w http.ResponseWriter, err error) bool {
	if limit, is := errors.AsType[*http.MaxBytesError](err); is {
		http.Error(w, fmt.Sprintf("an artifact may have %d bytes", limit.Limit), http.StatusRequestEntityTooLarge)
		return true
	}
	return false
}

func (s *Server) get(w http.ResponseWriter, r *http.Request, object string) {
	body, err := store.OpenObject(r.Context(), s.Bus.Objects(bus.ArtifactsBucket), object)
	switch {
	case errors.Is(err, store.ErrAbsent):
		http.Error(w, "no such artifact", http.StatusNotFound)
		return
	case err != nil:
		s.Log.WarnContext(r.Context(), "artifact cannot be read", "object", object, "error", err)
		http.Error(w, "the store is away; try again", http.StatusServiceUnavailable)
		return
	}
	s.stream(w, r, body, object)
}

// getRelayed streams what a place holds that pods do not reach themselves.
func (s *Server) getRelayed(w http.ResponseWriter, r *http.Request, g grant) {
	body, err := s.Stores.Open(r.Context(), g.Namespace, *g.Place)
	if err != nil {
		s.refuse(w, r, g.Namespace, err)
		return
	}
	s.stream(w, r, body, "of namespace "+g.Namespace)
}

// putRelayed stores what a pod puts into a place that it does not reach itself.
func (s *Server) putRelayed(w http.ResponseWriter, r *http.Request, g grant) {
	body := store.Sized{Reader: http.MaxBytesReader(w, r.Body, s.limit()), Size: r.ContentLength}
	err := s.Stores.Put(r.Context(), g.Namespace, *g.Place, body)
	switch {
	case tooLarge(w, err):
	case err != nil:
		s.refuse(w, r, g.Namespace, err)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// refuse answers a pod by the class of an error.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, namespace string, err error) {
	switch {
	case errors.Is(err, store.ErrAbsent):
		http.Error(w, err.Error(), http.StatusNotFound)
	case fault.Of(err) == fault.Poison:
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
	default:
		s.Log.WarnContext(r.Context(), "an artifact store does not answer", "namespace", namespace, "error", err)
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	}
}

// stream sends a body. When it breaks off so does the answer: a pod must not take a part for the whole.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, body io.ReadCloser, what string) {
	defer body.Close()
	if _, err := io.Copy(w, body); err != nil {
		s.Log.DebugContext(r.Context(), "artifact was not read to its end", "object", what, "error", err)
		panic(http.ErrAbortHandler)
	}
}
