package forge

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/argosy-mesh/argosy/libs/core/fault"
)

// server is a forge that keeps pull requests by head and base, and refuses a second one.
type server struct {
	*httptest.Server
	mu   sync.Mutex
	open map[string]map[string]string
	same bool // the branches have no difference
	hide int  // searches that find nothing, as before another replica's request is there
}

func newServer(t *testing.T) *server {
	s := &server{open: map[string]map[string]string{}}
	mux := http.NewServeMux()
	listed := func(head, base func(*http.Request) string) http.HandlerFunc {
		return s.guarded(func(w http.ResponseWriter, r *http.Request) {
			out := []map[string]string{}
			if found := s.open[head(r)+" "+base(r)]; found != nil && s.hide == 0 {
				out = append(out, found)
			}
			s.hide = max(0, s.hide-1)
			_ = json.NewEncoder(w).Encode(out)
		})
	}
	query := func(name, prefix string) func(*http.Request) string {
		return func(r *http.Request) string { return strings.TrimPrefix(r.URL.Query().Get(name), prefix) }
	}
	mux.HandleFunc("GET /api/v3/repos/team/web/pulls", listed(query("head", "team:"), query("base", "")))
	mux.HandleFunc("POST /api/v3/repos/team/web/pulls", s.guarded(s.create("head", "base")))
	const lab = "/api/v4/projects/{project}/merge_requests"
	mux.HandleFunc("GET "+lab, listed(query("source_branch", ""), query("target_branch", "")))
	mux.HandleFunc("POST "+lab, s.guarded(s.create("source_branch", "target_branch")))
	mux.HandleFunc("GET /api/v1/repos/team/web/pulls/{base}/{head}", s.guarded(func(w http.ResponseWriter, r *http.Request) {
		found := s.open[r.PathValue("head")+" "+r.PathValue("base")]
		if found == nil || s.hide > 0 {
			s.hide = max(0, s.hide-1)
			http.Error(w, "not found", http.StatusNotFound)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"state": "open"})
	}))
	mux.HandleFunc("POST /api/v1/repos/team/web/pulls", s.guarded(s.create("head", "base")))
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// guarded lets in who has the token, as the forge wants it.
func (s *server) guarded(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		want := map[string]string{"/api/v3": "Bearer pass", "/api/v1": "token pass", "/api/v4": ""}[r.URL.Path[:7]]
		if r.Header.Get("Authorization") != want || want == "" && r.Header.Get("PRIVATE-TOKEN") != "pass" {
			http.Error(w, "who are you? pass", http.StatusUnauthorized)
			return
		}
		if project := r.PathValue("project"); project != "" && project != "team/web" {
			http.Error(w, "no project "+project, http.StatusNotFound)
			return
		}
		h(w, r)
	}
}

func (s *server) create(head, base string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var body map[string]string
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		key := body[head] + " " + body[base]
		switch {
		case s.same:
			http.Error(w, `{"message":"No commits between main and update/web"}`, http.StatusUnprocessableEntity)
		case s.open[key] != nil:
			http.Error(w, "it exists", http.StatusConflict)
		default:
			s.open[key] = body
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write([]byte("{}"))
		}
	}
}

func password(text string) func(context.Context, string, string) (string, error) {
	return func(context.Context, string, string) (string, error) { return text, nil }
}

func TestEachForgeOpensOnce(t *testing.T) {
	for _, kind := range Kinds() {
		s := newServer(t)
		f := New(s.Client(), password("pass"))
		r := Request{
			Kind: kind, Repository: s.URL + "/team/web.git", Base: "main", Head: "update-web", Title: "bump",
			Body: "why",
		}
		for range 2 {
			if err := f.Open(t.Context(), r); err != nil {
				t.Fatalf("%s: %v", kind, err)
			}
		}
		got := s.open["update-web main"]
		if len(s.open) != 1 || got["title"] != "bump" || got["body"]+got["description"] != "why" {
			t.Errorf("%s: %v", kind, s.open)
		}
		// Another replica opens it between our search and our request.
		s.hide = 1
		if err := f.Open(t.Context(), r); err != nil {
			t.Errorf("%s: a lost race: %v", kind, err)
		}
		s.same, s.open = true, map[string]map[string]string{}
		if err := f.Open(t.Context(), r); err != nil {
			t.Errorf("%s: nothing to merge: %v", kind, err)
		}
		err := New(s.Client(), password("wrong")).Open(t.Context(), r)
		if fault.Of(err) != fault.Poison || strings.Contains(err.Error(), "wrong") {
			t.Errorf("%s: a wrong token: %v", kind, err)
		}
	}
}

func TestWhatCannotBeOpened(t *testing.T) {
	f := New(http.DefaultClient, password(""))
	for text, r := range map[string]Request{
		"none of github, gitlab, gitea": {Kind: "bitbucket", Repository: "https://x/y"},
		"not reached by http":           {Kind: "github", Repository: "ssh://git@x/y"},
		"has no password":               {Kind: "github", Repository: "https://x/y"},
	} {
		if err := f.Open(t.Context(), r); fault.Of(err) != fault.Poison || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if err := (api{token: "t0k"}).refused(503, "t0k is busy"); fault.Of(err) != fault.Retry ||
		strings.Contains(err.Error(), "t0k") {
		t.Errorf("a busy forge: %v", err)
	}
}
