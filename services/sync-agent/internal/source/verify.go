package source

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/project"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/render"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/signature"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source/git"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// keysMap is the ConfigMap of the public keys that commits may be signed with, each under its id. Source: Argo CD.
const keysMap = "argocd-gpg-keys-cm"

// sealTrailer, in the message of a signed commit, says that its signer stands in for all that was before it. Source:
// Argo CD's strict mode.
const sealTrailer = "Argocd-gpg-seal:"

// signersKnown bounds how many commits are remembered with who signed them.
const signersKnown = 1 << 16

// verifier finds out whether commits are signed as projects ask. Safe for concurrent use.
type verifier struct {
	reader    client.Reader // not cached
	namespace string

	mu   sync.Mutex
	at   time.Time
	keys *signature.Keyring
	// signers are the fingerprints of who signed an object with a good signature, nil for nobody, by keyring and
	// object.
	signers *lru.Cache[string, signer]
}

type signer struct {
	fingerprints []string
	err          error
}

func newVerifier(reader client.Reader, namespace string) *verifier {
	signers, _ := lru.New[string, signer](signersKnown) // fails for no size alone
	return &verifier{reader: reader, namespace: namespace, signers: signers}
}

// keyring returns the keys that are trusted now. Keys that cannot be read now are those that were read last.
func (v *verifier) keyring(ctx context.Context) (*signature.Keyring, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.keys != nil && time.Since(v.at) < secretMemory {
		return v.keys, nil
	}
	var m corev1.ConfigMap
	err := v.reader.Get(ctx, client.ObjectKey{Namespace: v.namespace, Name: keysMap}, &m)
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("read ConfigMap %s/%s: %w", v.namespace, keysMap, err)
	}
	if next := signature.NewKeyring(m.Data); v.keys == nil || v.keys.ID != next.ID {
		v.keys = next
	}
	v.at = time.Now()
	return v.keys, nil
}

// trust is what the answer about sources depends on beside them, nil where no signature is asked for.
func (s *Sources) trust(ctx context.Context, q Request) (any, error) {
	if q.Verifications == nil {
		return nil, nil //nolint:nilnil // nothing
	}
	asked := map[string][]project.Verification{}
	for _, source := range q.Sources {
		if v := q.Verifications(source.RepoURL); len(v) > 0 && fromGit(source) {
			asked[source.RepoURL] = v
		}
	}
	if len(asked) == 0 {
		return nil, nil //nolint:nilnil // nothing
	}
	keys, err := s.verifier.keyring(ctx)
	if err != nil {
		return nil, err
	}
	return []any{keys.ID, asked}, nil
}

// Signed is a commit that must be signed.
type Signed struct {
	Repository, Revision, TagPrefix, Commit string
	By                                      []project.Verification // all of which must hold
}

// verify asks of a commit what a request says of its repository.
func (s *Sources) verify(ctx context.Context, q Request, m *git.Mirror, what Signed) error {
	if q.Verifications == nil {
		return nil
	}
	what.By = q.Verifications(what.Repository)
	return s.Verify(ctx, m, what)
}

// Verify says why a commit of a mirror must not be used, nil when it may: only another commit, or another policy, heals
// that.
func (s *Sources) Verify(ctx context.Context, m *git.Mirror, what Signed) error {
	for _, asked := range what.By {
		keys, err := s.verifier.keyring(ctx)
		if err != nil {
			return err
		}
		c := check{verifier: s.verifier, keys: keys, asked: asked, mirror: m}
		if err := c.target(ctx, what); err != nil {
			return fmt.Errorf("%w: repository %s: %w", render.ErrSource, what.Repository, err)
		}
	}
	return nil
}

// check is one verification of a mirror.
type check struct {
	*verifier
	keys   *signature.Keyring
	asked  project.Verification
	mirror *git.Mirror
}

func (c check) target(ctx context.Context, at Signed) error {
	tag, err := c.mirror.Tag(ctx, at.Revision, git.Want{TagPrefix: at.TagPrefix})
	if err != nil {
		return err
	}
	if tag != nil {
		if tag.Object() != at.Commit {
			return fmt.Errorf("tag %s does not name commit %s itself, or not any more", at.Revision, at.Commit)
		}
		if err := c.object("tag "+at.Revision, *tag); err != nil {
			return err
		}
	}
	if tag != nil && c.asked.Mode == project.ModeHead {
		return nil
	}
	commits, err := c.mirror.Commits(ctx, []string{at.Commit})
	if err != nil {
		return err
	}
	if len(commits) == 0 {
		return fmt.Errorf("commit %s is not there", at.Commit)
	}
	if err := c.object("commit "+at.Commit, commits[0]); err != nil || c.asked.Mode == project.ModeHead {
		return err
	}
	return c.history(ctx, commits[0])
}

// object says why a tag or a commit is not signed as it should be.
func (c check) object(name string, o git.Signed) error {
	id := c.keys.ID + "/" + o.ID
	known, is := c.signers.Get(id)
	if !is {
		known.fingerprints, known.err = c.keys.Signer(o.Kind, o.Data)
		c.signers.Add(id, known)
	}
	if known.err != nil {
		return fmt.Errorf(
			"%s: %w; the project demands the signature of one of the keys %s%s", name, known.err,
			strings.Join(c.asked.Keys, ", "), c.unread(),
		)
	}
	for _, key := range c.asked.Keys {
		if signature.Matches(key, known.fingerprints) {
			return nil
		}
	}
	return fmt.Errorf(
		"%s is signed by key %s; the project demands one of the keys %s", name, known.fingerprints[0],
		strings.Join(c.asked.Keys, ", "),
	)
}

// unread says which of the keys that are there cannot be read: the one that is asked for may be among them.
func (c check) unread() string {
	if len(c.keys.Problems()) == 0 {
		return ""
	}
	return fmt.Sprintf("; ConfigMap %s: %v", keysMap, errors.Join(c.keys.Problems()...))
}

// history walks all commits before one, up to those that are sealed.
func (c check) history(ctx context.Context, first git.Signed) error {
	seen := map[string]bool{first.ID: true}
	level, fetched := []git.Signed{first}, false
	for len(level) > 0 {
		var next []string
		for _, o := range level {
			if sealed(o) {
				continue
			}
			for _, id := range o.Parents() {
				if !seen[id] {
					seen[id], next = true, append(next, id)
				}
			}
		}
		if len(seen) > git.MaxAncestors {
			return fmt.Errorf(
				"commit %s has over %d commits before it; have one of them sealed (%s), or verify the head alone",
				first.ID,
				git.MaxAncestors,
				sealTrailer,
			)
		}
		if len(next) == 0 {
			return nil
		}
		found, err := c.mirror.Commits(ctx, next)
		if err == nil && len(found) < len(next) && !fetched {
			fetched = true
			if err = c.mirror.FetchHistory(ctx, first.ID); err == nil {
				found, err = c.mirror.Commits(ctx, next)
			}
		}
		if err != nil {
			return err
		}
		if len(found) < len(next) {
			return errors.New("the history before commit " + first.ID + " is not to be had")
		}
		for _, o := range found {
			if err := c.object("commit "+o.ID, o); err != nil {
				return err
			}
		}
		level = found
	}
	return nil
}

// sealed reports whether the signer of a commit stands in for what was before it.
func sealed(o git.Signed) bool {
	for line := range strings.Lines(o.Message()) {
		if strings.HasPrefix(line, sealTrailer) {
			return true
		}
	}
	return false
}
