// Package artifact brings artifacts in and out of pods, by URLs that allow one thing each, and takes away those that
// are to go.
package artifact

import (
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
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/store"
)

// artifactLimit is the largest artifact that goes through this service: into the built-in store, or into one that pods
// do not reach themselves.
const artifactLimit = 5 << 30

// Path is where the built-in store is mounted.
const Path = "/artifacts/"

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
