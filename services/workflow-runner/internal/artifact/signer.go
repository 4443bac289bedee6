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

// Signer makes and checks URLs that allow one method on one object for some time.
// All replicas share its key, so that any of them can serve.
type Signer struct {
	Base string // scheme and host that pods reach
	Key  []byte
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

// Transfer says how an artifact gets into a pod, by GET, or out of it, by PUT.
func (s *Signer) Transfer(method, namespace string, a v1alpha1.Artifact, expires time.Time) protocol.Transfer {
	t := protocol.Transfer{Name: a.Name, Path: a.Path, Optional: a.Optional}
	if a.Archive != nil {
		t.Plain, t.Zip = a.Archive.None != nil, a.Archive.Zip != nil
		if a.Archive.Tar != nil && a.Archive.Tar.CompressionLevel != nil {
			level := int(min(max(*a.Archive.Tar.CompressionLevel, 0), 9))
			t.Level = &level
		}
	}
	if store.External(a.ArtifactLocation) {
		t.Direct = !store.Relayed(a.ArtifactLocation)
		t.URL = s.grant(grant{Method: method, Namespace: namespace, Place: &a.ArtifactLocation,
			Expires: expires.Unix()})
		if a.Git != nil {
			t.Plain, t.Zip = false, false // it comes as an archive, whatever the manifest says
		}
		return t
	}
	t.URL = s.URL(method, store.ObjectName(namespace, a.S3.Key), expires)
	return t
}

// Input says how an artifact gets into a pod. An optional one that nobody supplied does not.
func (s *Signer) Input(namespace string, a v1alpha1.Artifact, expires time.Time) (t protocol.Transfer, supplied bool) {
	switch {
	case a.Raw != nil:
		t = protocol.Transfer{Name: a.Name, Raw: a.Raw.Data, Plain: true}
	case store.Supplied(a.ArtifactLocation):
		t = s.Transfer(http.MethodGet, namespace, a, expires)
	default:
		return t, false
	}
	t.Path, t.Mount, t.Optional = a.Name, a.Path, a.Optional
	t.Mode, t.Recurse, t.SubPath = a.Mode, a.RecurseMode, a.SubPath
	return t, true
}

// URLLifetime is how long a pod may take to use its URLs.
const URLLifetime = 7 * 24 * time.Hour

// grant is what a URL allows: one method on one object of the built-in store, or to ask for URLs for one place.
type grant struct {
	Method    string                     `json:"m"`
	Object    string                     `json:"o,omitempty"`
	Expires   int64                      `json:"e"`
	Namespace string                     `json:"n,omitempty"`
	Place     *v1alpha1.ArtifactLocation `json:"p,omitempty"`
	// the place is reached through this service, though its store could be reached
	Relay bool `json:"r,omitempty"`
}
