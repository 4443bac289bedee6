package generator

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/appset"
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
	return treeOf(ctx, m, sha, spec)
})

// treeOf reads the paths of a commit, and the files that the generator wants.
func treeOf(ctx context.Context, m *git.Mirror, sha string, spec *v1alpha1.GitGenerator) (appset.Tree, error) {
	commit, err := m.Describe(ctx, sha, "")
	if err != nil {
		return appset.Tree{}, err
	}
	var out appset.Tree
	out.Files, err = m.Files(ctx, commit.Root, func(name string) bool {
		if len(spec.Directories) > 0 {
			out.Paths = append(out.Paths, name)
		}
		return appset.WantsFile(spec, name)
	})
	return out, err
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
