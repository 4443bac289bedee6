package forge

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/identity/amazon"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/appset"
	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// Services of AWS, with the prefixes of their operations.
const (
	codeCommit = "codecommit"
	tagging    = "tagging"
)

var awsTargets = map[string]string{
	codeCommit: "CodeCommit_20150413.", tagging: "ResourceGroupsTaggingAPI_20170126.",
}

// codeCommitProvider lists repositories with the identity of this process, or with a role that it may assume. It has no
// pull requests and no commits of branches. Source: Argo CD.
var codeCommitProvider = provider{
	scm: "AWSCodeCommit",
	openSCM: func(ctx context.Context, _ Access, g *v1alpha1.SCMProviderGenerator) (scm, bool, error) {
		s := g.AWSCodeCommit
		cfg, err := amazon.Config(ctx, amazon.Access{Region: s.Region, RoleARN: s.Role})
		if err != nil {
			return nil, false, err
		}
		if cfg.Region == "" {
			return nil, false, errors.New("region is missing, and the environment names none")
		}
		c := &commit{http: newHTTP(false, nil), cfg: cfg, spec: s, protocol: g.CloneProtocol, sign: v4.NewSigner()}
		return c, s.AllBranches, nil
	},
}

// commit speaks the JSON protocol of AWS.
type commit struct {
	http     *http.Client
	cfg      aws.Config
	spec     *v1alpha1.SCMProviderAWSCodeCommit
	protocol string
	sign     *v4.Signer
}

func (s *commit) call(ctx context.Context, service, operation string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	address := "https://" + service + "." + s.cfg.Region + ".amazonaws.com/"
	if s.cfg.BaseEndpoint != nil {
		address = *s.cfg.BaseEndpoint
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", awsTargets[service]+operation)
	credentials, err := s.cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return fmt.Errorf("credentials: %w", err)
	}
	sum := sha256.Sum256(body)
	if err := s.sign.SignHTTP(
		ctx, credentials, req, hex.EncodeToString(sum[:]), service, s.cfg.Region, time.Now(),
	); err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	res, err := s.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return awsError(operation, res.Status, raw)
	}
	return json.Unmarshal(raw, out)
}

// awsError tells what is not there from all else.
func awsError(operation, status string, raw []byte) error {
	var problem struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}
	_ = json.Unmarshal(raw, &problem) // what cannot be read has no type
	err := fmt.Errorf("%s answers %s: %s %s", operation, status, problem.Type, problem.Message)
	if strings.Contains(problem.Type, "DoesNotExist") {
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return err
}

func (s *commit) repositories(ctx context.Context) ([]repository, error) {
	names, err := s.names(ctx)
	if err != nil {
		return nil, err
	}
	var out []repository
	for _, name := range names {
		var page struct {
			Repository struct {
				ID      string `json:"repositoryId"`
				Name    string `json:"repositoryName"`
				Account string `json:"accountId"`
				Default string `json:"defaultBranch"`
				HTTP    string `json:"cloneUrlHttp"`
				SSH     string `json:"cloneUrlSsh"`
			} `json:"repositoryMetadata"`
		}
		err := s.call(ctx, codeCommit, "GetRepository", map[string]any{"repositoryName": name}, &page)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		p := page.Repository
		u, err := cloneURL(s.protocol, "ssh", map[string]string{
			"ssh": p.SSH, "https": p.HTTP,
			"https-fips": strings.Replace(p.HTTP, "git-codecommit.", "git-codecommit-fips.", 1),
		})
		if err != nil {
			return nil, err
		}
		out = append(out, repository{Repository: appset.Repository{
			Organization: p.Account, Name: p.Name, ID: p.ID, URL: u, Branch: p.Default,
		}})
	}
	return out, nil
}

// names are those of all repositories, or of those that have the tags.
func (s *commit) names(ctx context.Context) ([]string, error) {
	if len(s.spec.TagFilters) > 0 {
		return s.tagged(ctx)
	}
	var out []string
	for token := ""; ; {
		in := map[string]any{}
		if token != "" {
			in["nextToken"] = token
		}
		var page struct {
			Next         string `json:"nextToken"`
			Repositories []struct {
				Name string `json:"repositoryName"`
			} `json:"repositories"`
		}
		if err := s.call(ctx, codeCommit, "ListRepositories", in, &page); err != nil {
			return nil, err
		}
		for _, r := range page.Repositories {
			out = append(out, r.Name)
		}
		if token = page.Next; token == "" || len(out) > maxItems {
			return out, nil
		}
	}
}

func (s *commit) tagged(ctx context.Context) ([]string, error) {
	values := map[string][]string{}
	var keys []string
	for _, f := range s.spec.TagFilters {
		if _, known := values[f.Key]; !known {
			keys = append(keys, f.Key)
			values[f.Key] = []string{}
		}
		if f.Value != "" {
			values[f.Key] = append(values[f.Key], f.Value)
		}
	}
	var filters []map[string]any
	for _, k := range keys {
		filters = append(filters, map[string]any{"Key": k, "Values": values[k]})
	}
	var out []string
	for token := ""; ; {
		in := map[string]any{"ResourceTypeFilters": []string{codeCommit}, "TagFilters": filters}
		if token != "" {
			in["PaginationToken"] = token
		}
		var page struct {
			Next      string `json:"PaginationToken"`
			Resources []struct {
				ARN string `json:"ResourceARN"`
			} `json:"ResourceTagMappingList"`
		}
		if err := s.call(ctx, tagging, "GetResources", in, &page); err != nil {
			return nil, err
		}
		for _, r := range page.Resources {
			out = append(out, r.ARN[strings.LastIndexByte(r.ARN, ':')+1:])
		}
		if token = page.Next; token == "" || len(out) > maxItems {
			return out, nil
		}
	}
}

func (s *commit) branches(ctx context.Context, r repository, all bool) ([]branch, error) {
	if !all {
		return []branch{{name: r.Branch}}, nil
	}
	var out []branch
	for token := ""; ; {
		in := map[string]any{"repositoryName": r.Name}
		if token != "" {
			in["nextToken"] = token
		}
		var page struct {
			Next     string   `json:"nextToken"`
			Branches []string `json:"branches"`
		}
		if err := s.call(ctx, codeCommit, "ListBranches", in, &page); err != nil {
			return nil, err
		}
		for _, b := range page.Branches {
			out = append(out, branch{name: b})
		}
		if token = page.Next; token == "" || len(out) > maxItems {
			return out, nil
		}
	}
}

// exists looks into the folder of a path: files, folders, links and submodules of that name are there.
func (s *commit) exists(ctx context.Context, r repository, branch, name string) (bool, error) {
	name = "/" + strings.Trim(name, "/")
	type item struct {
		Path string `json:"absolutePath"`
	}
	var page struct {
		Files      []item `json:"files"`
		Folders    []item `json:"subFolders"`
		Links      []item `json:"symbolicLinks"`
		Submodules []item `json:"subModules"`
	}
	err := s.call(ctx, codeCommit, "GetFolder", map[string]any{
		"repositoryName": r.Name, "commitSpecifier": branch, "folderPath": path.Dir(name),
	}, &page)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for _, items := range [][]item{page.Files, page.Folders, page.Links, page.Submodules} {
		for _, i := range items {
			if "/"+strings.Trim(i.Path, "/") == name {
				return true, nil
			}
		}
	}
	return false, nil
}
