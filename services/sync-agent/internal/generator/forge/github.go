package forge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/appset"
	"github.com/google/go-github/v60/github"
)

const githubPage = 100

var githubProvider = provider{
	scm: "Github", pull: "Github",
	openSCM: func(ctx context.Context, a Access, g *v1alpha1.SCMProviderGenerator) (scm, bool, error) {
		s := g.Github
		c, err := openGithub(ctx, a, s.API, s.TokenRef, s.AppSecretName)
		return &hub{client: c, spec: s, protocol: g.CloneProtocol}, s.AllBranches, err
	},
	openPull: func(ctx context.Context, a Access, g *v1alpha1.PullRequestGenerator) (pulls, error) {
		s := g.Github
		c, err := openGithub(ctx, a, s.API, s.TokenRef, s.AppSecretName)
		return &hubPulls{client: c, spec: s}, err
	},
}

// openGithub opens github.com, or the API of a server of one's own, as a person or as an App.
func openGithub(
	ctx context.Context, a Access, address string, ref *v1alpha1.SecretKeyRef, app string,
) (*github.Client, error) {
	if err := a.Allowed(address); err != nil {
		return nil, err
	}
	c := github.NewClient(newHTTP(false, nil))
	if address != "" {
		u, err := url.Parse(address)
		if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil {
			return nil, fmt.Errorf("api: %q is no URL of http or https without a user", address)
		}
		if c, err = c.WithEnterpriseURLs(address, address); err != nil {
			return nil, fmt.Errorf("api: %w", err)
		}
	}
	if app != "" {
		data, err := a.Secret(ctx, app)
		if err != nil {
			return nil, fmt.Errorf("appSecretName: %w", err)
		}
		token, err := installationToken(ctx, c, data)
		if err != nil {
			return nil, fmt.Errorf("appSecretName: secret %s: %w", app, err)
		}
		return c.WithAuthToken(token), nil
	}
	token, err := a.token(ctx, ref)
	if err != nil {
		return nil, err
	}
	if token = strings.TrimSpace(token); token != "" {
		c = c.WithAuthToken(token)
	}
	return c, nil
}

// notFound has "not found" mean what it means for other forges.
func notFound(res *github.Response, err error) error {
	if err != nil && res != nil && res.StatusCode == http.StatusNotFound {
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return err
}

// pages reads all pages of a list.
func pages[T any](list func(github.ListOptions) ([]T, *github.Response, error)) ([]T, error) {
	var out []T
	options := github.ListOptions{PerPage: githubPage}
	for {
		page, res, err := list(options)
		if err != nil {
			return nil, notFound(res, err)
		}
		if out = append(out, page...); len(out) > maxItems {
			return nil, fmt.Errorf("%w: a list has more than %d items", ErrLimit, maxItems)
		}
		if res.NextPage == 0 {
			return out, nil
		}
		options.Page = res.NextPage
	}
}

// hub lists the repositories of an organisation.
type hub struct {
	client   *github.Client
	spec     *v1alpha1.SCMProviderGithub
	protocol string
}

func (s *hub) repositories(ctx context.Context) ([]repository, error) {
	found, err := pages(func(o github.ListOptions) ([]*github.Repository, *github.Response, error) {
		return s.client.Repositories.ListByOrg(
			ctx, s.spec.Organization, &github.RepositoryListByOrgOptions{ListOptions: o},
		)
	})
	if errors.Is(err, ErrNotFound) { // it is a user
		found, err = pages(func(o github.ListOptions) ([]*github.Repository, *github.Response, error) {
			return s.client.Repositories.ListByUser(
				ctx, s.spec.Organization, &github.RepositoryListByUserOptions{ListOptions: o},
			)
		})
	}
	if err != nil {
		return nil, err
	}
	var out []repository
	for _, r := range found {
		if r.GetArchived() && s.spec.ExcludeArchivedRepos {
			continue
		}
		u, err := cloneURL(s.protocol, "ssh", map[string]string{"ssh": r.GetSSHURL(), "https": r.GetCloneURL()})
		if err != nil {
			return nil, err
		}
		out = append(out, repository{path: r.GetOwner().GetLogin(), Repository: appset.Repository{
			Organization: r.GetOwner().GetLogin(), Name: r.GetName(), ID: strconv.FormatInt(r.GetID(), 10), URL: u,
			Branch: r.GetDefaultBranch(), Labels: r.Topics,
		}})
	}
	return out, nil
}

func (s *hub) branches(ctx context.Context, r repository, all bool) ([]branch, error) {
	if !all {
		b, res, err := s.client.Repositories.GetBranch(ctx, r.path, r.Name, r.Branch, 0)
		return []branch{{b.GetName(), b.GetCommit().GetSHA()}}, notFound(res, err)
	}
	found, err := pages(func(o github.ListOptions) ([]*github.Branch, *github.Response, error) {
		return s.client.Repositories.ListBranches(ctx, r.path, r.Name, &github.BranchListOptions{ListOptions: o})
	})
	if err != nil {
		return nil, err
	}
	out := make([]branch, len(found))
	for i, b := range found {
		out[i] = branch{b.GetName(), b.GetCommit().GetSHA()}
	}
	return out, nil
}

func (s *hub) exists(ctx context.Context, r repository, branch, path string) (bool, error) {
	_, _, res, err := s.client.Repositories.GetContents(
		ctx, r.path, r.Name, strings.Trim(path, "/"), &github.RepositoryContentGetOptions{Ref: branch},
	)
	if err = notFound(res, err); errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// hubPulls lists the pull requests of a repository.
type hubPulls struct {
	client *github.Client
	spec   *v1alpha1.PullRequestGithub
}

func (s *hubPulls) requests(ctx context.Context) ([]appset.PullRequest, error) {
	found, err := pages(func(o github.ListOptions) ([]*github.PullRequest, *github.Response, error) {
		return s.client.PullRequests.List(ctx, s.spec.Owner, s.spec.Repo, &github.PullRequestListOptions{
			State: "open", ListOptions: o,
		})
	})
	if err != nil {
		return nil, err
	}
	var out []appset.PullRequest
	for _, r := range found {
		var labels []string
		for _, l := range r.Labels {
			labels = append(labels, l.GetName())
		}
		if hasAll(labels, s.spec.Labels) {
			out = append(out, appset.PullRequest{
				Number: int64(r.GetNumber()), Title: r.GetTitle(), Branch: r.GetHead().GetRef(),
				TargetBranch: r.GetBase().GetRef(), HeadSHA: r.GetHead().GetSHA(), Labels: labels,
				Author: r.GetUser().GetLogin(),
			})
		}
	}
	return out, nil
}
