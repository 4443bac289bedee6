package source

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/render"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source/git"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source/helmrepo"
)

// resolved is a source at one revision.
type resolved struct {
	source   v1alpha1.ApplicationSource
	revision string
	version  string
	message  string // of the commit
	tree     render.Tree
	root     string
	dir      string // tree of the source's path
}

// resolve finds out at which revisions the sources are now.
func (s *Sources) resolve(ctx context.Context, q Request) ([]*resolved, error) {
	var out []*resolved
	for i := range q.Sources {
		source := q.at(i)
		if err := q.permit(source.RepoURL); err != nil {
			return nil, named(i, len(q.Sources), err)
		}
		find := s.commit
		switch {
		case source.Chart != "":
			find = s.chart
		case !fromGit(source):
			find = s.artifact
		}
		found, err := find(ctx, q, source)
		if err != nil {
			return nil, named(i, len(q.Sources), err)
		}
		found.source = source
		// What the source targets is what people wrote, also when a revision is pinned: templates may show it.
		found.source.TargetRevision = q.Sources[i].TargetRevision
		out = append(out, found)
	}
	return out, nil
}

func (q Request) permit(repository string) error {
	if q.Permitted == nil {
		return nil
	}
	if err := q.Permitted(repository); err != nil {
		return fmt.Errorf("%w: %w", render.ErrSource, err)
	}
	return nil
}

func (q Request) forbids(repository string) bool { return q.permit(repository) != nil }

// at is a source at the revision that is wanted.
func (q Request) at(i int) v1alpha1.ApplicationSource {
	source := q.Sources[i]
	if i < len(q.Revisions) && q.Revisions[i] != "" {
		source.TargetRevision = q.Revisions[i]
	}
	return source
}

func fromGit(s v1alpha1.ApplicationSource) bool {
	return s.Chart == "" && !strings.HasPrefix(s.RepoURL, "oci://")
}

// head is the commit that a source in Git is at.
func (s *Sources) head(
	ctx context.Context, q Request, source v1alpha1.ApplicationSource,
) (string, *git.Mirror, error) {
	m, err := s.mirror(ctx, source.RepoURL, q.App.Project)
	if err != nil {
		return "", nil, err
	}
	want := q.Want
	want.TagPrefix = source.TagPrefix
	sha, err := m.Resolve(ctx, source.TargetRevision, want)
	return sha, m, err
}

// commit resolves a source in Git.
func (s *Sources) commit(ctx context.Context, q Request, source v1alpha1.ApplicationSource) (*resolved, error) {
	sha, m, err := s.head(ctx, q, source)
	if err != nil {
		return nil, err
	}
	if err := s.verify(ctx, q, m, Signed{
		Repository: source.RepoURL, Revision: source.TargetRevision, TagPrefix: source.TagPrefix, Commit: sha,
	}); err != nil {
		return nil, err
	}
	tree, c, err := s.compose(ctx, q, m, sha, source.Path)
	if err != nil {
		return nil, err
	}
	return &resolved{revision: sha, message: c.Message, tree: tree, root: c.Root, dir: c.Tree}, nil
}

// chart resolves a chart of a Helm repository.
func (s *Sources) chart(ctx context.Context, q Request, source v1alpha1.ApplicationSource) (*resolved, error) {
	data, version, err := s.fetchChart(
		ctx, q, render.ChartRef{
			Repo: source.RepoURL, Name: source.Chart, Version: source.TargetRevision,
			PassCredentials: source.Helm != nil && source.Helm.PassCredentials,
		},
	)
	if err != nil {
		return nil, err
	}
	files, err := render.Unpack(data, true)
	if err != nil {
		return nil, fmt.Errorf("%w: chart %q %s: %w", render.ErrSource, source.Chart, version, err)
	}
	m := render.NewMemory(files)
	return &resolved{revision: version, tree: m, root: m.Root, dir: m.Root}, nil
}

// fetchChart fetches a chart with the credentials of its repository.
func (s *Sources) fetchChart(ctx context.Context, q Request, c render.ChartRef) ([]byte, string, error) {
	r, err := s.repositories.find(ctx, c.Repo, q.App.Project)
	if err != nil {
		return nil, "", err
	}
	a, err := s.access(ctx, r)
	if err != nil {
		return nil, "", err
	}
	a.PassCredentials = c.PassCredentials
	repo := c.Repo
	if !strings.Contains(repo, "://") {
		// Upstream: a Helm repository without a scheme is a registry.
		repo = "oci://" + repo
	}
	data, version, err := s.charts.Fetch(ctx, repo, c.Name, c.Version, q.Want.Since, a)
	return data, version, sourceFault(err)
}

// artifact resolves an OCI artifact: the files of its one layer.
func (s *Sources) artifact(ctx context.Context, q Request, source v1alpha1.ApplicationSource) (*resolved, error) {
	r, err := s.repositories.find(ctx, source.RepoURL, q.App.Project)
	if err != nil {
		return nil, err
	}
	a, err := s.access(ctx, r)
	if err != nil {
		return nil, err
	}
	found, err := s.charts.Artifact(
		ctx, strings.TrimPrefix(source.RepoURL, "oci://"), source.TargetRevision, q.Want.Since, a,
	)
	if err != nil {
		return nil, sourceFault(err)
	}
	unpack := render.UnpackTar
	if found.Zipped {
		unpack = func(data []byte) (map[string][]byte, error) { return render.Unpack(data, false) }
	}
	files, err := unpack(found.Data)
	if err != nil {
		return nil, fmt.Errorf("%w: artifact %s: %w", render.ErrSource, source.RepoURL, err)
	}
	m := render.NewMemory(files)
	dir, ok := m.Sub(source.Path)
	if !ok {
		return nil, fmt.Errorf("artifact %s: path %q: %w", source.RepoURL, source.Path, git.ErrNoPath)
	}
	return &resolved{revision: found.Digest, version: found.Version, tree: m, root: m.Root, dir: dir}, nil
}

// access is how a Helm repository or a registry is reached.
func (s *Sources) access(ctx context.Context, r repository) (helmrepo.Access, error) {
	t, err := r.transport()
	if err != nil {
		return helmrepo.Access{}, err
	}
	creds, err := r.git(ctx, s.tokens)
	if err != nil {
		return helmrepo.Access{}, err
	}
	host, _, _ := strings.Cut(strings.TrimPrefix(r.URL, "oci://"), "/")
	return helmrepo.Access{
		Transport: t, Username: creds.Username, Password: creds.Password, BearerToken: creds.BearerToken,
		PlainHTTP: r.PlainHTTP || s.insecure[host],
	}, nil
}

// sourceFault marks what only another spec or repository heals.
func sourceFault(err error) error {
	if err == nil {
		return nil
	}
	status, ok := errors.AsType[helmrepo.StatusError](err)
	if errors.Is(err, helmrepo.ErrNoVersion) || errors.Is(err, render.ErrLimit) ||
		(ok && (status.Code == http.StatusNotFound || status.Code == http.StatusForbidden ||
			status.Code == http.StatusUnauthorized)) {
		return fmt.Errorf("%w: %w", render.ErrSource, err)
	}
	return err
}

// remote brings what is outside of the sources of a request.
func (s *Sources) remote(q Request) render.Remote { return remote{s: s, q: q} }

type remote struct {
	s *Sources
	q Request
}

// floating is how old an answer may be about something whose name may come to mean something else.
const floating = 3 * time.Minute

// Chart fetches a dependency.
func (r remote) Chart(ctx context.Context, c render.ChartRef) ([]byte, string, error) {
	for _, alias := range []string{"@", "alias:"} {
		name, ok := strings.CutPrefix(c.Repo, alias)
		if !ok {
			continue
		}
		location, err := r.s.repositories.named(ctx, name, r.q.App.Project)
		if err != nil {
			return nil, "", fmt.Errorf("%w: %w", render.ErrSource, err)
		}
		c.Repo = location
	}
	if err := r.q.permit(c.Repo); err != nil {
		return nil, "", err
	}
	return r.s.fetchChart(ctx, r.q, c)
}

// Document fetches a file of values.
func (r remote) Document(ctx context.Context, location string) ([]byte, error) {
	if err := r.q.permit(location); err != nil {
		return nil, err
	}
	known, err := r.s.repositories.find(ctx, location, r.q.App.Project)
	if err != nil {
		return nil, err
	}
	a, err := r.s.access(ctx, known)
	if err != nil {
		return nil, err
	}
	data, err := r.s.charts.Document(ctx, location, a)
	return data, sourceFault(err)
}

// Repository resolves a remote base.
func (r remote) Repository(ctx context.Context, what render.Repository) (render.Tree, string, error) {
	if err := r.q.permit(what.URL); err != nil {
		return nil, "", err
	}
	m, err := r.s.mirror(ctx, what.URL, r.q.App.Project)
	if err != nil {
		return nil, "", err
	}
	sha, err := m.Resolve(ctx, what.Revision, git.Want{Since: time.Now().Add(-floating)})
	if errors.Is(err, git.ErrNoRevision) {
		return nil, "", fmt.Errorf("%w: %w", render.ErrSource, err)
	}
	if err != nil {
		return nil, "", err
	}
	if err := r.s.verify(ctx, r.q, m, Signed{Repository: what.URL, Revision: what.Revision, Commit: sha}); err != nil {
		return nil, "", err
	}
	tree, c, err := r.s.compose(ctx, r.q, m, sha, "")
	return tree, c.Root, err
}
