package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/render"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source/git"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

// link makes a commit of another repository a submodule.
func (w *world) link(repo, at, location, commit string) string {
	w.Helper()
	dir := filepath.Join(w.base, repo)
	w.git(dir, "config", "--file", ".gitmodules", "submodule."+at+".path", at)
	w.git(dir, "config", "--file", ".gitmodules", "submodule."+at+".url", location)
	w.git(dir, "add", ".gitmodules")
	w.git(dir, "update-index", "--add", "--cacheinfo", "160000,"+commit+","+at)
	w.git(dir, "commit", "--quiet", "-m", "link "+at)
	return w.git(dir, "rev-parse", "HEAD")
}

func directory(location, path string) v1alpha1.ApplicationSource {
	return v1alpha1.ApplicationSource{
		RepoURL: location, Path: path, TargetRevision: "main",
		Directory: &v1alpha1.ApplicationSourceDirectory{Recurse: true},
	}
}

func TestSubmodules(t *testing.T) {
	w := newWorld(t)
	deep, deepest := w.commit("deep", map[string]string{"d.yaml": cm("deep")})
	w.commit("lib", map[string]string{"l.yaml": cm("lib"), "sub/s.yaml": cm("sub")})
	nested := w.link("lib", "inner", deep, deepest)
	app, _ := w.commit("app", map[string]string{"web/a.yaml": cm("a"), "plain/p.yaml": cm("p")})
	w.link("app", "web/lib", "../lib", nested)
	denied := map[string]bool{}
	ask := func(path string) ([]string, error) {
		q := request(directory(app, path))
		q.Permits = fmt.Sprint(denied)
		q.Permitted = func(repository string) error {
			if denied[repository] {
				return errors.New("repository " + repository + " is not permitted")
			}
			return nil
		}
		found, err := w.Render(t.Context(), q, new(NewMemory(time.Now())))
		if err != nil {
			return nil, err
		}
		return names(found), nil
	}
	for path, want := range map[string][]string{
		"web":           {"ConfigMap/a", "ConfigMap/deep", "ConfigMap/lib", "ConfigMap/sub"},
		"plain":         {"ConfigMap/p"},
		"web/lib/sub":   {"ConfigMap/sub"},
		"web/lib/inner": {"ConfigMap/deep"},
	} {
		got, err := ask(path)
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Errorf("%s: %v %s", path, err, d)
		}
	}
	for path, part := range map[string]string{
		"web/nothing": "no such directory", "web/lib/nothing": "no such directory",
	} {
		if _, err := ask(path); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v", path, err)
		}
	}

	// What was rendered for those who may read it is not shown to those who may not.
	denied[deep] = true
	for path, part := range map[string]string{"web": deep, "web/lib/inner": deep, "web/lib/sub": "", "plain": ""} {
		_, err := ask(path)
		if (err == nil) != (part == "") || err != nil &&
			(!errors.Is(err, render.ErrSource) || !strings.Contains(err.Error(), part+" is not permitted")) {
			t.Errorf("%s: %v", path, err)
		}
	}
	clear(denied)

	// A commit that moves a submodule changes what is rendered.
	_, next := w.commit("lib", map[string]string{"l.yaml": cm("newer")})
	w.git(filepath.Join(w.base, "app"), "update-index", "--cacheinfo", "160000,"+next+",web/lib")
	w.git(filepath.Join(w.base, "app"), "commit", "--quiet", "-m", "move")
	if got, err := ask("web"); err != nil || !strings.Contains(strings.Join(got, " "), "newer") {
		t.Errorf("%v %v", got, err)
	}

	// One that cannot be had is an error, wherever it is: what of it would be missing is not known.
	w.link("app", "lost", "file:///nowhere/at/all", strings.Repeat("1", 40))
	if _, err := ask("plain"); err == nil || !strings.Contains(err.Error(), "submodule lost: ") {
		t.Errorf("%v", err)
	}
}

// Repositories that are their own submodules, commit by commit, end.
func TestSubmodulesWithoutEnd(t *testing.T) {
	w := newWorld(t)
	location, last := w.commit("loop", map[string]string{"a.yaml": cm("a")})
	for range maxSubmoduleDepth + 2 {
		last = w.link("loop", "again", location, last)
	}
	_, err := w.Render(t.Context(), request(directory(location, ".")), new(NewMemory(time.Now())))
	if !errors.Is(err, render.ErrSource) || !strings.Contains(err.Error(), "submodules in submodules") {
		t.Errorf("%v", err)
	}
	wide, _ := w.commit("wide", map[string]string{"a.yaml": cm("a")})
	dir := filepath.Join(w.base, "wide")
	_, leaf := w.commit("leaf", map[string]string{"a": "b"})
	for i := range maxSubmodules + 1 {
		at := fmt.Sprint("s", i)
		w.git(dir, "config", "--file", ".gitmodules", "submodule."+at+".path", at)
		w.git(dir, "config", "--file", ".gitmodules", "submodule."+at+".url", "../leaf")
		w.git(dir, "update-index", "--add", "--cacheinfo", "160000,"+leaf+","+at)
	}
	w.git(dir, "add", ".gitmodules")
	w.git(dir, "commit", "--quiet", "-m", "wide")
	_, err = w.Render(t.Context(), request(directory(wide, ".")), new(NewMemory(time.Now())))
	if !errors.Is(err, render.ErrLimit) {
		t.Errorf("%v", err)
	}
}

// host serves the repositories of a world by HTTP, and keeps what it was shown.
type host struct {
	*httptest.Server
	mu     sync.Mutex
	shown  map[string]bool // values of Authorization
	asked  int             // questions about large files
	answer func(w http.ResponseWriter, r *http.Request) bool
}

func (w *world) serve(needs string) *host {
	w.Helper()
	path, err := exec.CommandContext(w.Context(), "git", "--exec-path").Output()
	if err != nil {
		w.Fatal(err)
	}
	backend := &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(path)), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + w.base, "GIT_HTTP_EXPORT_ALL=1"},
	}
	h := &host{shown: map[string]bool{}}
	h.Server = httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		h.shown[r.Header.Get("Authorization")] = true
		h.mu.Unlock()
		if h.answer != nil && h.answer(out, r) {
			return
		}
		if needs != "" && r.Header.Get("Authorization") != needs {
			out.WriteHeader(http.StatusUnauthorized)
			return
		}
		backend.ServeHTTP(out, r)
	}))
	w.Cleanup(h.Close)
	return h
}

// What opens a repository is not shown to the host of its submodule.
func TestCredentialsOfASuperproject(t *testing.T) {
	w := newWorld(t)
	near, far := w.serve("Basic dTpw"), w.serve("") // u:p
	w.declared.secrets = []corev1.Secret{
		secret(kindRepository, "url", near.URL+"/app", "username", "u", "password", "p"),
	}
	_, lib := w.commit("lib", map[string]string{"l.yaml": cm("lib")})
	w.commit("app", map[string]string{"a.yaml": cm("a")})
	w.link("app", "lib", far.URL+"/lib", lib)
	found, err := w.Render(t.Context(), request(directory(near.URL+"/app", ".")), new(NewMemory(time.Now())))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"ConfigMap/a", "ConfigMap/lib"}, names(found)); d != "" {
		t.Error(d)
	}
	if len(far.shown) != 1 || !far.shown[""] {
		t.Errorf("the other host was shown %v", far.shown)
	}
}

func TestLargeFiles(t *testing.T) {
	w := newWorld(t)
	text := cm("large")
	sum := sha256.Sum256([]byte(text))
	oid := hex.EncodeToString(sum[:])
	pointer := func(oid string, size int) string {
		return fmt.Sprintf("version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n", oid, size)
	}
	store := w.serve("")
	near := w.serve("Basic dTpw")
	gone := strings.Repeat("0", 64)
	near.answer = func(out http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/app.git/info/lfs/objects/batch") {
			return false
		}
		near.asked++
		var q struct {
			Operation string
			Objects   []struct {
				OID  string
				Size int
			}
		}
		if json.NewDecoder(r.Body).Decode(&q) != nil || q.Operation != "download" ||
			r.Header.Get("Authorization") != "Basic dTpw" || r.Header.Get("Content-Type") != largeType {
			out.WriteHeader(http.StatusForbidden)
			return true
		}
		var objects []map[string]any
		for _, o := range q.Objects {
			one := map[string]any{"oid": o.OID, "size": o.Size}
			if o.OID == gone {
				one["error"] = map[string]any{"code": 404, "message": "is gone"}
			} else {
				one["actions"] = map[string]any{"download": map[string]any{
					"href": store.URL + "/objects/" + o.OID, "header": map[string]string{"X-Key": "k"},
				}}
			}
			objects = append(objects, one)
		}
		_ = json.NewEncoder(out).Encode(map[string]any{"transfer": "basic", "objects": objects})
		return true
	}
	store.answer = func(out http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("X-Key") != "k" {
			out.WriteHeader(http.StatusForbidden)
			return true
		}
		_, _ = io.WriteString(out, text)
		return true
	}
	w.commit("app", map[string]string{
		"good/a.yaml": pointer(oid, len(text)), "wrong/a.yaml": pointer(strings.Repeat("a", 64), len(text)),
		"gone/a.yaml": pointer(gone, 7), "huge/a.yaml": pointer(oid, git.MaxBytes+1), "plain/a.yaml": cm("plain"),
	})
	location := near.URL + "/app"
	declare := func(lfs string) {
		w.declared.secrets = []corev1.Secret{secret(
			kindRepository, "url", location, "username", "u", "password", "p", "enableLfs", lfs,
		)}
		w.repositories.at = time.Time{}
	}
	declare("true")
	ask := func(path string) ([]string, error) {
		q := request(directory(location, path))
		q.Fresh = true
		found, err := w.Render(t.Context(), q, new(NewMemory(time.Now())))
		if err != nil {
			return nil, err
		}
		return names(found), nil
	}
	for range 2 {
		if got, err := ask("good"); err != nil || !cmp.Equal(got, []string{"ConfigMap/large"}) {
			t.Errorf("%v, %v", got, err)
		}
	}
	if near.asked != 1 {
		t.Errorf("asked %d times for what is kept beside the mirror", near.asked)
	}
	if store.shown["Basic dTpw"] {
		t.Error("the store of large files was shown what opens the repository")
	}
	for path, want := range map[string]error{"wrong": git.ErrLarge, "gone": render.ErrSource, "huge": git.ErrLimit} {
		if _, err := ask(path); !errors.Is(err, want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if got, err := ask("plain"); err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
	declare("false")
	if got, err := ask("good"); err != nil || len(got) != 0 {
		t.Errorf("a pointer is taken for a manifest, or was rendered before: %v, %v", got, err)
	}
	m := composed{s: w.Sources, q: request()}
	if _, err := m.List(context.Background(), "unknown:"+oid); !errors.Is(err, errForgotten) {
		t.Errorf("%v", err)
	}
}
