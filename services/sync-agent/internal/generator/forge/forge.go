// Package forge lists the repositories and pull requests of forges, through their documented REST interfaces.
//
// A forge is one file and one entry in the list here. What it answers is bounded: each body, the number of requests,
// and the time, by the context.
package forge

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/appset"
)

// Access is what a generator may use to reach a forge.
type Access struct {
	// Secret returns the data of a Secret that the generator may use.
	Secret func(ctx context.Context, name string) (map[string][]byte, error)
	// CA returns the certificates that a ConfigMap holds; nil for no reference.
	CA func(ctx context.Context, ref *v1alpha1.ConfigMapKeyRef) (*x509.CertPool, error)
	// Allowed refuses addresses; "" is the forge's public one.
	Allowed func(address string) error
}

// token reads a key of a Secret; "" for no reference.
func (a Access) token(ctx context.Context, ref *v1alpha1.SecretKeyRef) (string, error) {
	if ref == nil {
		return "", nil
	}
	data, err := a.Secret(ctx, ref.SecretName)
	if err != nil {
		return "", fmt.Errorf("tokenRef: %w", err)
	}
	if len(data[ref.Key]) == 0 {
		return "", fmt.Errorf("tokenRef: secret %s has no key %q", ref.SecretName, ref.Key)
	}
	return string(data[ref.Key]), nil
}

// ErrNotFound is wrapped by errors about what a forge does not have.
var ErrNotFound = errors.New("not found")

// ErrLimit is wrapped by errors about a forge that answers too much.
var ErrLimit = errors.New("the forge answers too much")

// repository is one of an owner, before its branches are known.
type repository struct {
	appset.Repository        // its Branch is the default one
	path              string // how the forge calls it in its URLs
}

// branch is one of a repository.
type branch struct{ name, sha string }

// scm lists repositories at one forge.
type scm interface {
	repositories(ctx context.Context) ([]repository, error)
	// branches are all of them, or the default one.
	branches(ctx context.Context, r repository, all bool) ([]branch, error)
	// exists reports whether a file or folder is there.
	exists(ctx context.Context, r repository, branch, path string) (bool, error)
}

// pulls lists the open pull requests of one repository at one forge.
type pulls interface {
	requests(ctx context.Context) ([]appset.PullRequest, error)
}

// provider is all there is to know of one forge. What it does not do is nil.
type provider struct {
	scm  string // field of SCMProviderGenerator
	pull string // field of PullRequestGenerator
	// openSCM also says whether all branches count.
	openSCM  func(context.Context, Access, *v1alpha1.SCMProviderGenerator) (scm, bool, error)
	openPull func(context.Context, Access, *v1alpha1.PullRequestGenerator) (pulls, error)
}

var providers = []provider{
	githubProvider, gitlabProvider, giteaProvider, bitbucketProvider, bitbucketServerProvider, azureProvider,
	codeCommitProvider,
}

// Repositories lists the branches of repositories that one of the filters lets pass.
func Repositories(ctx context.Context, a Access, g *v1alpha1.SCMProviderGenerator) ([]appset.Repository, error) {
	filters, err := compile(g.Filters)
	if err != nil {
		return nil, err
	}
	for _, p := range providers {
		if p.scm == "" || !given(g, p.scm) {
			continue
		}
		s, all, err := p.openSCM(ctx, a, g)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.scm, err)
		}
		out, err := list(ctx, s, all, filters)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.scm, err)
		}
		return out, nil
	}
	return nil, errors.New("no forge is named")
}

// given reports whether a field of a generator is set, by its name in Go.
func given(g any, field string) bool {
	v := reflect.ValueOf(g).Elem().FieldByName(field)
	return v.IsValid() && !v.IsNil()
}

// list asks for the branches of the repositories that may pass.
func list(ctx context.Context, s scm, all bool, filters []filter) ([]appset.Repository, error) {
	repositories, err := s.repositories(ctx)
	if err != nil {
		return nil, err
	}
	var out []appset.Repository
	for _, r := range repositories {
		left := slices.DeleteFunc(slices.Clone(filters), func(f filter) bool { return !f.mayPass(r) })
		if len(filters) > 0 && len(left) == 0 || r.Branch == "" && !all {
			continue // an empty repository has no default branch
		}
		branches, err := s.branches(ctx, r, all)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("branches of %s: %w", r.Name, err)
		}
		for _, b := range branches {
			ok, err := passes(ctx, s, r, b, filters, left)
			if err != nil {
				return nil, fmt.Errorf("%s at %s: %w", r.Name, b.name, err)
			}
			if ok {
				found := r.Repository
				found.Branch, found.SHA = b.name, b.sha
				out = append(out, found)
			}
		}
	}
	return out, nil
}

// passes reports whether one of the filters lets a branch pass; none lets all.
func passes(ctx context.Context, s scm, r repository, b branch, all, left []filter) (bool, error) {
	for _, f := range left {
		if f.branch != nil && !f.branch.MatchString(b.name) {
			continue
		}
		ok, err := f.paths(ctx, s, r, b)
		if ok || err != nil {
			return ok, err
		}
	}
	return len(all) == 0, nil
}

// filter is one of spec.filters: all that it says must hold.
type filter struct {
	repository, label, branch *regexp.Regexp
	exist, missing            []string
}

func compile(list []v1alpha1.SCMProviderFilter) ([]filter, error) {
	out := make([]filter, len(list))
	for i, f := range list {
		out[i] = filter{exist: f.PathsExist, missing: f.PathsDoNotExist}
		for _, p := range []struct {
			name string
			text *string
			to   **regexp.Regexp
		}{
			{"repositoryMatch", f.RepositoryMatch, &out[i].repository},
			{"labelMatch", f.LabelMatch, &out[i].label}, {"branchMatch", f.BranchMatch, &out[i].branch},
		} {
			if err := pattern(p.text, p.to); err != nil {
				return nil, fmt.Errorf("filters[%d].%s: %w", i, p.name, err)
			}
		}
	}
	return out, nil
}

func pattern(text *string, to **regexp.Regexp) error {
	if text == nil {
		return nil
	}
	made, err := regexp.Compile(*text)
	*to = made
	return err
}

// mayPass reports whether a repository meets what a filter says of it.
func (f filter) mayPass(r repository) bool {
	return (f.repository == nil || f.repository.MatchString(r.Name)) &&
		(f.label == nil || slices.ContainsFunc(r.Labels, f.label.MatchString))
}

func (f filter) paths(ctx context.Context, s scm, r repository, b branch) (bool, error) {
	for _, p := range f.exist {
		if there, err := s.exists(ctx, r, b.name, p); !there || err != nil {
			return false, err
		}
	}
	for _, p := range f.missing {
		if there, err := s.exists(ctx, r, b.name, p); there || err != nil {
			return false, err
		}
	}
	return true, nil
}

// PullRequests lists the open pull requests that one of the filters lets pass.
func PullRequests(ctx context.Context, a Access, g *v1alpha1.PullRequestGenerator) ([]appset.PullRequest, error) {
	filters, err := compilePull(g.Filters)
	if err != nil {
		return nil, err
	}
	for _, p := range providers {
		if p.pull == "" || !given(g, p.pull) {
			continue
		}
		s, err := p.openPull(ctx, a, g)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.pull, err)
		}
		all, err := s.requests(ctx)
		if errors.Is(err, ErrNotFound) && g.ContinueOnRepoNotFoundError {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.pull, err)
		}
		return slices.DeleteFunc(all, func(r appset.PullRequest) bool {
			return len(filters) > 0 && !slices.ContainsFunc(filters, func(f pullFilter) bool { return f.passes(r) })
		}), nil
	}
	return nil, errors.New("no forge is named")
}

// pullFilter is one of spec.filters: all that it says must hold.
type pullFilter struct{ branch, target, title *regexp.Regexp }

func compilePull(list []v1alpha1.PullRequestFilter) ([]pullFilter, error) {
	out := make([]pullFilter, len(list))
	for i, f := range list {
		if err := errors.Join(
			pattern(f.BranchMatch, &out[i].branch), pattern(f.TargetBranchMatch, &out[i].target),
			pattern(f.TitleMatch, &out[i].title),
		); err != nil {
			return nil, fmt.Errorf("filters[%d]: %w", i, err)
		}
	}
	return out, nil
}

func (f pullFilter) passes(r appset.PullRequest) bool {
	return (f.branch == nil || f.branch.MatchString(r.Branch)) &&
		(f.target == nil || f.target.MatchString(r.TargetBranch)) && (f.title == nil || f.title.MatchString(r.Title))
}

// hasAll reports whether a list has all of the wanted labels.
func hasAll(labels, wanted []string) bool {
	return !slices.ContainsFunc(wanted, func(w string) bool { return !slices.Contains(labels, w) })
}
