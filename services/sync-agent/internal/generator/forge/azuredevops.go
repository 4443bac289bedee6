package forge

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/appset"
)

const (
	azurePublic  = "https://dev.azure.com"
	azureVersion = "7.1"
	azurePage    = 100
	headsPrefix  = "refs/heads/"
)

var azureProvider = provider{
	scm: "AzureDevOps", pull: "AzureDevOps",
	openSCM: func(ctx context.Context, a Access, g *v1alpha1.SCMProviderGenerator) (scm, bool, error) {
		s := g.AzureDevOps
		c, err := openAzure(ctx, a, s.AccessTokenRef, s.API, s.Organization, s.TeamProject)
		return &azure{api: c, spec: s, protocol: g.CloneProtocol}, s.AllBranches, err
	},
	openPull: func(ctx context.Context, a Access, g *v1alpha1.PullRequestGenerator) (pulls, error) {
		s := g.AzureDevOps
		c, err := openAzure(ctx, a, s.TokenRef, s.API, s.Organization, s.Project)
		return &azurePulls{api: c, spec: s}, err
	},
}

func openAzure(
	ctx context.Context, a Access, ref *v1alpha1.SecretKeyRef, address, organization, project string,
) (*api, error) {
	token, err := a.token(ctx, ref)
	if err != nil {
		return nil, err
	}
	var header http.Header
	if token != "" {
		header = basic("", token)
	}
	return newAPI(a, options{
		address: address, fallback: azurePublic, header: header,
		prefix: "/" + escaped(organization) + "/" + escaped(project) + "/_apis/git",
	})
}

func azureQuery(more url.Values) url.Values {
	more.Set("api-version", azureVersion)
	return more
}

// azure lists the repositories of a project.
type azure struct {
	*api
	spec     *v1alpha1.SCMProviderAzureDevOps
	protocol string
}

func (s *azure) repositories(ctx context.Context) ([]repository, error) {
	var page struct {
		Value []struct {
			ID       string `json:"id"`
			Name     string `json:"name"`
			Default  string `json:"defaultBranch"`
			HTTP     string `json:"remoteUrl"`
			SSH      string `json:"sshUrl"`
			Disabled bool   `json:"isDisabled"`
		} `json:"value"`
	}
	if _, err := s.get(ctx, "/repositories", azureQuery(url.Values{}), &page); err != nil {
		return nil, err
	}
	var out []repository
	for _, p := range page.Value {
		if p.Disabled {
			continue
		}
		u, err := cloneURL(s.protocol, "https", map[string]string{"ssh": p.SSH, "https": p.HTTP})
		if err != nil {
			return nil, err
		}
		out = append(out, repository{path: "/repositories/" + escaped(p.ID), Repository: appset.Repository{
			Organization: s.spec.Organization, Name: p.Name, ID: p.ID, URL: u,
			Branch: strings.TrimPrefix(p.Default, headsPrefix),
		}})
	}
	return out, nil
}

func (s *azure) branches(ctx context.Context, r repository, all bool) ([]branch, error) {
	filter := "heads/"
	if !all {
		filter += r.Branch
	}
	var out []branch
	query := azureQuery(url.Values{"filter": {filter}, "$top": {"1000"}})
	for {
		var page struct {
			Value []struct {
				Name string `json:"name"`
				ID   string `json:"objectId"`
			} `json:"value"`
		}
		header, err := s.get(ctx, r.path+"/refs", query, &page)
		if err != nil {
			return nil, err
		}
		for _, b := range page.Value {
			if name := strings.TrimPrefix(b.Name, headsPrefix); all || name == r.Branch {
				out = append(out, branch{name: name, sha: b.ID})
			}
		}
		if len(out) > maxItems {
			return nil, fmt.Errorf("%w: a repository has more than %d branches", ErrLimit, maxItems)
		}
		next := header.Get("X-Ms-Continuationtoken")
		if next == "" || len(page.Value) == 0 {
			return out, nil
		}
		query.Set("continuationToken", next)
	}
}

func (s *azure) exists(ctx context.Context, r repository, branch, path string) (bool, error) {
	return s.there(ctx, r.path+"/items", azureQuery(url.Values{
		"path": {"/" + strings.Trim(path, "/")}, "versionDescriptor.version": {branch},
		"versionDescriptor.versionType": {"branch"}, "$format": {"json"},
	}))
}

// azurePulls lists the pull requests of a repository.
type azurePulls struct {
	*api
	spec *v1alpha1.PullRequestAzureDevOps
}

func (s *azurePulls) requests(ctx context.Context) ([]appset.PullRequest, error) {
	var out []appset.PullRequest
	for skip := 0; ; skip += azurePage {
		var page struct {
			Value []struct {
				ID     int64  `json:"pullRequestId"`
				Title  string `json:"title"`
				Source string `json:"sourceRefName"`
				Target string `json:"targetRefName"`
				Commit struct {
					ID string `json:"commitId"`
				} `json:"lastMergeSourceCommit"`
				Labels []struct {
					Name   string `json:"name"`
					Active bool   `json:"active"`
				} `json:"labels"`
				Author struct {
					Name string `json:"uniqueName"`
				} `json:"createdBy"`
			} `json:"value"`
		}
		if _, err := s.get(ctx, "/repositories/"+escaped(s.spec.Repo)+"/pullrequests", azureQuery(url.Values{
			"searchCriteria.status": {"active"}, "$top": {strconv.Itoa(azurePage)}, "$skip": {strconv.Itoa(skip)},
		}), &page); err != nil {
			return nil, err
		}
		for _, r := range page.Value {
			var labels []string
			for _, l := range r.Labels {
				if l.Active {
					labels = append(labels, l.Name)
				}
			}
			if hasAll(labels, s.spec.Labels) {
				author, _, _ := strings.Cut(r.Author.Name, "@")
				out = append(out, appset.PullRequest{
					Number: r.ID, Title: r.Title, Branch: strings.TrimPrefix(r.Source, headsPrefix),
					TargetBranch: strings.TrimPrefix(r.Target, headsPrefix), HeadSHA: r.Commit.ID, Labels: labels,
					Author: author,
				})
			}
		}
		if len(page.Value) < azurePage || len(out) > maxItems {
			return out, nil
		}
	}
}
