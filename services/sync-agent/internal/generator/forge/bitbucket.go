package forge

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/appset"
)

const bitbucketPublic = "https://api.bitbucket.org/2.0"

var bitbucketProvider = provider{
	scm: "Bitbucket", pull: "Bitbucket",
	openSCM: func(ctx context.Context, a Access, g *v1alpha1.SCMProviderGenerator) (scm, bool, error) {
		s := g.Bitbucket
		password, err := a.token(ctx, s.AppPasswordRef)
		if err != nil {
			return nil, false, err
		}
		var header http.Header
		if password != "" {
			header = basic(s.User, password)
		}
		c, err := newAPI(a, options{fallback: bitbucketPublic, header: header})
		return &bitbucket{api: c, spec: s, protocol: g.CloneProtocol}, s.AllBranches, err
	},
	openPull: func(ctx context.Context, a Access, g *v1alpha1.PullRequestGenerator) (pulls, error) {
		s := g.Bitbucket
		header, err := bitbucketAuth(ctx, a, s.BasicAuth, s.BearerToken)
		if err != nil {
			return nil, err
		}
		c, err := newAPI(a, options{address: s.API, fallback: bitbucketPublic, header: header})
		return &bitbucketPulls{api: c, spec: s}, err
	},
}

// bitbucketAuth is the header of a user and password, or of a token; none for neither.
func bitbucketAuth(
	ctx context.Context, a Access, user *v1alpha1.BasicAuthBitbucketServer, token *v1alpha1.BearerTokenBitbucket,
) (http.Header, error) {
	switch {
	case user != nil:
		password, err := a.token(ctx, user.PasswordRef)
		return basic(user.Username, password), err
	case token != nil:
		t, err := a.token(ctx, token.TokenRef)
		return bearer(t), err
	}
	return nil, nil
}

// bitbucketPages reads a list whose pages name the next.
func bitbucketPages[T any](ctx context.Context, c *api, path string, query url.Values) ([]T, error) {
	var out []T
	for path != "" {
		var page struct {
			Values []T    `json:"values"`
			Next   string `json:"next"`
		}
		if _, err := c.get(ctx, path, query, &page); err != nil {
			return nil, err
		}
		if out = append(out, page.Values...); len(out) > maxItems {
			return nil, fmt.Errorf("%w: a list has more than %d items", ErrLimit, maxItems)
		}
		path, query = page.Next, nil
	}
	return out, nil
}

// bitbucket lists the repositories of a workspace of Bitbucket Cloud.
type bitbucket struct {
	*api
	spec     *v1alpha1.SCMProviderBitbucket
	protocol string
}

type bitbucketBranch struct {
	Name   string `json:"name"`
	Target struct {
		Hash string `json:"hash"`
	} `json:"target"`
}

func (s *bitbucket) repositories(ctx context.Context) ([]repository, error) {
	found, err := bitbucketPages[struct {
		UUID  string `json:"uuid"`
		Slug  string `json:"slug"`
		Links struct {
			Clone []struct {
				Name string `json:"name"`
				Href string `json:"href"`
			} `json:"clone"`
		} `json:"links"`
		Main *bitbucketBranch `json:"mainbranch"`
	}](ctx, s.api, "/repositories/"+escaped(s.spec.Owner), url.Values{"pagelen": {perPage}})
	if err != nil {
		return nil, err
	}
	var out []repository
	for _, p := range found {
		urls := map[string]string{}
		for _, l := range p.Links.Clone {
			urls[l.Name] = l.Href
		}
		u, err := cloneURL(s.protocol, "ssh", urls)
		if err != nil {
			return nil, err
		}
		r := repository{
			path:       "/repositories/" + escaped(s.spec.Owner) + "/" + escaped(p.Slug),
			Repository: appset.Repository{Organization: s.spec.Owner, Name: p.Slug, ID: p.UUID, URL: u},
		}
		if p.Main != nil {
			r.Branch = p.Main.Name
		}
		out = append(out, r)
	}
	return out, nil
}

func (s *bitbucket) branches(ctx context.Context, r repository, all bool) ([]branch, error) {
	if !all {
		var b bitbucketBranch
		_, err := s.get(ctx, r.path+"/refs/branches/"+segments(r.Branch), nil, &b)
		return []branch{{b.Name, b.Target.Hash}}, err
	}
	found, err := bitbucketPages[bitbucketBranch](ctx, s.api, r.path+"/refs/branches", url.Values{"pagelen": {perPage}})
	if err != nil {
		return nil, err
	}
	var out []branch
	for _, b := range found {
		out = append(out, branch{name: b.Name, sha: b.Target.Hash})
	}
	return out, nil
}

func (s *bitbucket) exists(ctx context.Context, r repository, branch, path string) (bool, error) {
	return s.there(ctx, r.path+"/src/"+segments(branch)+"/"+segments(path), url.Values{"format": {"meta"}})
}

// bitbucketPulls lists the pull requests of a repository.
type bitbucketPulls struct {
	*api
	spec *v1alpha1.PullRequestBitbucket
}

type bitbucketEnd struct {
	Branch struct {
		Name string `json:"name"`
	} `json:"branch"`
	Commit struct {
		Hash string `json:"hash"`
	} `json:"commit"`
}

func (s *bitbucketPulls) requests(ctx context.Context) ([]appset.PullRequest, error) {
	found, err := bitbucketPages[struct {
		ID          int64        `json:"id"`
		Title       string       `json:"title"`
		Source      bitbucketEnd `json:"source"`
		Destination bitbucketEnd `json:"destination"`
		Author      struct {
			Nickname string `json:"nickname"`
		} `json:"author"`
	}](
		ctx, s.api, "/repositories/"+escaped(s.spec.Owner)+"/"+escaped(s.spec.Repo)+"/pullrequests",
		url.Values{"state": {"OPEN"}, "pagelen": {"50"}},
	)
	if err != nil {
		return nil, err
	}
	out := make([]appset.PullRequest, len(found))
	for i, r := range found {
		out[i] = appset.PullRequest{
			Number: r.ID, Title: r.Title, Branch: r.Source.Branch.Name, TargetBranch: r.Destination.Branch.Name,
			HeadSHA: r.Source.Commit.Hash, Author: r.Author.Nickname,
		}
	}
	return out, nil
}
