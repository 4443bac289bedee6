package store

import (
	"context"
	"io"
	"net/url"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/gitrepo"
	"github.com/argosy-mesh/argosy/libs/httpx"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	corev1 "k8s.io/api/core/v1"
)

// repository is a Git repository at a revision. Pods get it through this service.
type repository struct {
	fetcher *gitrepo.Fetcher
	source  gitrepo.Source
}

// git finds out how a repository is fetched. Credentials come from Secrets of the namespace.
func (s *Stores) git(ctx context.Context, namespace string, l v1alpha1.ArtifactLocation) (Store, error) {
	g := l.Git
	if s.Git == nil {
		return nil, fault.Poisonf("git: repositories are not fetched here")
	}
	if g.Repo == "" {
		return nil, fault.Poisonf("git: repo is missing")
	}
	r := repository{fetcher: s.Git, source: gitrepo.Source{Repo: g.Repo, Revision: g.Revision, Branch: g.Branch,
		Fetch: g.Fetch, Single: g.SingleBranch,
		NoSubmodules: g.DisableSubmodules, SkipTLS: g.InsecureSkipTLS, SkipHostKey: g.InsecureIgnoreHostKey}}
	if u, err := url.Parse(g.Repo); err == nil && httpx.Short(u.Host) {
		r.source.Namespace = namespace
	}
	if g.Depth != nil {
		if *g.Depth < 0 || *g.Depth > 1<<30 {
			return nil, fault.Poisonf("git: depth is %d", *g.Depth)
		}
		r.source.Depth = int(*g.Depth)
	}
	for _, part := range []struct {
		ref  *corev1.SecretKeySelector
		into *string
	}{{g.UsernameSecret, &r.source.User}, {g.PasswordSecret, &r.source.Password},
		{g.SshPrivateKeySecret, &r.source.Key}} {
		if part.ref == nil {
			continue
		}
		var err error
		if *part.into, err = s.secret(ctx, namespace, *part.ref); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Open streams the checkout as an archive.
func (r repository) Open(ctx context.Context, _ string) (io.ReadCloser, error) {
	return r.fetcher.Open(ctx, r.source)
}

// Names cannot be listed.
func (r repository) Names(context.Context, string, int) ([]string, error) {
	return nil, fault.Poisonf("git: what a repository holds cannot be listed")
}

// Remove is not for repositories.
func (r repository) Remove(context.Context, string) error {
	return fault.Poisonf("git: nothing is removed from a repository")
}
