// Package source resolves what an Application says of its source to a commit and renders it, with the credentials of
// the repository.
package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/push"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/render"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source/git"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// secretLabel marks the Secrets that describe repositories.
const secretLabel = "argocd.argoproj.io/secret-type" //nolint:gosec // the name of a label

// secretMemory is how long credentials are remembered: rotation needs no restart.
const secretMemory = 15 * time.Second

// repoCredentials finds the credentials of repositories.
type repoCredentials struct {
	reader    client.Reader // not cached
	namespace string
	mu        sync.Mutex
	at        time.Time
	known     []corev1.Secret
}

// credentials of the secret for exactly this repository, or of the longest
// matching prefix among the credential templates.
func (v *repoCredentials) credentials(ctx context.Context, location string) (git.Credentials, error) {
	secrets, err := v.list(ctx)
	if err != nil {
		return git.Credentials{}, err
	}
	want, best, found := push.NormalURL(location), -1, git.Credentials{}
	for i := range secrets {
		s := &secrets[i]
		at := push.NormalURL(string(s.Data["url"]))
		exact := s.Labels[secretLabel] == "repository" && at == want
		prefix := s.Labels[secretLabel] == "repo-creds" && strings.HasPrefix(want, at)
		if length := len(at); (exact || prefix) && (exact || length > best) {
			best, found = length, git.Credentials{
				Username: string(s.Data["username"]), Password: string(s.Data["password"]),
			}
		}
		if exact && found.Password != "" {
			return found, nil
		}
	}
	return found, nil
}

func (v *repoCredentials) list(ctx context.Context) ([]corev1.Secret, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if time.Since(v.at) < secretMemory {
		return v.known, nil
	}
	var list corev1.SecretList
	if err := v.reader.List(ctx, &list, client.InNamespace(v.namespace), client.HasLabels{secretLabel}); err != nil {
		return nil, fmt.Errorf("list repository secrets in %s: %w", v.namespace, err)
	}
	v.known, v.at = list.Items, time.Now()
	return v.known, nil
}

// Sources resolves and renders.
type Sources struct {
	mirrors         *git.Store
	renderer        *render.Renderer
	repoCredentials *repoCredentials
}

// Rendered is what a source is at one commit.
type Rendered struct {
	Revision  string
	commit    git.Commit
	Lineage   lineage.Lineage // of the commit's message
	Manifests render.Manifests
}

// New returns the sources of mirrors, with the credentials that Secrets of a namespace hold.
func New(mirrors *git.Store, renderer *render.Renderer, secrets client.Reader, namespace string) *Sources {
	return &Sources{
		mirrors:         mirrors,
		renderer:        renderer,
		repoCredentials: &repoCredentials{reader: secrets, namespace: namespace},
	}
}

// Mirror returns the mirror of a repository, with its credentials.
func (s *Sources) Mirror(ctx context.Context, location string) (*git.Mirror, error) {
	creds, err := s.repoCredentials.credentials(ctx, location)
	if err != nil {
		return nil, err
	}
	return s.mirrors.Mirror(ctx, location, creds)
}

// At renders a source as it is now. known is the last answer; when the commit and
// the source are the same, it still holds.
func (s *Sources) At(
	ctx context.Context, source v1alpha1.ApplicationSource, want git.Want, known *Memory,
) (*Rendered, error) {
	spec, err := json.Marshal(source)
	if err != nil {
		return nil, fmt.Errorf("encode source: %w", err)
	}
	m, err := s.Mirror(ctx, source.RepoURL)
	if err != nil {
		return nil, err
	}
	want.Since = known.notBefore(want.Since, string(spec))
	sha, err := m.Resolve(ctx, source.TargetRevision, want)
	if err != nil {
		return nil, err
	}
	if known.rendered != nil && known.rendered.Revision == sha && known.source == string(spec) {
		return known.rendered, nil
	}
	commit, err := m.Describe(ctx, sha, source.Path)
	if err != nil {
		return nil, err
	}
	made, err := s.renderer.Render(ctx, m, render.Input{Source: source, Dir: commit.Tree, Root: commit.Root})
	if err != nil {
		return nil, err
	}
	c := &Rendered{Revision: sha, commit: commit, Lineage: lineage.FromMessage(commit.Message), Manifests: made}
	known.rendered, known.source = c, string(spec)
	return c, nil
}

// Memory is the last answer about one application.
type Memory struct {
	since    time.Time // when this process met the application
	rendered *Rendered
	source   string // that rendered is of
}

// NewMemory returns the memory of an application that is met now.
func NewMemory(now time.Time) Memory { return Memory{since: now} }

// Forget drops the last answer: the next one is made anew.
func (k *Memory) Forget() { k.rendered = nil }

// notBefore is how old an answer of Git may be: pushes that nobody followed yet told
// nobody, so an answer from before a source was followed is none.
func (k *Memory) notBefore(limit time.Time, source string) time.Time {
	since := k.since
	if k.rendered != nil && k.source != source {
		since = time.Now()
	}
	if since.After(limit) {
		return since
	}
	return limit
}

// Of returns the one source of an application.
func Of(spec v1alpha1.ApplicationSpec) (v1alpha1.ApplicationSource, error) {
	switch {
	case spec.SourceHydrator != nil:
		return v1alpha1.ApplicationSource{}, errors.New("spec.sourceHydrator is not supported by this version")
	case len(spec.Sources) > 1:
		return v1alpha1.ApplicationSource{}, errors.New(
			"spec.sources: more than one source is not supported by this version",
		)
	case len(spec.Sources) == 1:
		return spec.Sources[0], nil
	case spec.Source == nil || spec.Source.RepoURL == "":
		return v1alpha1.ApplicationSource{}, errors.New("spec.source.repoURL is missing")
	}
	return *spec.Source, nil
}
