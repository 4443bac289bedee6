package source

import (
	"context"

	"github.com/argosy-mesh/argosy/libs/gitrepo"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// git reads one file of a repository, without a folder of its own: cloneDirectory of the manifest is not needed. Names
// of hosts mean what they mean in the Sensor's namespace.
func (f *Fetcher) git(ctx context.Context, namespace string, l *v1alpha1.EventArtifactLocation) ([]byte, error) {
	g := l.Git
	s := gitrepo.Source{Repo: g.URL, SkipHostKey: g.InsecureIgnoreHostKey, Namespace: namespace}
	if g.Remote != nil && len(g.Remote.URLs) > 0 {
		s.Repo = g.Remote.URLs[0]
	}
	if err := f.gitAuth(ctx, namespace, g, &s); err != nil {
		return nil, err
	}
	return f.repositories.File(ctx, s, revision(g), g.FilePath, maxManifest)
}

// revision is what to read: branch, else tag, else ref, else what HEAD of the remote is.
func revision(g *v1alpha1.EventGitArtifact) string {
	switch {
	case g.Branch != "":
		return "refs/heads/" + g.Branch
	case g.Tag != "":
		return "refs/tags/" + g.Tag
	}
	return g.Ref
}

// gitAuth says how the repository lets us in.
func (f *Fetcher) gitAuth(
	ctx context.Context, namespace string, g *v1alpha1.EventGitArtifact, s *gitrepo.Source,
) (err error) {
	switch {
	case g.SshKeySecret != nil:
		s.Key, err = f.values.Value(ctx, namespace, g.SshKeySecret)
	case g.GithubApp != nil:
		s.User = "x-access-token"
		s.Password, err = f.appToken(ctx, namespace, g)
	case g.Creds != nil:
		if s.User, err = f.values.Value(ctx, namespace, g.Creds.Username); err == nil {
			s.Password, err = f.values.Value(ctx, namespace, g.Creds.Password)
		}
	}
	return err
}
