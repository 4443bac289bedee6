package source

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/plumbing/transport/http"
	"github.com/go-git/go-git/v5/plumbing/transport/ssh"
	"github.com/go-git/go-git/v5/storage/memory"
	gossh "golang.org/x/crypto/ssh"
)

// git reads one file of a repository, without a folder of its own: cloneDirectory of
// the manifest is not needed. One commit is fetched.
func (f *Fetcher) git(ctx context.Context, namespace string, l *v1alpha1.EventArtifactLocation) ([]byte, error) {
	g := l.Git
	auth, err := f.gitAuth(ctx, namespace, g)
	if err != nil {
		return nil, err
	}
	commit, err := fetchCommit(ctx, g, auth)
	if err != nil {
		return nil, err
	}
	file, err := commit.File(path.Clean(strings.TrimPrefix(g.FilePath, "/")))
	if err != nil {
		return nil, fmt.Errorf("%s at %s: %w", g.FilePath, commit.Hash, err)
	}
	r, err := file.Reader()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return read(r)
}

// revision is what to check out: branch, else tag, else ref, else what HEAD of the
// remote is.
func revision(g *v1alpha1.EventGitArtifact) plumbing.ReferenceName {
	switch {
	case g.Branch != "":
		return plumbing.NewBranchReferenceName(g.Branch)
	case g.Tag != "":
		return plumbing.NewTagReferenceName(g.Tag)
	case g.Ref != "":
		return plumbing.ReferenceName(g.Ref)
	}
	return plumbing.HEAD
}

func fetchCommit(ctx context.Context, g *v1alpha1.EventGitArtifact, auth transport.AuthMethod) (*object.Commit, error) {
	store := memory.NewStorage()
	repository, err := git.Init(store, nil)
	if err != nil {
		return nil, err
	}
	url := g.URL
	if g.Remote != nil && len(g.Remote.URLs) > 0 {
		url = g.Remote.URLs[0]
	}
	remote, err := repository.CreateRemote(&config.RemoteConfig{Name: git.DefaultRemoteName, URLs: []string{url}})
	if err != nil {
		return nil, fault.AsPoison(err)
	}
	const local = plumbing.ReferenceName("refs/argosy/wanted")
	wanted := revision(g)
	spec := config.RefSpec("+" + wanted.String() + ":" + local.String())
	if plumbing.IsHash(wanted.String()) {
		spec = config.RefSpec(wanted.String() + ":" + local.String())
	}
	if err := spec.Validate(); err != nil {
		return nil, fault.Poisonf("ref %q: %w", wanted, err)
	}
	if err := remote.FetchContext(ctx, &git.FetchOptions{RefSpecs: []config.RefSpec{spec}, Depth: 1, Auth: auth, Tags: git.NoTags}); err != nil {
		return nil, fmt.Errorf("fetch %s: %w", wanted, err)
	}
	hash, err := repository.ResolveRevision(plumbing.Revision(local))
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", wanted, err)
	}
	return repository.CommitObject(*hash)
}

func (f *Fetcher) gitAuth(ctx context.Context, namespace string, g *v1alpha1.EventGitArtifact) (transport.AuthMethod, error) {
	if g.SshKeySecret != nil {
		return f.sshAuth(ctx, namespace, g)
	}
	if g.GithubApp != nil {
		return f.appAuth(ctx, namespace, g)
	}
	if g.Creds == nil {
		return nil, nil
	}
	user, err := f.values.Value(ctx, namespace, g.Creds.Username)
	if err != nil {
		return nil, err
	}
	password, err := f.values.Value(ctx, namespace, g.Creds.Password)
	if err != nil {
		return nil, err
	}
	return &http.BasicAuth{Username: user, Password: password}, nil
}

func (f *Fetcher) sshAuth(ctx context.Context, namespace string, g *v1alpha1.EventGitArtifact) (transport.AuthMethod, error) {
	key, err := f.values.Value(ctx, namespace, g.SshKeySecret)
	if err != nil {
		return nil, err
	}
	user := "git"
	if e, err := transport.NewEndpoint(g.URL); err == nil && e.User != "" {
		user = e.User
	}
	keys, err := ssh.NewPublicKeys(user, []byte(key), "")
	if err != nil {
		return nil, fault.Poisonf("sshKeySecret holds no private key that can be read")
	}
	if g.InsecureIgnoreHostKey {
		keys.HostKeyCallback = gossh.InsecureIgnoreHostKey() //nolint:gosec // the manifest asks for it
	}
	return keys, nil
}
