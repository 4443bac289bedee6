package agent

import (
	"encoding/json"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/events"
)

// forgeServer serves the repository over HTTP, and the pull requests of a Gitea, to who knows the password.
func (m *mesh) forgeServer() (url string, opened func() []map[string]string) {
	m.Helper()
	program, err := exec.LookPath("git")
	if err != nil {
		m.Fatal(err)
	}
	m.git("", "-C", m.bare, "config", "http.receivepack", "true")
	var mu sync.Mutex
	var open []map[string]string
	mux := http.NewServeMux()
	repository := &cgi.Handler{
		Path: program, Args: []string{"http-backend"}, Root: "/team/web.git",
		Env: []string{"GIT_PROJECT_ROOT=" + m.bare, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=robot"},
	}
	mux.HandleFunc("/team/web.git/", func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != "t0ken" {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(w, "unauthorized", http.StatusUnauthorized)
			return
		}
		repository.ServeHTTP(w, r)
	})
	guarded := func(h http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			if r.Header.Get("Authorization") != "token t0ken" {
				http.Error(w, "unauthorized", http.StatusUnauthorized)
				return
			}
			h(w, r)
		}
	}
	mux.HandleFunc("GET /api/v1/repos/team/web/pulls/{base}/{head}", guarded(func(w http.ResponseWriter, r *http.Request) {
		for _, pull := range open {
			if pull["base"] == r.PathValue("base") && pull["head"] == r.PathValue("head") {
				_ = json.NewEncoder(w).Encode(map[string]string{"state": "open"})
				return
			}
		}
		http.NotFound(w, r)
	}))
	mux.HandleFunc("POST /api/v1/repos/team/web/pulls", guarded(func(w http.ResponseWriter, r *http.Request) {
		var pull map[string]string
		if err := json.NewDecoder(r.Body).Decode(&pull); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		open = append(open, pull)
		w.WriteHeader(http.StatusCreated)
	}))
	server := httptest.NewServer(mux)
	m.Cleanup(server.Close)
	return server.URL + "/team/web.git", func() []map[string]string {
		mu.Lock()
		defer mu.Unlock()
		return append([]map[string]string{}, open...)
	}
}

// A push that is delivered twice gives one branch, one commit and one pull request; the base stays as it is.
func TestAnImageIsProposed(t *testing.T) {
	m := newMesh(t)
	host, push := store(t)
	m.commit("first", map[string]string{"app/kustomization.yaml": "images:\n- name: web\n  newTag: 1.0.0\n"})
	url, opened := m.forgeServer()
	m.create("apiVersion: v1\nkind: Secret\nmetadata:\n  name: repo\n  namespace: argocd\n" +
		"  labels: {argocd.argoproj.io/secret-type: repository}\nstringData: {url: '" + url + "', username: robot, password: t0ken}\n")
	push("1.1.0", nil)
	push("2.0.0-rc1", nil)
	for _, replica := range []string{"one", "two"} {
		m.agent(replica, "--insecure-registry="+host)
	}
	const prefix = "argocd-image-updater.argoproj.io/"
	m.create(manifest("web", url, "app", "", map[string]string{
		prefix + "image-list":             host + "/team/web:>=1.0.0-0, <2.0.0",
		prefix + "kustomize.image-name":   "web",
		prefix + "write-back-method":      "git",
		prefix + "write-back-target":      "kustomization",
		prefix + "git-branch":             "main:update/{{.AppName}}-{{range .Images}}{{.NewTag}}{{end}}",
		"argosy.dev/image-pull-request":   "gitea",
		"argosy.dev/image-commit-message": "bump {{.AppName}}\n\nfrom {{range .AppChanges}}{{.OldTag}}{{end}}",
	}))
	m.await("application is known", func() bool { return m.app("web").Status.Sync.Status != "" })
	for _, id := range []string{"image-1", "image-1", "image-2"} {
		m.announce(id, events.ImagePushed{Registry: host, Repository: "team/web", Tag: "1.1.0"})
	}
	m.announce("image-3", events.ImagePushed{Registry: host, Repository: "team/web", Tag: "2.0.0-rc1"})
	m.await("it is told", func() bool { return len(m.facts("image.committed")) > 0 })
	m.await("it is proposed", func() bool { return len(opened()) > 0 })
	got := opened()[0]
	if got["base"] != "main" || got["head"] != "update/web-1.1.0" || got["title"] != "bump web" ||
		!strings.HasPrefix(got["body"], "from 1.0.0") || len(opened()) != 1 {
		t.Errorf("pull requests: %v", opened())
	}
	m.git(m.work, "fetch", "--quiet", "origin")
	if log := m.git(m.work, "log", "--format=%s", "origin/update/web-1.1.0"); log != "bump web\nfirst" {
		t.Errorf("the branch:\n%s", log)
	}
	if file := m.git(m.work, "show", "origin/main:app/kustomization.yaml"); !strings.Contains(file, "newTag: 1.0.0") {
		t.Errorf("the base:\n%s", file)
	}
	if branches := m.git(m.work, "branch", "-r"); strings.Contains(branches, "rc1") {
		t.Errorf("a prerelease of what is out of range: %s", branches)
	}
}
