package gitrepo

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// wanted is what the ref of a fetch is called here.
const wanted = plumbing.ReferenceName("refs/argosy/wanted")

// File returns one file of a repository as it is now at ref, the full name of a reference or a commit; "" is what HEAD
// of the repository is. One commit is fetched, with nothing checked out; Revision, Branch, Depth and Fetch of s are not
// looked at. most bounds the file, in bytes.
func (f *Fetcher) File(ctx context.Context, s Source, ref, name string, most int64) ([]byte, error) {
	limit := f.config.Limits.Time
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fault.Poisonf("it takes longer than %s", limit))
	defer cancel()
	leave, err := f.enter(ctx, s.Namespace)
	if err != nil {
		return nil, err
	}
	defer leave()
	dir, err := os.MkdirTemp(f.config.Dir, "checkout-*")
	if err != nil {
		return nil, fmt.Errorf("make a folder for a commit: %w", err)
	}
	defer os.RemoveAll(dir)
	commit, err := f.commit(ctx, dir, s, ref)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, err
	}
	return fileOf(commit, name, most)
}

func (f *Fetcher) commit(ctx context.Context, dir string, s Source, ref string) (*object.Commit, error) {
	end, err := f.endpoint(ctx, s.Namespace, s.Repo)
	if err != nil {
		return nil, err
	}
	auth, err := f.auth(end, s)
	if err != nil {
		return nil, err
	}
	ctx = withDial(ctx, f.dial(s.Namespace))
	dot := bound(osfs.New(dir, osfs.WithBoundOS()), f.config.Limits)
	store := filesystem.NewStorageWithOptions(
		dot, cache.NewObjectLRU(objectCache), filesystem.Options{LargeObjectThreshold: largeObject},
	)
	repository, err := git.Init(store, nil)
	if err != nil {
		return nil, fmt.Errorf("git: make a repository: %w", err)
	}
	if err := fetchOne(ctx, repository, s, ref, auth); err != nil {
		return nil, classed("fetch", end, err)
	}
	hash, err := repository.ResolveRevision(plumbing.Revision(wanted))
	if err != nil {
		return nil, fault.Poisonf("git: %q of %s is no commit", ref, end.Host+end.Path)
	}
	return repository.CommitObject(*hash)
}

func fetchOne(ctx context.Context, repository *git.Repository, s Source, ref string, auth transport.AuthMethod) error {
	if ref == "" {
		ref = plumbing.HEAD.String()
	}
	spec := config.RefSpec("+" + ref + ":" + wanted.String())
	if plumbing.IsHash(ref) {
		spec = config.RefSpec(ref + ":" + wanted.String())
	}
	if err := spec.Validate(); err != nil {
		return fault.Poisonf("%q is no reference: %w", ref, err)
	}
	remote, err := repository.CreateRemote(&config.RemoteConfig{Name: git.DefaultRemoteName, URLs: []string{s.Repo}})
	if err != nil {
		return fault.AsPoison(err)
	}
	return remote.FetchContext(ctx, &git.FetchOptions{
		RefSpecs: []config.RefSpec{spec}, Depth: 1, Auth: auth, Tags: git.NoTags, InsecureSkipTLS: s.SkipTLS,
	})
}

func fileOf(commit *object.Commit, name string, most int64) ([]byte, error) {
	file, err := commit.File(path.Clean(strings.TrimPrefix(name, "/")))
	if err != nil {
		return nil, fmt.Errorf("%s at %s: %w", name, commit.Hash, err)
	}
	if file.Size > most {
		return nil, fault.Poisonf("%s at %s: more than %d bytes", name, commit.Hash, most)
	}
	r, err := file.Reader()
	if err != nil {
		return nil, fmt.Errorf("%s at %s: %w", name, commit.Hash, err)
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, most))
	if err != nil {
		return nil, fmt.Errorf("%s at %s: %w", name, commit.Hash, err)
	}
	return text, nil
}
