package artifact

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/flow/protocol"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/store"
)

const (
	// signedLifetime is how long a URL of another store is good: the pod asks for it right before it uses it.
	signedLifetime = time.Hour
	// handTime bounds how long a store is asked before the pod must ask again.
	handTime = 25 * time.Second
	// askBytes bounds the names that a pod may send.
	askBytes = 1 << 20
)

// presign answers a pod that asks for the URLs of a place.
func (s *Server) presign(w http.ResponseWriter, r *http.Request) {
	g, err := s.Signer.read(strings.TrimPrefix(r.URL.Path, Path), time.Now())
	if err == nil && g.Place == nil {
		err = errGrant
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	var ask protocol.Ask
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, askBytes)).Decode(&ask); err != nil {
		http.Error(w, "the question cannot be read: "+err.Error(), http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), handTime)
	defer cancel()
	signed, err := s.sign(ctx, g, ask)
	if err != nil {
		s.refuse(w, r, g.Namespace, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(object.JSON(signed))
}

// sign makes the URLs that a grant allows.
func (s *Server) sign(ctx context.Context, g grant, ask protocol.Ask) (protocol.Signed, error) {
	at, err := s.Stores.At(ctx, g.Namespace, *g.Place)
	if err != nil {
		return protocol.Signed{}, err
	}
	direct, ok := at.(store.Direct)
	if !ok {
		return protocol.Signed{}, fault.AsPoison(errGrant)
	}
	names, base := ask.Names, store.Key(*g.Place)
	if g.Method == http.MethodGet {
		names, err = present(ctx, direct, base)
	} else if err = direct.Ready(ctx); err == nil {
		err = proper(names)
	}
	if err != nil {
		return protocol.Signed{}, err
	}
	signed := protocol.Signed{Authority: direct.Authority()}
	for _, name := range names {
		key := base
		if name != "" {
			key = path.Join(key, name)
		}
		to, headers, err := direct.Sign(ctx, g.Method, key, signedLifetime)
		if errors.Is(err, store.ErrRelay) {
			place := store.Under(*g.Place, key)
			to, err = s.Signer.grant(grant{Method: g.Method, Namespace: g.Namespace, Place: &place, Relay: true,
				Expires: time.Now().Add(signedLifetime).Unix()}), nil
		}
		if err != nil {
			return signed, err
		}
		signed.Objects = append(signed.Objects, protocol.Object{Name: name, URL: to, Headers: headers})
	}
	return signed, nil
}

// present lists what is kept under a key: the object of that key, or those below it as a folder.
func present(ctx context.Context, at store.Direct, key string) ([]string, error) {
	there, err := at.Has(ctx, key)
	if err != nil {
		return nil, err
	}
	if there {
		return []string{""}, nil
	}
	prefix := strings.TrimSuffix(key, "/") + "/"
	names, err := at.Names(ctx, prefix, protocol.FolderLimit)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, store.ErrAbsent
	}
	for i := range names {
		names[i] = strings.TrimPrefix(names[i], prefix)
	}
	return names, nil
}

// proper refuses names that lead out of the place.
func proper(names []string) error {
	if len(names) > protocol.AskLimit {
		return fault.Poisonf("%d names are asked for at once; %d may be", len(names), protocol.AskLimit)
	}
	for _, name := range names {
		if name != "" && (!filepath.IsLocal(name) || path.Clean(name) != name) {
			return fault.Poisonf("%q leads out of the artifact", name)
		}
	}
	return nil
}
