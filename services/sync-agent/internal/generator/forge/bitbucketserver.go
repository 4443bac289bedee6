package forge

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/appset"
)

var bitbucketServerProvider = provider{
	scm: "BitbucketServer", pull: "BitbucketServer",
	openSCM: func(ctx context.Context, a Access, g *v1alpha1.SCMProviderGenerator) (scm, bool, error) {
		s := g.BitbucketServer
		c, err := openBitbucketServer(ctx, a, s.API, s.BasicAuth, s.BearerToken, s.Insecure, s.CARef)
		return &bitbucketServer{api: c, spec: s, protocol: g.CloneProtocol}, s.AllBranches, err
	},
	openPull: func(ctx context.Context, a Access, g *v1alpha1.PullRequestGenerator) (pulls, error) {
		s := g.BitbucketServer
		c, err := openBitbucketServer(ctx, a, s.API, s.BasicAuth, s.BearerToken, s.Insecure, s.CARef)
		return &bitbucketServerPulls{api: c, spec: s}, err
	},
}

func openBitbucketServer(
	ctx context.Context, a Access, address string, user *v1alpha1.BasicAuthBitbucketServer,
	token *v1alpha1.BearerTokenBitbucket, insecure bool, ca *v1alpha1.ConfigMapKeyRef,
) (*api, error) {
	header, err := bitbucketAuth(ctx, a, user, token)
	if err != nil {
		return nil, err
	}
	pool, err := a.CA(ctx, ca)
	if err != nil {
		return nil, err
	}
	address = strings.TrimSuffix(strings.TrimRight(address, "/"), "/rest")
	return newAPI(a, options{address: address, prefix: "/rest/api/1.0", insecure: insecure, pool: pool, header: header})
}

// serverPages reads a list whose pages say where the next begins.
func serverPages[T any](ctx context.Context, c *api, path string, query url.Values) ([]T, error) {
	var out []T
	query.Set("limit", perPage)
	for {
		var page struct {
			Values []T  `json:"values"`
			Last   bool `json:"isLastPage"`
			Next   int  `json:"nextPageStart"`
		}
		if _, err := c.get(ctx, path, query, &page); err != nil {
			return nil, err
		}
		if out = append(out, page.Values...); len(out) > maxItems {
			return nil, fmt.Errorf("%w: a list has more than %d items", ErrLimit, maxItems)
		}
		if page.Last || len(page.Values) == 0 {
			return out, nil
		}
		query.Set("start", strconv.Itoa(page.Next))
	}
}

// bitbucketServer lists the repositories of a project.
type bitbucketServer struct {
	*api
	spec     *v1alpha1.SCMProviderBitbucketServer
	protocol string
}

type serverBranch struct {
	Name   string `json:"displayId"`
	Commit string `json:"latestCommit"`
}

func (s *bitbucketServer) repositories(ctx context.Context) ([]repository, error) {
	found, err := serverPages[struct {
		ID    int64  `json:"id"`
		Slug  string `json:"slug"`
		Links struct {
			Clone []struct {
				Name string `json:"name"`
				Href string `json:"href"`
			} `json:"clone"`
		} `json:"links"`
		Project struct {
			Key string `json:"key"`
		} `json:"project"`
	}](ctx, s.api, "/projects/"+escaped(s.spec.Project)+"/repos", url.Values{})
	if err != nil {
		return nil, err
	}
	var out []repository
	for _, p := range found {
		urls := map[string]string{}
		for _, l := range p.Links.Clone {
			urls[strings.Replace(l.Name, "http", "https", 1)] = l.Href
		}
		u, err := cloneURL(s.protocol, "ssh", urls)
		if err != nil {
			return nil, err
		}
		r := repository{
			path: "/projects/" + escaped(p.Project.Key) + "/repos/" + escaped(p.Slug),
			Repository: appset.Repository{
				Organization: p.Project.Key, Name: p.Slug, ID: strconv.FormatInt(p.ID, 10), URL: u,
			},
		}
		var b serverBranch
		if _, err := s.get(ctx, r.path+"/default-branch", nil, &b); err == nil {
			r.Branch = b.Name
		} else if there, missing := s.there(ctx, r.path, nil); missing != nil || !there {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

func (s *bitbucketServer) branches(ctx context.Context, r repository, all bool) ([]branch, error) {
	query := url.Values{}
	if !all {
		query.Set("filterText", r.Branch)
	}
	found, err := serverPages[serverBranch](ctx, s.api, r.path+"/branches", query)
	if err != nil {
		return nil, err
	}
	var out []branch
	for _, b := range found {
		if all || b.Name == r.Branch {
			out = append(out, branch{name: b.Name, sha: b.Commit})
		}
	}
	return out, nil
}

func (s *bitbucketServer) exists(ctx context.Context, r repository, branch, path string) (bool, error) {
	return s.there(ctx, r.path+"/browse/"+segments(path), url.Values{"at": {"refs/heads/" + branch}, "type": {"true"}})
}

// bitbucketServerPulls lists the pull requests of a repository.
type bitbucketServerPulls struct {
	*api
	spec *v1alpha1.PullRequestBitbucketServer
}

func (s *bitbucketServerPulls) requests(ctx context.Context) ([]appset.PullRequest, error) {
	found, err := serverPages[struct {
		ID    int64  `json:"id"`
		Title string `json:"title"`
		From  struct {
			Name   string `json:"displayId"`
			Commit string `json:"latestCommit"`
		} `json:"fromRef"`
		To struct {
			Name string `json:"displayId"`
		} `json:"toRef"`
		Author struct {
			User struct {
				Name string `json:"name"`
			} `json:"user"`
		} `json:"author"`
	}](
		ctx, s.api, "/projects/"+escaped(s.spec.Project)+"/repos/"+escaped(s.spec.Repo)+"/pull-requests",
		url.Values{"state": {"OPEN"}},
	)
	if err != nil {
		return nil, err
	}
	out := make([]appset.PullRequest, len(found))
	for i, r := range found {
		out[i] = appset.PullRequest{
			Number: r.ID, Title: r.Title, Branch: r.From.Name, TargetBranch: r.To.Name, HeadSHA: r.From.Commit,
			Author: r.Author.User.Name,
		}
	}
	return out, nil
}
