package forge

import (
	"context"
	"net/url"
	"strconv"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/appset"
)

var giteaProvider = provider{
	scm: "Gitea", pull: "Gitea",
	openSCM: func(ctx context.Context, a Access, g *v1alpha1.SCMProviderGenerator) (scm, bool, error) {
		s := g.Gitea
		c, err := openGitea(ctx, a, s.TokenRef, s.API, s.Insecure)
		return &gitea{api: c, spec: s, protocol: g.CloneProtocol}, s.AllBranches, err
	},
	openPull: func(ctx context.Context, a Access, g *v1alpha1.PullRequestGenerator) (pulls, error) {
		s := g.Gitea
		c, err := openGitea(ctx, a, s.TokenRef, s.API, s.Insecure)
		return &giteaPulls{api: c, spec: s}, err
	},
}

func openGitea(
	ctx context.Context, a Access, ref *v1alpha1.SecretKeyRef, address string, insecure bool,
) (*api, error) {
	token, err := a.token(ctx, ref)
	if err != nil {
		return nil, err
	}
	return newAPI(a, options{
		address: address, prefix: "/api/v1", insecure: insecure, header: authorization("token ", token),
	})
}

// giteaPage is the largest page that a server gives as it comes.
const giteaPage = "50"

// gitea lists the repositories of an organisation, or of a user where there is none of that name.
type gitea struct {
	*api
	spec     *v1alpha1.SCMProviderGitea
	protocol string
}

type giteaRepository struct {
	ID       int64    `json:"id"`
	Name     string   `json:"name"`
	SSH      string   `json:"ssh_url"`
	HTTP     string   `json:"clone_url"`
	Default  string   `json:"default_branch"`
	Archived bool     `json:"archived"`
	Empty    bool     `json:"empty"`
	Topics   []string `json:"topics"`
	Owner    struct {
		Login string `json:"login"`
	} `json:"owner"`
}

func (s *gitea) repositories(ctx context.Context) ([]repository, error) {
	kind := "/orgs/"
	there, err := s.there(ctx, kind+escaped(s.spec.Owner), nil)
	if err != nil {
		return nil, err
	}
	if !there {
		kind = "/users/"
	}
	found, err := linked[giteaRepository](
		ctx, s.api, kind+escaped(s.spec.Owner)+"/repos", url.Values{"limit": {giteaPage}},
	)
	if err != nil {
		return nil, err
	}
	var out []repository
	for _, p := range found {
		if p.Archived && s.spec.ExcludeArchivedRepos || p.Empty {
			continue
		}
		u, err := cloneURL(s.protocol, "ssh", map[string]string{"ssh": p.SSH, "https": p.HTTP})
		if err != nil {
			return nil, err
		}
		out = append(out, repository{
			path: "/repos/" + escaped(p.Owner.Login) + "/" + escaped(p.Name),
			Repository: appset.Repository{
				Organization: p.Owner.Login, Name: p.Name, ID: strconv.FormatInt(p.ID, 10), URL: u, Branch: p.Default,
				Labels: p.Topics,
			},
		})
	}
	return out, nil
}

type giteaBranch struct {
	Name   string `json:"name"`
	Commit struct {
		ID string `json:"id"`
	} `json:"commit"`
}

func (s *gitea) branches(ctx context.Context, r repository, all bool) ([]branch, error) {
	if !all {
		var b giteaBranch
		_, err := s.get(ctx, r.path+"/branches/"+segments(r.Branch), nil, &b)
		return []branch{{b.Name, b.Commit.ID}}, err
	}
	found, err := linked[giteaBranch](ctx, s.api, r.path+"/branches", url.Values{"limit": {giteaPage}})
	if err != nil {
		return nil, err
	}
	var out []branch
	for _, b := range found {
		out = append(out, branch{name: b.Name, sha: b.Commit.ID})
	}
	return out, nil
}

func (s *gitea) exists(ctx context.Context, r repository, branch, path string) (bool, error) {
	return s.there(ctx, r.path+"/contents/"+segments(path), url.Values{"ref": {branch}})
}

// giteaPulls lists the pull requests of a repository.
type giteaPulls struct {
	*api
	spec *v1alpha1.PullRequestGitea
}

type giteaRef struct {
	Ref string `json:"ref"`
	SHA string `json:"sha"`
}

func (s *giteaPulls) requests(ctx context.Context) ([]appset.PullRequest, error) {
	found, err := linked[struct {
		Number int64    `json:"number"`
		Title  string   `json:"title"`
		Head   giteaRef `json:"head"`
		Base   giteaRef `json:"base"`
		Labels []struct {
			Name string `json:"name"`
		} `json:"labels"`
		User struct {
			Login string `json:"login"`
		} `json:"user"`
	}](
		ctx, s.api, "/repos/"+escaped(s.spec.Owner)+"/"+escaped(s.spec.Repo)+"/pulls",
		url.Values{"state": {"open"}, "limit": {giteaPage}},
	)
	if err != nil {
		return nil, err
	}
	var out []appset.PullRequest
	for _, r := range found {
		var labels []string
		for _, l := range r.Labels {
			labels = append(labels, l.Name)
		}
		if hasAll(labels, s.spec.Labels) {
			out = append(out, appset.PullRequest{
				Number: r.Number, Title: r.Title, Branch: r.Head.Ref, TargetBranch: r.Base.Ref, HeadSHA: r.Head.SHA,
				Labels: labels, Author: r.User.Login,
			})
		}
	}
	return out, nil
}
