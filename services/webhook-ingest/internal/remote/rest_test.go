package remote

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// forge is a server with hooks behind REST. What differs between makes is the
// listing and the form of a request.
type forge struct {
	mu      sync.Mutex
	auth    func(*http.Request) bool
	page    func(f *forge, w http.ResponseWriter, r *http.Request, hooks []map[string]any)
	hooks   map[string][]map[string]any // by path
	known   map[string]bool             // paths that exist
	id      string                      // the name of the id
	words   bool                        // ids are text
	next    int
	changes []string
}

func (f *forge) start(t *testing.T) string {
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return s.URL
}

func (f *forge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.auth(r) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	path := r.URL.EscapedPath()
	switch cut := strings.LastIndexByte(path, '/'); {
	case f.known[path] && r.Method == http.MethodGet:
		f.page(f, w, r, f.hooks[path])
	case f.known[path] && r.Method == http.MethodPost:
		f.next++
		hook := sent(r)
		hook[f.id] = f.name(f.next)
		f.hooks[path] = append(f.hooks[path], hook)
		f.changes = append(f.changes, "make")
		w.WriteHeader(http.StatusCreated)
		answer(w, hook)
	case f.known[path[:cut]]:
		f.one(w, r, path[:cut], r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:])
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (f *forge) one(w http.ResponseWriter, r *http.Request, path, id string) {
	for i, hook := range f.hooks[path] {
		if fmt.Sprint(hook[f.id]) != id {
			continue
		}
		f.changes = append(f.changes, r.Method)
		if r.Method == http.MethodDelete {
			f.hooks[path] = append(f.hooks[path][:i:i], f.hooks[path][i+1:]...)
			w.WriteHeader(http.StatusNoContent)
			return
		}
		maps.Copy(hook, sent(r))
		answer(w, hook)
		return
	}
	w.WriteHeader(http.StatusNotFound)
}

// name is an id as the make writes it: a number or a text.
func (f *forge) name(n int) any {
	if f.words {
		return fmt.Sprintf("{%d}", n)
	}
	return float64(n)
}

func answer(w http.ResponseWriter, v any) { _ = json.NewEncoder(w).Encode(v) }

// sent reads a JSON request, or a form.
func sent(r *http.Request) map[string]any {
	out := map[string]any{}
	if r.Header.Get("Content-Type") == "application/json" {
		_ = json.NewDecoder(r.Body).Decode(&out)
		return out
	}
	_ = r.ParseForm()
	for k, v := range r.PostForm {
		if name, list := strings.CutSuffix(k, "[]"); list {
			out["enabled_events"] = v
			_ = name
		} else {
			out[k] = v[0]
		}
	}
	return out
}

// number reads a number of the query.
func number(r *http.Request, name string, otherwise int) int {
	n := otherwise
	_, _ = fmt.Sscan(r.URL.Query().Get(name), &n)
	return n
}

// onePerPage is the hook of a page counted from 0, and whether more follow.
func onePerPage(hooks []map[string]any, page int) ([]map[string]any, bool) {
	if page >= len(hooks) {
		return []map[string]any{}, false
	}
	return hooks[page : page+1], page+1 < len(hooks)
}

func gitlabPage(_ *forge, w http.ResponseWriter, r *http.Request, hooks []map[string]any) {
	page := number(r, "page", 1)
	found, more := onePerPage(hooks, page-1)
	if more {
		w.Header().Set("X-Next-Page", fmt.Sprint(page+1))
	}
	answer(w, found)
}

func giteaPage(_ *forge, w http.ResponseWriter, r *http.Request, hooks []map[string]any) {
	found, _ := onePerPage(hooks, number(r, "page", 1)-1)
	answer(w, found)
}

func bitbucketPage(_ *forge, w http.ResponseWriter, r *http.Request, hooks []map[string]any) {
	page := number(r, "page", 1)
	found, more := onePerPage(hooks, page-1)
	out := map[string]any{"values": found}
	if more {
		out["next"] = fmt.Sprintf("http://%s%s?page=%d", r.Host, r.URL.Path, page+1)
	}
	answer(w, out)
}

func serverPage(_ *forge, w http.ResponseWriter, r *http.Request, hooks []map[string]any) {
	start := number(r, "start", 0)
	found, more := onePerPage(hooks, start)
	answer(w, map[string]any{"values": found, "isLastPage": !more, "nextPageStart": start + 1})
}

func stripePage(_ *forge, w http.ResponseWriter, r *http.Request, hooks []map[string]any) {
	after := -1
	for i, h := range hooks {
		if fmt.Sprint(h["id"]) == r.URL.Query().Get("starting_after") {
			after = i
		}
	}
	found, more := onePerPage(hooks, after+1)
	answer(w, map[string]any{"data": found, "has_more": more})
}

func bearing(name, value string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.Header.Get(name) == value }
}

const ours = "https://hooks.example/in"

// makes are the kinds that REST is spoken to.
var makes = map[string]struct {
	forge  func() *forge
	keep   func(base string) *hookReconciler
	secret func(hook map[string]any) any
	change string // the method of an update
	finish bool
}{
	"gitlab": {
		forge: func() *forge {
			return &forge{
				auth:  bearing("PRIVATE-TOKEN", "T"),
				page:  gitlabPage,
				id:    "id",
				known: map[string]bool{"/api/v4/projects/g%2Fp/hooks": true, "/api/v4/groups/g/hooks": true},
			}
		},
		keep: func(base string) *hookReconciler {
			return gitlabHooks(
				v1alpha1.GitlabEventSource{
					Webhook:            listening(),
					AccessToken:        ref("token"),
					SecretToken:        ref("secret"),
					GitlabBaseURL:      base,
					Events:             []string{"PushEvents", "MergeRequestsEvents"},
					Projects:           []string{"g/p"},
					Groups:             []string{"g"},
					DeleteHookOnFinish: true,
				},
			)
		},
		secret: func(h map[string]any) any { return h["token"] }, change: "PUT", finish: true,
	},
	"gitea": {
		forge: func() *forge {
			return &forge{
				auth:  bearing("Authorization", "token T"),
				page:  giteaPage,
				id:    "id",
				known: map[string]bool{"/api/v1/repos/o/r/hooks": true, "/api/v1/orgs/o/hooks": true},
			}
		},
		keep: func(base string) *hookReconciler {
			return giteaHooks(
				v1alpha1.GiteaEventSource{
					Webhook:            listening(),
					AccessToken:        ref("token"),
					WebhookSecret:      ref("secret"),
					BaseURL:            base,
					Repositories:       []v1alpha1.OwnedRepositories{{Owner: "o", Names: []string{"r"}}},
					Organizations:      []string{"o"},
					DeleteHookOnFinish: true,
				},
			)
		},
		secret: func(h map[string]any) any { return h["config"].(map[string]any)["secret"] },
		change: "PATCH",
		finish: true,
	},
	"bitbucket": {
		forge: func() *forge {
			return &forge{
				page:  bitbucketPage,
				id:    "uuid",
				words: true,
				known: map[string]bool{"/repositories/o/r/hooks": true, "/repositories/o/s/hooks": true},
				auth: func(r *http.Request) bool {
					user, password, ok := r.BasicAuth()
					return ok && user == "T" && password == "S"
				},
			}
		},
		keep: func(base string) *hookReconciler {
			return bitbucketHooks(base)(
				v1alpha1.BitbucketEventSource{
					Webhook: *listening(),
					Auth: v1alpha1.BitbucketAuth{
						Basic: &v1alpha1.BitbucketBasicAuth{Username: *ref("token"), Password: *ref("secret")},
					},
					WebhookSecret: ref("secret"),
					Events:        []string{"repo:push"},
					Repositories: []v1alpha1.BitbucketRepository{
						{Owner: "o", RepositorySlug: "r"}, {Owner: "o", RepositorySlug: "s"},
					},
					DeleteHookOnFinish: true,
				},
			)
		},
		secret: func(h map[string]any) any { return h["secret"] }, change: "PUT", finish: true,
	},
	"bitbucketserver": {
		forge: func() *forge {
			return &forge{
				auth:  bearing("Authorization", "Bearer T"),
				page:  serverPage,
				id:    "id",
				hooks: map[string][]map[string]any{"/rest/api/1.0/projects/P/repos": {{"slug": "a"}, {"slug": "b"}}},
				known: map[string]bool{
					"/rest/api/1.0/projects/P/repos":            true,
					"/rest/api/1.0/projects/P/repos/a/webhooks": true,
					"/rest/api/1.0/projects/P/repos/b/webhooks": true,
				},
			}
		},
		keep: func(base string) *hookReconciler {
			return bitbucketServerHooks(
				v1alpha1.BitbucketServerEventSource{
					Webhook:                listening(),
					AccessToken:            ref("token"),
					WebhookSecret:          ref("secret"),
					BitbucketserverBaseURL: base,
					Events:                 []string{"repo:refs_changed"},
					Projects:               []string{"P"},
					DeleteHookOnFinish:     true,
				},
			)
		},
		secret: func(h map[string]any) any { return h["configuration"].(map[string]any)["secret"] },
		change: "PUT",
		finish: true,
	},
	"stripe": {
		forge: func() *forge {
			return &forge{
				auth: bearing("Authorization", "Bearer T"), page: stripePage, id: "id", words: true,
				known: map[string]bool{"/v1/webhook_endpoints": true},
			}
		},
		keep: func(base string) *hookReconciler {
			return stripeHooks(base)(
				v1alpha1.StripeEventSource{Webhook: listening(), ApiKey: ref("token"), CreateWebhook: true},
			)
		},
		secret: func(map[string]any) any { return "S" }, change: "POST",
	},
}

func TestHooksAreMadeOnceKeptAndRemoved(t *testing.T) {
	for name, m := range makes {
		t.Run(name, func(t *testing.T) {
			f := m.forge()
			var places []string
			if f.hooks == nil {
				f.hooks = map[string][]map[string]any{}
			}
			f.next = 10
			for path := range f.known {
				if f.hooks[path] == nil {
					places = append(places, path)
					f.hooks[path] = []map[string]any{
						{
							f.id:     f.name(1),
							"url":    "https://other.example",
							"config": map[string]any{"url": "https://other.example"},
						},
					}
				}
			}
			k := m.keep(f.start(t))
			env, _ := environment(map[string]string{"token": "T", "secret": "S"})
			look := func(what string, want ...string) {
				t.Helper()
				f.changes = nil
				if err := k.reconcile(t.Context(), env); err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				if got := strings.Join(f.changes, " "); got != strings.Join(want, " ") {
					t.Errorf("%s: %q, want %q", what, got, want)
				}
			}
			every := func(change string) []string { return strings.Fields(strings.Repeat(change+" ", len(places))) }
			look("the first look", every("make")...)
			look("the second")
			for _, path := range places {
				made := f.hooks[path][1]
				config, _ := made["config"].(map[string]any)
				if len(f.hooks[path]) != 2 || (made["url"] != ours && config["url"] != ours) || m.secret(made) != "S" {
					t.Errorf("%s: %v", path, f.hooks[path])
				}
				made["events"], made["enabled_events"], made["push_events"] = []string{"x"}, []string{"x"}, false
			}
			look("after a change by hand", every(m.change)...)
			k.made = "other secrets"
			look("after a new secret", every(m.change)...)
			if finish := k.reader().Finish; (finish != nil) != m.finish {
				t.Fatal("deleteHookOnFinish")
			} else if finish != nil {
				if err := finish(t.Context(), env); err != nil {
					t.Fatal(err)
				}
				for _, path := range places {
					if len(f.hooks[path]) != 1 {
						t.Errorf("%v: only ours go", f.hooks[path])
					}
				}
			}
			f.auth = func(*http.Request) bool { return false }
			if err := k.reconcile(t.Context(), env); err == nil || !strings.Contains(err.Error(), "401") {
				t.Errorf("refused: %v", err)
			}
			clear(f.known)
			env, _ = environment(nil)
			if err := k.reconcile(t.Context(), env); err == nil {
				t.Error("without secrets")
			}
		})
	}
}

func TestCredentialsStayOnTheirServer(t *testing.T) {
	asked := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	t.Cleanup(elsewhere.Close)
	f := makes["bitbucket"].forge()
	f.page = func(_ *forge, w http.ResponseWriter, _ *http.Request, _ []map[string]any) {
		answer(w, map[string]any{"values": []any{}, "next": elsewhere.URL + "/repositories/o/r/hooks?page=2"})
	}
	k := makes["bitbucket"].keep(f.start(t))
	env, _ := environment(map[string]string{"token": "T", "secret": "S"})
	if err := k.reconcile(t.Context(), env); err == nil || asked {
		t.Errorf("%v, asked %v", err, asked)
	}
}

func TestWithoutCredentialsOrURLNobodyIsAsked(t *testing.T) {
	spec := &v1alpha1.EventSourceSpec{
		Github: map[string]v1alpha1.GithubEventSource{
			"a": {Webhook: listening()},
			"b": {ApiToken: ref("token"), Webhook: &v1alpha1.WebhookContext{Endpoint: "/in"}},
		},
		Gitlab: map[string]v1alpha1.GitlabEventSource{"a": {Webhook: listening()}},
		EventSourceKinds: v1alpha1.EventSourceKinds{
			Gitea: map[string]v1alpha1.GiteaEventSource{"a": {Webhook: listening(), AccessToken: ref("token")}},
		},
		Bitbucket:       map[string]v1alpha1.BitbucketEventSource{"a": {Webhook: *listening()}},
		Bitbucketserver: map[string]v1alpha1.BitbucketServerEventSource{"a": {Webhook: listening()}},
		Stripe:          map[string]v1alpha1.StripeEventSource{"a": {Webhook: listening(), ApiKey: ref("token")}},
	}
	for kind, readers := range Kinds {
		if got := readers(spec); len(got) != 0 {
			t.Errorf("%s: %v", kind, got)
		}
	}
}

func TestSwitchesOfGitLab(t *testing.T) {
	for name, want := range map[string]string{
		"PushEvents": "push_events", "MergeRequestsEvents": "merge_requests_events",
		"SubGroupEvents": "subgroup_events", "*": "*",
	} {
		if got := gitlabSwitch(name); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}
