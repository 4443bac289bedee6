package gitserver

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// hook is one delivery as its receiver saw it.
type hook struct {
	id, event, signature string
	body                 []byte
}

// receiver answers with the given codes in turn, then with 200.
func receiver(t *testing.T, codes ...int) (url string, hooks <-chan hook) {
	t.Helper()
	got := make(chan hook, 20)
	answers := make(chan int, len(codes))
	for _, c := range codes {
		answers <- c
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h := r.Header
		got <- hook{h.Get("X-GitHub-Delivery"), h.Get("X-GitHub-Event"), h.Get("X-Hub-Signature-256"), body}
		select {
		case code := <-answers:
			w.WriteHeader(code)
		default:
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, got
}

// start runs a Git server that sends its hooks to url.
func start(t *testing.T, url string) string {
	t.Helper()
	path, err := exec.CommandContext(t.Context(), "git", "--exec-path").Output()
	if err != nil {
		t.Skip("git is not installed")
	}
	s := &Server{
		Root:    t.TempDir(),
		Backend: filepath.Join(strings.TrimSpace(string(path)), "git-http-backend"),
		BaseURL: "http://git",
		Hook:    url,
		Secret:  "s",
		Log:     slog.New(slog.DiscardHandler),
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return server.URL
}

// git runs in dir without anybody's configuration.
func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, "git", args...)
	c.Dir = dir
	c.Env = append(
		os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=a",
		"GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b",
	)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func next(t *testing.T, hooks <-chan hook) hook {
	t.Helper()
	select {
	case h := <-hooks:
		return h
	case <-time.After(30 * time.Second):
		t.Fatal("no hook came")
		panic("unreachable")
	}
}

func commit(t *testing.T, dir, message string) string {
	t.Helper()
	git(t, dir, "commit", "--quiet", "--allow-empty", "-m", message)
	return git(t, dir, "rev-parse", "HEAD")
}

func TestAPushIsToldOnceAndSigned(t *testing.T) {
	url, hooks := receiver(t)
	base := start(t, url)
	dir := t.TempDir()
	git(t, dir, "init", "--quiet", "--initial-branch=main")
	first := commit(t, dir, "first\n\nArgosy-Correlation-Id: c1")
	git(t, dir, "push", "--quiet", base+"/shop/web.git", "main")
	h := next(t, hooks)
	if h.event != "push" || h.signature != Signature("s", h.body) || h.id == "" {
		t.Errorf("%+v", h)
	}
	var p struct {
		Ref, Before, After string
		HeadCommit         struct{ Message string } `json:"head_commit"`
		Repository         struct {
			CloneURL string `json:"clone_url"`
			FullName string `json:"full_name"`
		}
	}
	if err := json.Unmarshal(h.body, &p); err != nil {
		t.Fatal(err)
	}
	if p.Ref != "refs/heads/main" || p.After != first || strings.Trim(p.Before, "0") != "" ||
		p.Repository.FullName != "shop/web" ||
		p.Repository.CloneURL != "http://git/shop/web.git" ||
		!strings.Contains(p.HeadCommit.Message, "Argosy-Correlation-Id: c1") {
		t.Errorf("%+v", p)
	}
	second := commit(t, dir, "second")
	git(t, dir, "push", "--quiet", base+"/shop/web.git", "main")
	if err := json.Unmarshal(next(t, hooks).body, &p); err != nil || p.Before != first || p.After != second {
		t.Errorf("%+v, %v", p, err)
	}
	git(t, dir, "push", "--quiet", base+"/shop/web.git", "main")
	if len(hooks) != 0 {
		t.Error("a push of nothing was told")
	}
}

func TestAHookIsSentUntilItIsTaken(t *testing.T) {
	url, hooks := receiver(t, 503, 404)
	base := start(t, url)
	dir := t.TempDir()
	git(t, dir, "init", "--quiet", "--initial-branch=main")
	commit(t, dir, "first")
	git(t, dir, "push", "--quiet", base+"/shop/web.git", "main")
	first := next(t, hooks)
	for range 2 {
		if again := next(t, hooks); again.id != first.id || string(again.body) != string(first.body) {
			t.Error("it is another one when it is sent again")
		}
	}
}

func TestOnlyRepositoriesAreServed(t *testing.T) {
	base := start(t, "")
	for _, path := range []string{
		"/", "/web.git/info/refs", "/../shop/web.git/HEAD", "/shop/web.git/config", "/shop/web.git/hooks/post-receive",
		"/SHOP/web.git/HEAD",
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
}
