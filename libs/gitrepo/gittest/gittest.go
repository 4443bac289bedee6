// Package gittest serves Git repositories over HTTP and SSH with Git's own server programs, for tests.
package gittest

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// The user and the password of repositories below private/.
const (
	User     = "who"
	Password = "the password"
)

// Server serves repositories.
type Server struct {
	URL     string // of plain HTTP; repositories are below it
	Fetches atomic.Int64

	t   *testing.T
	dir string
}

// Start serves an empty folder until the test ends.
func Start(t *testing.T) *Server {
	t.Helper()
	s := &Server{t: t, dir: t.TempDir()}
	path, err := exec.CommandContext(t.Context(), "git", "--exec-path").Output()
	if err != nil {
		t.Fatalf("git is missing: %v", err)
	}
	backend := &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(path)), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + s.dir, "GIT_HTTP_EXPORT_ALL=1"},
	}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if strings.HasPrefix(r.URL.Path, "/private/") && (user != User || password != Password) {
			w.Header().Set("WWW-Authenticate", "Basic")
			http.Error(w, "who are you", http.StatusUnauthorized)
			return
		}
		if strings.HasSuffix(r.URL.Path, "/git-upload-pack") {
			s.Fetches.Add(1)
		}
		backend.ServeHTTP(w, r)
	}))
	t.Cleanup(web.Close)
	s.URL = web.URL
	return s
}

// Git runs one command in a repository, which is made when it is not there, and returns what it prints.
func (s *Server) Git(repository string, args ...string) string {
	s.t.Helper()
	dir := s.Path(repository)
	if _, err := os.Stat(dir); err != nil {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			s.t.Fatal(err)
		}
		s.Git(repository, "init", "-q", "-b", "main")
		s.Git(repository, "config", "uploadpack.allowAnySHA1InWant", "true")
	}
	c := exec.CommandContext(s.t.Context(), "git", append([]string{"-c", "protocol.file.allow=always"}, args...)...)
	c.Dir = dir
	c.Env = append(
		os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=a",
		"GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b",
	)
	out, err := c.CombinedOutput()
	if err != nil {
		s.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// Path is the folder of a repository.
func (s *Server) Path(repository string) string { return filepath.Join(s.dir, repository) }

// Commit writes files and commits them to what is checked out, and returns the commit.
func (s *Server) Commit(repository string, files map[string]string) string {
	s.t.Helper()
	s.Git(repository, "status")
	for name, text := range files {
		path := filepath.Join(s.Path(repository), name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			s.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	s.Git(repository, "add", "-A")
	s.Git(repository, "commit", "-q", "-m", "change")
	return s.Git(repository, "rev-parse", "HEAD")
}

// Shell is a server of SSH with the same repositories.
type Shell struct {
	Address    string // host and port
	Key        string // private key that is let in, PEM
	KnownHosts string // file with its host key
}

// Shell starts a server of SSH.
func (s *Server) Shell() Shell {
	s.t.Helper()
	host, _ := s.key()
	let, private := s.key()
	config := &ssh.ServerConfig{
		PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if string(key.Marshal()) != string(let.PublicKey().Marshal()) {
				return nil, fmt.Errorf("not this key")
			}
			return &ssh.Permissions{}, nil
		},
	}
	config.AddHostKey(host)
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go s.talk(conn, config)
		}
	}()
	known := filepath.Join(s.t.TempDir(), "known_hosts")
	line := knownhosts.Line([]string{knownhosts.Normalize(listener.Addr().String())}, host.PublicKey())
	if err := os.WriteFile(known, []byte(line+"\n"), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return Shell{Address: listener.Addr().String(), Key: private, KnownHosts: known}
}

// AnotherKey is a private key that nobody lets in.
func (s *Server) AnotherKey() string {
	_, private := s.key()
	return private
}

func (s *Server) key() (ssh.Signer, string) {
	s.t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		s.t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		s.t.Fatal(err)
	}
	return signer, string(pem.EncodeToMemory(block))
}

// talk serves the sessions of one connection.
func (s *Server) talk(conn net.Conn, config *ssh.ServerConfig) {
	_, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for offered := range channels {
		channel, asked, err := offered.Accept()
		if err != nil {
			return
		}
		go func() {
			for r := range asked {
				_ = r.Reply(r.Type == "exec", nil)
				if r.Type == "exec" {
					s.exec(channel, r.Payload)
					return
				}
			}
		}()
	}
}

// exec runs git-upload-pack on the repository that a request names.
func (s *Server) exec(channel ssh.Channel, payload []byte) {
	defer func() { _ = channel.Close() }()
	var command struct{ Text string }
	code := uint32(1)
	if ssh.Unmarshal(payload, &command) == nil {
		_, path, _ := strings.Cut(command.Text, " ")
		c := exec.CommandContext(
			s.t.Context(), "git", "upload-pack", filepath.Join(s.dir, filepath.Clean("/"+strings.Trim(path, "'"))),
		)
		c.Stdout, c.Stderr = channel, channel.Stderr()
		// Not as Stdin: Run would wait for the client to end its side first.
		in, err := c.StdinPipe()
		if err == nil {
			go func() { _, _ = io.Copy(in, channel); _ = in.Close() }()
			err = c.Run()
		}
		if err == nil {
			code = 0
		}
	}
	_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Code uint32 }{code}))
}
