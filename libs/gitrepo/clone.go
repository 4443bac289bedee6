package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/httpx"
	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

const (
	// largeObject is the size from which an object is streamed rather than held in memory.
	largeObject = 1 << 20
	// objectCache bounds the objects of one fetch that are held in memory.
	objectCache = 32 * cache.MiByte
	// submoduleDepth bounds submodules of submodules, and submodules the number of all.
	submoduleDepth = 10
	submodules     = 200
)

// protocols are those that a repository may be fetched by. Local paths would be those of this process.
var protocols = map[string]string{"http": "80", "https": "443", "ssh": "22"}

// clone brings a repository to dir, at its revision, with its submodules. Source: Argo Workflows, the order of it.
func (f *Fetcher) clone(ctx context.Context, dir string, s Source) error {
	if s.Single && s.Branch == "" {
		return fault.Poisonf("singleBranch needs branch")
	}
	end, err := f.endpoint(ctx, s.Namespace, s.Repo)
	if err != nil {
		return err
	}
	auth, err := f.auth(end, s)
	if err != nil {
		return err
	}
	ctx = withDial(ctx, f.dial(s.Namespace))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make a folder for a checkout: %w", err)
	}
	tree := bound(osfs.New(dir, osfs.WithBoundOS()), f.config.Limits)
	dot, err := tree.Chroot(git.GitDirName)
	if err != nil {
		return fmt.Errorf("make a folder for a checkout: %w", err)
	}
	store := filesystem.NewStorageWithOptions(
		dot, cache.NewObjectLRU(objectCache), filesystem.Options{LargeObjectThreshold: largeObject},
	)
	options := &git.CloneOptions{
		URL: s.Repo, Auth: auth, Depth: s.Depth, SingleBranch: s.Single, InsecureSkipTLS: s.SkipTLS,
	}
	if s.Branch != "" {
		options.ReferenceName = plumbing.NewBranchReferenceName(s.Branch)
	}
	r, err := git.CloneContext(ctx, store, tree, options)
	if err != nil {
		return classed("clone", end, err)
	}
	if err := more(ctx, r, s, auth); err != nil {
		return classed("fetch", end, err)
	}
	if err := turn(r, s); err != nil {
		return err
	}
	if s.NoSubmodules {
		return nil
	}
	left := submodules
	return f.follow(
		ctx, r, branchOf{namespace: s.Namespace, host: end.Host, auth: auth, depth: submoduleDepth, left: &left},
	)
}

// endpoint reads the address of a repository and looks whether it may be reached.
func (f *Fetcher) endpoint(ctx context.Context, namespace, repo string) (*transport.Endpoint, error) {
	end, err := transport.NewEndpoint(repo)
	if err != nil {
		return nil, fault.Poisonf("git: the address of the repository cannot be read")
	}
	port, ok := protocols[end.Protocol]
	if !ok {
		return nil, fault.Poisonf(
			"git: %q is no address that can be fetched from; http, https and ssh are", redacted(repo),
		)
	}
	if end.Port > 0 {
		port = strconv.Itoa(end.Port)
	}
	dial := f.dial(namespace)
	if dial == nil {
		return end, nil
	}
	conn, err := dial(ctx, "tcp", net.JoinHostPort(strings.Trim(end.Host, "[]"), port))
	if err != nil {
		return nil, fmt.Errorf("git: reach %s: %w", end.Host, err)
	}
	return end, conn.Close()
}

// dial connects as pods of a namespace do; nil connects as usual.
func (f *Fetcher) dial(namespace string) dialer {
	if f.config.Dial == nil && namespace == "" {
		return nil
	}
	return dialer(httpx.Within(namespace, f.config.Dial))
}

// redacted is an address without what it may hold of credentials.
func redacted(repo string) string {
	u, err := url.Parse(repo)
	if err != nil {
		return "(an address)"
	}
	u.User = nil
	return u.String()
}

// more fetches the refspecs that a manifest asks for besides.
func more(ctx context.Context, r *git.Repository, s Source, auth transport.AuthMethod) error {
	if len(s.Fetch) == 0 {
		return nil
	}
	var specs []config.RefSpec
	for _, text := range s.Fetch {
		spec := config.RefSpec(text)
		if err := spec.Validate(); err != nil {
			return fault.Poisonf("%q is no refspec: %w", text, err)
		}
		specs = append(specs, spec)
	}
	err := r.FetchContext(
		ctx, &git.FetchOptions{RefSpecs: specs, Auth: auth, Depth: s.Depth, InsecureSkipTLS: s.SkipTLS},
	)
	if errors.Is(err, git.NoErrAlreadyUpToDate) {
		return nil
	}
	return err
}

// turn checks the revision out: a branch as a branch, all others as a detached head.
func turn(r *git.Repository, s Source) error {
	if s.Revision == "" {
		return nil
	}
	tree, err := r.Worktree()
	if err != nil {
		return fmt.Errorf("git: open the checkout: %w", err)
	}
	hash, local, err := find(r, s.Revision)
	if err != nil {
		hint := ""
		if s.Depth > 0 || s.Single {
			hint = "; depth and singleBranch keep others from being fetched"
		}
		return fault.Poisonf("git: the repository has no revision %q%s", s.Revision, hint)
	}
	options := &git.CheckoutOptions{Hash: hash, Force: true}
	if local != "" {
		options.Branch = local
		_, err := r.Reference(local, false)
		if options.Create = err != nil; err == nil {
			options.Hash = plumbing.ZeroHash
		}
	}
	if err := tree.Checkout(options); err != nil {
		return limited("git: check out "+s.Revision, err)
	}
	return nil
}

// find resolves a revision; a branch of the remote comes with the name that it has here.
func find(r *git.Repository, revision string) (plumbing.Hash, plumbing.ReferenceName, error) {
	remote := plumbing.NewRemoteReferenceName(git.DefaultRemoteName, revision)
	if ref, err := r.Reference(remote, true); err == nil {
		return ref.Hash(), plumbing.NewBranchReferenceName(revision), nil
	}
	hash, err := r.ResolveRevision(plumbing.Revision(revision))
	if err != nil {
		// One that begins with a branch, such as dev~1.
		if hash, err = r.ResolveRevision(plumbing.Revision(git.DefaultRemoteName + "/" + revision)); err != nil {
			return plumbing.ZeroHash, "", err
		}
	}
	return *hash, "", nil
}

// branchOf is where submodules are: credentials go to the host of the repository only.
type branchOf struct {
	namespace string
	host      string
	auth      transport.AuthMethod
	depth     int
	left      *int
}

// follow fetches the submodules of a repository, and theirs.
func (f *Fetcher) follow(ctx context.Context, r *git.Repository, from branchOf) error {
	tree, err := r.Worktree()
	if err != nil {
		return fmt.Errorf("git: open the checkout: %w", err)
	}
	all, err := tree.Submodules()
	if err != nil {
		return fault.Poisonf("git: its submodules cannot be read: %w", err)
	}
	for _, sub := range all {
		if *from.left--; *from.left < 0 || from.depth == 0 {
			return fault.Poisonf(
				"git: it has more than %d submodules, or they are nested more than %d deep", submodules, submoduleDepth,
			)
		}
		if err := f.submodule(ctx, sub, from); err != nil {
			return fmt.Errorf("submodule %q: %w", sub.Config().Name, err)
		}
	}
	return nil
}

func (f *Fetcher) submodule(ctx context.Context, sub *git.Submodule, from branchOf) error {
	if err := sub.Init(); err != nil && !errors.Is(err, git.ErrSubmoduleAlreadyInitialized) {
		return fault.Poisonf("git: %w", err)
	}
	r, err := sub.Repository()
	if err != nil {
		return fault.Poisonf("git: %w", err)
	}
	remote, err := r.Remote(git.DefaultRemoteName)
	if err != nil {
		return fault.Poisonf("git: %w", err)
	}
	end, err := f.endpoint(ctx, from.namespace, remote.Config().URLs[0])
	if err != nil {
		return err
	}
	options := &git.SubmoduleUpdateOptions{}
	if end.Host == from.host {
		options.Auth = from.auth
	}
	if err := sub.UpdateContext(ctx, options); err != nil {
		return classed("fetch", end, err)
	}
	from.depth--
	return f.follow(ctx, r, from)
}

// refusals are the answers of servers that stay what they are.
var refusals = []error{
	transport.ErrRepositoryNotFound, transport.ErrEmptyRemoteRepository, transport.ErrAuthenticationRequired,
	transport.ErrAuthorizationFailed, transport.ErrInvalidAuthMethod, plumbing.ErrReferenceNotFound,
	plumbing.ErrObjectNotFound,
}

// classed says whether an error is final. Its text names the host, not the address, which may hold credentials.
func classed(action string, end *transport.Endpoint, err error) error {
	what := fmt.Sprintf("git: %s %s%s", action, end.Host, end.Path)
	if fault.Of(err) == fault.Poison {
		return fmt.Errorf("%s: %w", what, err)
	}
	for _, refused := range refusals {
		if errors.Is(err, refused) {
			return fault.Poisonf("%s: %w", what, refused)
		}
	}
	if _, is := errors.AsType[git.NoMatchingRefSpecError](err); is {
		return fault.Poisonf("%s: %w", what, err)
	}
	for _, sign := range []string{"unable to authenticate", "knownhosts:", "reference not found"} {
		if strings.Contains(err.Error(), sign) {
			return fault.Poisonf("%s: %w", what, err)
		}
	}
	if of, is := errors.AsType[*url.Error](err); is {
		err = of.Err
	}
	return limited(what, err)
}

// limited makes final what a limit refused.
func limited(what string, err error) error {
	if errors.Is(err, errBytes) || errors.Is(err, errFiles) {
		return fault.Poisonf("%s: %w", what, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}
