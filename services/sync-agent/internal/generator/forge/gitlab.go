package forge

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/appset"
)

const gitlabPublic = "https://gitlab.com"

var gitlabProvider = provider{
	scm: "Gitlab", pull: "GitLab",
	openSCM: func(ctx context.Context, a Access, g *v1alpha1.SCMProviderGenerator) (scm, bool, error) {
		s := g.Gitlab
		c, err := openGitlab(ctx, a, s.TokenRef, s.API, s.Insecure, s.CARef)
		return &gitlab{api: c, spec: s, protocol: g.CloneProtocol}, s.AllBranches, err
	},
	openPull: func(ctx context.Context, a Access, g *v1alpha1.PullRequestGenerator) (pulls, error) {
		s := g.GitLab
		c, err := openGitlab(ctx, a, s.TokenRef, s.API, s.Insecure, s.CARef)
		return &gitlabPulls{api: c, spec: s}, err
	},
}

func openGitlab(
	ctx context.Context, a Access, ref *v1alpha1.SecretKeyRef, address string, insecure bool,
	ca *v1alpha1.ConfigMapKeyRef,
) (*api, error) {
	token, err := a.token(ctx, ref)
	if err != nil {
		return nil, err
	}
	pool, err := a.CA(ctx, ca)
	if err != nil {
		return nil, err
	}
	var header http.Header
	if token = strings.TrimSpace(token); token != "" {
		header = http.Header{"Private-Token": {token}}
	}
	return newAPI(a, options{
		address: address, fallback: gitlabPublic, prefix: "/api/v4", insecure: insecure, pool: pool, header: header,
	})
}

// gitlab lists the projects of a group.
type gitlab struct {
	*api
	spec     *v1alpha1.SCMProviderGitlab
	protocol string
}

type gitlabProject struct {
	ID        int64    `json:"id"`
	Path      string   `json:"path"`
	FullPath  string   `json:"path_with_namespace"`
	SSH       string   `json:"ssh_url_to_repo"`
	HTTP      string   `json:"http_url_to_repo"`
	Default   string   `json:"default_branch"`
	Topics    []string `json:"topics"`
	Archived  bool     `json:"archived"`
	Namespace struct {
		FullPath string `json:"full_path"`
	} `json:"namespace"`
}

func (s *gitlab) repositories(ctx context.Context) ([]repository, error) {
	shared := s.spec.IncludeSharedProjects == nil || *s.spec.IncludeSharedProjects
	query := url.Values{
		"per_page": {perPage}, "include_subgroups": {strconv.FormatBool(s.spec.IncludeSubgroups)},
		"with_shared": {strconv.FormatBool(shared)},
	}
	if s.spec.Topic != "" {
		query.Set("topic", s.spec.Topic)
	}
	if !s.spec.IncludeArchivedRepos {
		query.Set("archived", "false")
	}
	projects, err := linked[gitlabProject](ctx, s.api, "/groups/"+escaped(s.spec.Group)+"/projects", query)
	if err != nil {
		return nil, err
	}
	var out []repository
	for _, p := range projects {
		if p.Archived && !s.spec.IncludeArchivedRepos {
			continue
		}
		u, err := cloneURL(s.protocol, "ssh", map[string]string{"ssh": p.SSH, "https": p.HTTP})
		if err != nil {
			return nil, err
		}
		id := strconv.FormatInt(p.ID, 10)
		out = append(out, repository{path: id, Repository: appset.Repository{
			Organization: p.Namespace.FullPath, Name: p.Path, ID: id, URL: u, Branch: p.Default, Labels: p.Topics,
		}})
	}
	return out, nil
}

type gitlabBranch struct {
	Name   string `json:"name"`
	Commit struct {
		ID string `json:"id"`
	} `json:"commit"`
}

func (s *gitlab) branches(ctx context.Context, r repository, all bool) ([]branch, error) {
	path := "/projects/" + r.path + "/repository/branches"
	if !all {
		var b gitlabBranch
		_, err := s.get(ctx, path+"/"+escaped(r.Branch), nil, &b)
		return []branch{{b.Name, b.Commit.ID}}, err
	}
	found, err := linked[gitlabBranch](ctx, s.api, path, url.Values{"per_page": {perPage}})
	if err != nil {
		return nil, err
	}
	out := make([]branch, len(found))
	for i, b := range found {
		out[i] = branch{b.Name, b.Commit.ID}
	}
	return out, nil
}

// exists looks for a file, then for a folder: the interface has a path for each.
func (s *gitlab) exists(ctx context.Context, r repository, branch, path string) (bool, error) {
	base, query := "/projects/"+r.path+"/repository", url.Values{"ref": {branch}}
	path = strings.Trim(path, "/")
	if there, err := s.there(ctx, base+"/files/"+escaped(path), query); there || err != nil {
		return there, err
	}
	return s.there(ctx, base+"/tree", url.Values{"ref": {branch}, "path": {path}, "per_page": {"1"}})
}

// gitlabPulls lists the merge requests of a project.
type gitlabPulls struct {
	*api
	spec *v1alpha1.PullRequestGitLab
}

func (s *gitlabPulls) requests(ctx context.Context) ([]appset.PullRequest, error) {
	query := url.Values{"per_page": {perPage}}
	if len(s.spec.Labels) > 0 {
		query.Set("labels", strings.Join(s.spec.Labels, ","))
	}
	if s.spec.PullRequestState != "" {
		query.Set("state", s.spec.PullRequestState)
	}
	found, err := linked[struct {
		Number int64    `json:"iid"`
		Title  string   `json:"title"`
		Source string   `json:"source_branch"`
		Target string   `json:"target_branch"`
		SHA    string   `json:"sha"`
		Labels []string `json:"labels"`
		Author struct {
			Name string `json:"username"`
		} `json:"author"`
	}](ctx, s.api, "/projects/"+escaped(s.spec.Project)+"/merge_requests", query)
	if err != nil {
		return nil, err
	}
	out := make([]appset.PullRequest, len(found))
	for i, r := range found {
		out[i] = appset.PullRequest{
			Number: r.Number, Title: r.Title, Branch: r.Source, TargetBranch: r.Target, HeadSHA: r.SHA,
			Labels: r.Labels, Author: r.Author.Name,
		}
	}
	return out, nil
}
