package generator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/appset"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/projects"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/render"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source/git"
)

var gitKind = answering("git", func(
	g *Generators, ctx context.Context, by Asker, spec *v1alpha1.GitGenerator,
) (appset.Tree, error) {
	if spec.RepoURL == "" {
		return appset.Tree{}, errors.New("repoURL is missing")
	}
	if err := g.mayRead(ctx, by, spec.RepoURL); err != nil {
		return appset.Tree{}, err
	}
	m, err := g.Sources.Mirror(ctx, spec.RepoURL)
	if err != nil {
		return appset.Tree{}, err
	}
	sha, err := m.Resolve(ctx, spec.Revision, git.Want{Since: by.Since})
	if err != nil {
		return appset.Tree{}, err
	}
	if err := g.verify(ctx, by, m, spec, sha); err != nil {
		return appset.Tree{}, err
	}
	return treeOf(ctx, m, sha, spec)
})

// verify asks of the commits of a generator what the project of its Applications asks of theirs. A project that is a
// template is known for each Application alone, which is verified as every other.
func (g *Generators) verify(
	ctx context.Context, by Asker, m *git.Mirror, spec *v1alpha1.GitGenerator, sha string,
) error {
	if strings.Contains(by.Project, "{{") {
		return nil
	}
	found, _, err := g.Projects.Get(ctx, by.Project)
	if errors.Is(err, projects.ErrUnknown) {
		return nil // its Applications say so
	}
	if err != nil {
		return err
	}
	return g.Sources.Verify(ctx, m, source.Signed{
		Repository: spec.RepoURL, Revision: spec.Revision, Commit: sha, By: found.Verifications(spec.RepoURL),
	})
}

// treeOf reads the paths of a commit, and the files that the generator wants.
func treeOf(ctx context.Context, m *git.Mirror, sha string, spec *v1alpha1.GitGenerator) (appset.Tree, error) {
	commit, err := m.Describe(ctx, sha, "")
	if err != nil {
		return appset.Tree{}, err
	}
	listing, err := m.List(ctx, commit.Root)
	if err != nil {
		return appset.Tree{}, err
	}
	out := appset.Tree{Files: map[string][]byte{}}
	wanted := map[string]render.Entry{}
	for name, e := range listing {
		if e.Kind != render.File && e.Kind != render.Link {
			continue
		}
		if len(spec.Directories) > 0 {
			out.Paths = append(out.Paths, name)
		}
		if !appset.WantsFile(spec, name) {
			continue
		}
		if e, err = follow(ctx, m, listing, name); err != nil {
			return out, err
		}
		if e.Kind == render.File {
			wanted[name] = e
		}
	}
	contents, err := m.Blobs(ctx, slices.Collect(maps.Values(wanted)))
	if err != nil {
		return out, fmt.Errorf("read files of %s: %w", sha, err)
	}
	for name, e := range wanted {
		out.Files[name] = contents[e.ID]
	}
	return out, nil
}

// maxLinks is how many links one path may lead through.
const maxLinks = 40

// follow finds what a path is once its links are followed, which must not leave the tree.
func follow(ctx context.Context, m *git.Mirror, all render.Listing, name string) (render.Entry, error) {
	e := all[name]
	for range maxLinks {
		if e.Kind != render.Link {
			return e, nil
		}
		target, err := m.Blobs(ctx, []render.Entry{e})
		if err != nil {
			return e, fmt.Errorf("read link %s: %w", name, err)
		}
		to := path.Join(path.Dir(name), string(target[e.ID]))
		if path.IsAbs(string(target[e.ID])) || to == ".." || strings.HasPrefix(to, "../") {
			return e, fmt.Errorf("link %s points out of the repository", name)
		}
		name, e = to, all[to]
	}
	return e, fmt.Errorf("link %s leads through more than %d links", name, maxLinks)
}

// mayRead refuses repositories that the project of a set does not permit, where not everybody who may write an
// ApplicationSet may see all that the installation's credentials open: outside the control namespace.
func (g *Generators) mayRead(ctx context.Context, by Asker, repository string) error {
	if by.Namespace == g.Control {
		return nil
	}
	if strings.Contains(by.Project, "{{") {
		return fmt.Errorf(
			"spec.template.spec.project is a template: outside namespace %s it must name the project that permits %s",
			g.Control, repository)
	}
	reason, err := g.Projects.Repository(ctx, by.Namespace, by.Project, repository)
	if err != nil {
		return err
	}
	if reason != "" {
		return fmt.Errorf("repository %s: %s", repository, reason)
	}
	return nil
}
