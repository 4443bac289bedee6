package forge

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/appset"
	"sigs.k8s.io/yaml"
)

// recorded is a forge that answers as its documentation shows: a file of testdata has the answers by method, path and
// query. What is not recorded is not found.
type recorded struct {
	*httptest.Server
	t       *testing.T
	Header  map[string]string `json:"header"` // that each request must have
	Answers []struct {
		Request string            `json:"request"` // "GET /path?query"; with "POST /path Target" that operation
		Header  map[string]string `json:"header"`
		Body    json.RawMessage   `json:"body"`
	} `json:"answers"`
	asked []string
}

func record(t *testing.T, name string) *recorded {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	r := &recorded{t: t}
	if err := yaml.UnmarshalStrict(raw, r); err != nil {
		t.Fatal(err)
	}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

// ServeHTTP answers what is recorded.
func (r *recorded) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	name := req.Method + " " + req.URL.RequestURI()
	if target := req.Header.Get("X-Amz-Target"); target != "" {
		name += " " + target
	}
	r.asked = append(r.asked, name)
	for k, want := range r.Header {
		if got := req.Header.Get(k); !strings.HasPrefix(got, want) {
			r.t.Errorf("%s: header %s is %q, not %q", name, k, got, want)
		}
	}
	for _, a := range r.Answers {
		if a.Request != name {
			continue
		}
		for k, v := range a.Header {
			w.Header().Set(k, strings.ReplaceAll(v, "SERVER", r.URL))
		}
		_, _ = w.Write([]byte(strings.ReplaceAll(string(a.Body), "SERVER", r.URL))) // the client is gone
		return
	}
	w.WriteHeader(http.StatusNotFound)
	_, _ = w.Write([]byte(`{"message": "Not Found"}`)) // the client is gone
}

// access has one Secret with a token, and permits all.
func access() Access {
	return Access{
		Secret: func(_ context.Context, name string) (map[string][]byte, error) {
			if name != "creds" {
				return nil, fmt.Errorf("secret %s not found", name)
			}
			return map[string][]byte{"token": []byte("t0\n")}, nil
		},
		CA:      func(context.Context, *v1alpha1.ConfigMapKeyRef) (*x509.CertPool, error) { return nil, nil },
		Allowed: func(string) error { return nil },
	}
}

func spec[T any](t *testing.T, text string) *T {
	t.Helper()
	out := new(T)
	if err := yaml.UnmarshalStrict([]byte(text), out); err != nil {
		t.Fatal(err)
	}
	return out
}

// awsAt lets requests of the SDK's configuration reach the recorded server.
func awsAt(t *testing.T, server string) {
	t.Setenv("AWS_ENDPOINT_URL", server)
	t.Setenv("AWS_ACCESS_KEY_ID", "AK")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "SK")
	t.Setenv("AWS_REGION", "eu-west-1")
}

func TestRepositories(t *testing.T) {
	const all = "filters: [{repositoryMatch: '^shop'}, {branchMatch: never}]\n"
	for _, c := range []struct{ forge, spec, want string }{
		{"github", "github: {organization: acme, api: SERVER, tokenRef: {secretName: creds, key: token}, excludeArchivedRepos: true}\n" + all,
			"acme/shop 1 git@SERVER:acme/shop.git main a1 web,go"},
		{"github", "github: {organization: acme, api: SERVER, tokenRef: {secretName: creds, key: token}, allBranches: true}\ncloneProtocol: https\n" +
			"filters: [{labelMatch: ^we, branchMatch: ^dev, pathsExist: [deploy], pathsDoNotExist: [skip.txt]}]",
			"acme/shop 1 SERVER/acme/shop.git dev a2 web,go"},
		{"gitlab", "gitlab: {group: acme/web, api: SERVER, tokenRef: {secretName: creds, key: token}, includeSubgroups: true, includeSharedProjects: false}\n" + all,
			"acme/web/sub/shop 1 git@SERVER:acme/web/sub/shop.git main a1 web"},
		{"gitlab", "gitlab: {group: acme/web, api: SERVER/, tokenRef: {secretName: creds, key: token}, includeSubgroups: true, includeSharedProjects: false, allBranches: true}\n" +
			"cloneProtocol: https\nfilters: [{repositoryMatch: shop, pathsExist: [deploy/app.yaml]}, {repositoryMatch: shop, pathsExist: [charts]}]",
			"acme/web/sub/shop 1 https://SERVER/acme/web/sub/shop.git main a1 web, acme/web/sub/shop 1 https://SERVER/acme/web/sub/shop.git feature/x a2 web"},
		{"gitea", "gitea: {owner: acme, api: SERVER, tokenRef: {secretName: creds, key: token}, excludeArchivedRepos: true}\n" + all,
			"acme/shop 1 git@SERVER:acme/shop.git main a1 web"},
		{"gitea", "gitea: {owner: acme, api: SERVER, tokenRef: {secretName: creds, key: token}, allBranches: true}\n" +
			"filters: [{repositoryMatch: ^shop$, pathsExist: [deploy/kustomization.yaml]}]",
			"acme/shop 1 git@SERVER:acme/shop.git feature/x a2 web"},
		{"bitbucketserver", "bitbucketServer: {project: ACME, api: SERVER, bearerToken: {tokenRef: {secretName: creds, key: token}}}\ncloneProtocol: https\n" + all,
			"ACME/shop 1 https://SERVER/scm/acme/shop.git main a1 "},
		{"bitbucketserver", "bitbucketServer: {project: ACME, api: SERVER/rest, bearerToken: {tokenRef: {secretName: creds, key: token}}, allBranches: true}\n" +
			"filters: [{repositoryMatch: shop, pathsExist: [deploy]}]",
			"ACME/shop 1 ssh://git@SERVER/acme/shop.git main-2 a2 "},
		{"azuredevops", "azureDevOps: {organization: acme, teamProject: web, api: SERVER, accessTokenRef: {secretName: creds, key: token}}\n" + all,
			"acme/shop 11 https://SERVER/acme/web/_git/shop main a1 "},
		{"azuredevops", "azureDevOps: {organization: acme, teamProject: web, api: SERVER, accessTokenRef: {secretName: creds, key: token}, allBranches: true}\n" +
			"filters: [{pathsExist: [deploy]}]",
			"acme/shop 11 https://SERVER/acme/web/_git/shop feature/x a2 "},
		{"codecommit", "awsCodeCommit: {region: eu-west-1}\n" + all,
			"111/shop 1 ssh://git-codecommit.eu-west-1/shop main  "},
		{"codecommit", "awsCodeCommit: {allBranches: true, tagFilters: [{key: team, value: web}, {key: live}]}\ncloneProtocol: https-fips\n" +
			"filters: [{pathsExist: [deploy/app.yaml], branchMatch: feature}]",
			"111/shop 1 https://git-codecommit-fips.eu-west-1/shop feature/x  "},
	} {
		t.Run(c.forge, func(t *testing.T) {
			r := record(t, c.forge)
			if c.forge == "codecommit" {
				awsAt(t, r.URL)
			}
			found, err := Repositories(
				t.Context(), access(),
				spec[v1alpha1.SCMProviderGenerator](t, strings.ReplaceAll(c.spec, "SERVER", r.URL)),
			)
			if err != nil {
				t.Fatalf("%v\nasked %s", err, strings.Join(r.asked, "\n"))
			}
			var got []string
			for _, f := range found {
				got = append(got, strings.Join([]string{
					f.Organization + "/" + f.Name, f.ID, strings.ReplaceAll(strings.ReplaceAll(f.URL, r.URL, "SERVER"),
						strings.TrimPrefix(r.URL, "http://"), "SERVER"), f.Branch, f.SHA, strings.Join(f.Labels, ","),
				}, " "))
			}
			if strings.Join(got, ", ") != c.want {
				t.Errorf("got  %s\nwant %s\nasked %s", strings.Join(got, ", "), c.want, strings.Join(r.asked, "\n"))
			}
		})
	}
}

func TestPullRequests(t *testing.T) {
	for _, c := range []struct{ forge, spec string }{
		{"github", "github: {owner: acme, repo: shop, api: SERVER, tokenRef: {secretName: creds, key: token}, labels: [preview]}"},
		{"gitlab", "gitlab: {project: '7', api: SERVER, tokenRef: {secretName: creds, key: token}, labels: [preview], pullRequestState: opened}"},
		{"gitea", "gitea: {owner: acme, repo: shop, api: SERVER, tokenRef: {secretName: creds, key: token}, labels: [preview]}"},
		{"bitbucketserver", "bitbucketServer: {project: ACME, repo: shop, api: SERVER, bearerToken: {tokenRef: {secretName: creds, key: token}}}"},
		{"bitbucket", "bitbucket: {owner: acme, repo: shop, api: SERVER, bearerToken: {tokenRef: {secretName: creds, key: token}}}"},
		{"azuredevops", "azuredevops: {organization: acme, project: web, repo: shop, api: SERVER, tokenRef: {secretName: creds, key: token}, labels: [preview]}"},
	} {
		t.Run(c.forge, func(t *testing.T) {
			r := record(t, c.forge)
			text := strings.ReplaceAll(c.spec, "SERVER", r.URL) + "\nfilters: [{branchMatch: nothing}, {branchMatch: ^feature, targetBranchMatch: main, titleMatch: Add}]"
			got, err := PullRequests(t.Context(), access(), spec[v1alpha1.PullRequestGenerator](t, text))
			if err != nil {
				t.Fatalf("%v\nasked %s", err, strings.Join(r.asked, "\n"))
			}
			want := []appset.PullRequest{{
				Number: 2, Title: "Add it", Branch: "feature/x", TargetBranch: "main", HeadSHA: "a2", Author: "ann",
			}}
			if c.forge != "bitbucket" && c.forge != "bitbucketserver" {
				want[0].Labels = []string{"preview", "web"}
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v\nasked %s", got, want, strings.Join(r.asked, "\n"))
			}
		})
	}
}

// Bitbucket Cloud has one address: its lists are read from a recorded server directly.
func TestBitbucketCloudLists(t *testing.T) {
	r := record(t, "bitbucket")
	c, err := newAPI(access(), options{address: r.URL, header: bearer("t0")})
	if err != nil {
		t.Fatal(err)
	}
	s := &bitbucket{api: c, spec: &v1alpha1.SCMProviderBitbucket{Owner: "acme"}}
	filters, err := compile(spec[v1alpha1.SCMProviderGenerator](t, "filters: [{pathsExist: [deploy]}]").Filters)
	if err != nil {
		t.Fatal(err)
	}
	got, err := list(t.Context(), s, true, filters)
	want := []appset.Repository{{
		Organization: "acme", Name: "shop", ID: "{1}", URL: "git@bitbucket.org:acme/shop.git",
		Branch: "feature/x", SHA: "a2",
	}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v %+v\nasked %s", err, got, strings.Join(r.asked, "\n"))
	}
}

func TestAnAppOfGithubIsLetIn(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for kind, der := range map[string][]byte{
		"RSA PRIVATE KEY": x509.MarshalPKCS1PrivateKey(key), "PRIVATE KEY": pkcs8,
	} {
		var authorizations []string
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			authorizations = append(authorizations, r.Header.Get("Authorization"))
			switch r.URL.Path {
			case "/api/v3/app/installations/7/access_tokens":
				w.WriteHeader(http.StatusCreated)
				_, _ = w.Write([]byte(`{"token": "inst"}`)) // the client is gone
			default:
				_, _ = w.Write([]byte(`[]`)) // the client is gone
			}
		}))
		a := access()
		a.Secret = func(context.Context, string) (map[string][]byte, error) {
			return map[string][]byte{
				appID: []byte("5"), appInstallation: []byte("7"),
				appKey: pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}),
			}, nil
		}
		_, err = PullRequests(t.Context(), a, spec[v1alpha1.PullRequestGenerator](t,
			"github: {owner: acme, repo: shop, api: "+server.URL+", appSecretName: app}"))
		server.Close()
		if err != nil || len(authorizations) != 2 || strings.Count(authorizations[0], ".") != 2 ||
			authorizations[1] != "Bearer inst" {
			t.Errorf("%s: %v %v", kind, err, authorizations)
		}
	}
}

func TestWhatIsWrongIsSaid(t *testing.T) {
	r := record(t, "gitea")
	other := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(other.Close)
	leads := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "<"+other.URL+`/api/v1/x>; rel="next"`)
		_, _ = w.Write([]byte(`[{"number": 1}]`)) // the client is gone
	}))
	t.Cleanup(leads.Close)
	huge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`[{"title": "` + strings.Repeat("x", maxBody) + `"}]`)) // the client is gone
	}))
	t.Cleanup(huge.Close)
	strange := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`[{"number": "one"}]`)) // the client is gone
	}))
	t.Cleanup(strange.Close)
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Link", "<http://"+req.Host+req.URL.Path+`>; rel="next"`)
		_, _ = w.Write([]byte(`[{"number": 1}]`)) // the client is gone
	}))
	t.Cleanup(endless.Close)
	pulls := func(server, rest string) string {
		return "gitea: {owner: acme, repo: shop, api: '" + server + "'" + rest + "}"
	}
	for name, c := range map[string]struct{ spec, want string }{
		"no forge":      {"{}", "no forge is named"},
		"no address":    {pulls("", ""), `api: "" is no URL`},
		"user in URL":   {pulls("http://a:b@c", ""), "is no URL of http or https without a user"},
		"no Secret":     {pulls(r.URL, ", tokenRef: {secretName: none, key: token}"), "tokenRef: secret none not found"},
		"no key":        {pulls(r.URL, ", tokenRef: {secretName: creds, key: none}"), `tokenRef: secret creds has no key "none"`},
		"not there":     {"gitea: {owner: acme, repo: none, api: '" + r.URL + "', tokenRef: {secretName: creds, key: token}}", "404 Not Found"},
		"another host":  {pulls(leads.URL, ""), "the forge leads to another host"},
		"huge body":     {pulls(huge.URL, ""), "has more than 16777216 bytes"},
		"strange":       {pulls(strange.URL, ""), `"number" is a string, not a int64`},
		"endless pages": {pulls(endless.URL, ""), "over 5000 requests"},
		"bad filter":    {pulls(r.URL, "") + "\nfilters: [{branchMatch: '['}]", "filters[0]: error parsing regexp"},
	} {
		_, err := PullRequests(t.Context(), access(), spec[v1alpha1.PullRequestGenerator](t, c.spec))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	g := spec[v1alpha1.PullRequestGenerator](t,
		"gitea: {owner: acme, repo: none, api: '"+r.URL+"', tokenRef: {secretName: creds, key: token}}\ncontinueOnRepoNotFoundError: true")
	if got, err := PullRequests(t.Context(), access(), g); err != nil || len(got) != 0 {
		t.Errorf("%v %v", got, err)
	}
	refused := errors.New("not allowed")
	a := access()
	a.Allowed = func(string) error { return refused }
	if _, err := PullRequests(t.Context(), a, g); !errors.Is(err, refused) {
		t.Error(err)
	}
}

// TestEveryForgeHasADescriptor walks the unions of forges.
func TestEveryForgeHasADescriptor(t *testing.T) {
	for _, c := range []struct {
		of    reflect.Type
		field func(provider) string
	}{
		{reflect.TypeFor[v1alpha1.SCMProviderGenerator](), func(p provider) string { return p.scm }},
		{reflect.TypeFor[v1alpha1.PullRequestGenerator](), func(p provider) string { return p.pull }},
	} {
		var want, got []string
		for f := range c.of.Fields() {
			if f.Type.Kind() == reflect.Pointer && f.Type.Elem().Kind() == reflect.Struct && f.Name != "Template" {
				want = append(want, f.Name)
			}
		}
		for _, p := range providers {
			if f := c.field(p); f != "" {
				got = append(got, f)
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(want, got) {
			t.Errorf("%s has %v, descriptors are of %v", c.of, want, got)
		}
	}
}
