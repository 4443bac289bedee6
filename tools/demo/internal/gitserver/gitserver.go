// Package gitserver serves Git repositories over HTTP and tells of every push by a
// signed hook in GitHub's shape.
package gitserver

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Server serves the bare repositories below Root; the first push to a name makes
// it.
type Server struct {
	Root    string // folder of the repositories
	Backend string // path of git-http-backend
	BaseURL string // how clients reach this server, for the URLs in hooks
	Hook    string // where hooks go; empty means none are sent
	Secret  string // signs hooks
	Log     *slog.Logger
}

var repositoryPath = regexp.MustCompile(
	`^/([a-z0-9][a-z0-9-]{0,62}/[a-z0-9][a-z0-9-]{0,62})(\.git)?/(info/refs|git-upload-pack|git-receive-pack|HEAD|objects/.*)$`,
)

// ServeHTTP speaks Git's smart HTTP protocol.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m := repositoryPath.FindStringSubmatch(r.URL.Path)
	if m == nil {
		http.Error(w, "no such repository: use /<owner>/<name>.git", http.StatusNotFound)
		return
	}
	name := m[1]
	if err := s.ensure(r.Context(), name); err != nil {
		s.Log.ErrorContext(r.Context(), "repository cannot be made", "repository", name, "error", err)
		http.Error(w, "the repository cannot be opened", http.StatusInternalServerError)
		return
	}
	push := m[3] == "git-receive-pack"
	var before map[string]string
	if push {
		before = s.refs(r.Context(), name)
	}
	r.URL.Path = "/" + name + ".git/" + m[3]
	handler := &cgi.Handler{Path: s.Backend, Dir: s.Root, Env: []string{
		"GIT_PROJECT_ROOT=" + s.Root, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=demo", "HOME=" + s.Root,
		"GIT_CONFIG_NOSYSTEM=1",
	}}
	handler.ServeHTTP(w, r)
	if push && s.Hook != "" {
		// The push is done whatever becomes of the client.
		s.announce(context.WithoutCancel(r.Context()), name, before)
	}
}

func (s *Server) ensure(ctx context.Context, name string) error {
	dir := filepath.Join(s.Root, name+".git")
	if _, err := os.Stat(filepath.Join(dir, "HEAD")); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"init", "--quiet", "--bare", "--initial-branch=main", dir},
		{"-C", dir, "config", "http.receivepack", "true"},
	} {
		if _, err := s.git(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) git(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	command := exec.CommandContext(ctx, "git", args...)
	command.Env = append(os.Environ(), "HOME="+s.Root, "GIT_CONFIG_NOSYSTEM=1")
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w", args[0], err)
	}
	return string(out), nil
}

func (s *Server) refs(ctx context.Context, name string) map[string]string {
	out, err := s.git(
		ctx, "-C", filepath.Join(s.Root, name+".git"), "for-each-ref", "--format=%(refname) %(objectname)",
	)
	if err != nil {
		return nil
	}
	refs := map[string]string{}
	for line := range strings.Lines(out) {
		if ref, id, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			refs[ref] = id
		}
	}
	return refs
}

// announce sends a hook for each ref that a push moved.
func (s *Server) announce(ctx context.Context, name string, before map[string]string) {
	for ref, after := range s.refs(ctx, name) {
		if before[ref] == after {
			continue
		}
		body, err := s.payload(ctx, name, ref, before[ref], after)
		if err != nil {
			s.Log.ErrorContext(ctx, "hook cannot be made", "repository", name, "ref", ref, "error", err)
			continue
		}
		go s.deliver(ctx, name, body)
	}
}

// payload has GitHub's push shape as far as receivers here look.
func (s *Server) payload(ctx context.Context, name, ref, before, after string) ([]byte, error) {
	message, err := s.git(ctx, "-C", filepath.Join(s.Root, name+".git"), "log", "-1", "--format=%B", after)
	if err != nil {
		return nil, err
	}
	if before == "" {
		before = strings.Repeat("0", 40)
	}
	url := s.BaseURL + "/" + name
	owner, short, _ := strings.Cut(name, "/")
	commit := map[string]any{
		"id":        after,
		"message":   strings.TrimSpace(message),
		"timestamp": time.Now().UTC().Format(time.RFC3339),
	}
	return json.Marshal(map[string]any{
		"ref":         ref,
		"before":      before,
		"after":       after,
		"created":     strings.Trim(before, "0") == "",
		"deleted":     false,
		"forced":      false,
		"head_commit": commit,
		"commits":     []any{commit},
		"pusher":      map[string]any{"name": "demo"},
		"repository": map[string]any{
			"name":           short,
			"full_name":      name,
			"html_url":       url,
			"url":            url,
			"clone_url":      url + ".git",
			"default_branch": "main",
			"owner":          map[string]any{"login": owner, "name": owner},
		},
	})
}

// deliveryPatience is how long a hook is tried; a receiver that restarts must not
// cost one.
const deliveryPatience = 5 * time.Minute

// deliver sends one hook until it is taken. The delivery id stays the same.
func (s *Server) deliver(ctx context.Context, name string, body []byte) {
	ctx, cancel := context.WithTimeout(ctx, deliveryPatience)
	defer cancel()
	delivery := rand.Text()
	for pause := 200 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		err := s.post(ctx, delivery, body)
		if err == nil {
			s.Log.InfoContext(ctx, "hook delivered", "repository", name, "delivery", delivery)
			return
		}
		s.Log.WarnContext(ctx, "hook not delivered yet", "repository", name, "delivery", delivery, "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

func (s *Server) post(ctx context.Context, delivery string, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.Hook, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-GitHub-Event", "push")
	req.Header.Set("X-GitHub-Delivery", delivery)
	req.Header.Set("X-Hub-Signature-256", Signature(s.Secret, body))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		return fmt.Errorf("the receiver answered %s", res.Status)
	}
	return nil
}

// Signature is the value of X-Hub-Signature-256.
func Signature(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}
