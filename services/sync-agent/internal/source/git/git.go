package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// commandTimeout bounds each git command: long enough for a first fetch of a
// large repository.
const commandTimeout = 90 * time.Second

// command runs commands in one mirror.
type command struct {
	dir       string
	transport string // value of GIT_ALLOW_PROTOCOL
	url       string
	creds     Credentials
	keys      string // folder of the files of creds when it is another one
}

// run executes git and returns its output. extra is added to the environment.
func (g command) run(ctx context.Context, input io.Reader, extra []string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = g.dir
	cmd.Env = append(g.environment(), extra...)
	cmd.Stdin = input
	// Git takes its locks away when it is asked to end, and leaves them when it is killed.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 2 * time.Second
	var out, problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &limited{Buffer: &problem, left: 4 << 10}
	err := cmd.Run()
	if err == nil {
		return out.Bytes(), nil
	}
	if ctx.Err() != nil {
		err = errors.Join(err, ctx.Err())
	}
	return nil, fmt.Errorf("git %s: %w: %s", args[0], err, redact(problem.String()))
}

// environment is everything that git sees: the process's own variables could
// change what it does.
func (g command) environment() []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + g.dir, "LC_ALL=C",
		"GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=true", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_ALLOW_PROTOCOL=" + g.transport, "GIT_OPTIONAL_LOCKS=0",
	}
	// A header that git sends must not follow a redirect to another host.
	config := [][2]string{
		{"http.followRedirects", "initial"}, {"gc.auto", "0"}, {"maintenance.auto", "false"},
		{"core.hooksPath", "/dev/null"}, {"http.lowSpeedLimit", "1000"}, {"http.lowSpeedTime", "20"},
		{"protocol.version", "2"}, {"safe.directory", "*"},
	}
	keys := g.keys
	if keys == "" {
		keys = g.dir
	}
	more, settings := g.creds.environment(keys, g.url)
	if g.creds.Header() != "" {
		config[0][1] = "false"
	}
	env, config = append(env, more...), append(config, settings...)
	env = append(env, "GIT_CONFIG_COUNT="+strconv.Itoa(len(config)))
	for i, kv := range config {
		env = append(
			env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", i, kv[0]), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", i, kv[1]),
		)
	}
	return env
}

// limited drops what is over its limit.
type limited struct {
	*bytes.Buffer
	left int
}

// Write never fails.
func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.left -= n
	l.Buffer.Write(p[:n])
	return len(p), nil
}

var userinfo = regexp.MustCompile(`(://)[^/@\s]+@`)

// redact takes credentials out of messages.
func redact(s string) string {
	return strings.TrimSpace(userinfo.ReplaceAllString(s, "$1"))
}

// check refuses locations that git would take for something else than a URL.
func check(location string, file bool) error {
	if scpStyle(location) {
		return nil
	}
	u, err := url.Parse(location)
	if err != nil {
		return fmt.Errorf("repository URL: %w", err)
	}
	switch {
	case u.Scheme == "ssh" && u.Hostname() != "" && u.Path != "" && !strings.HasPrefix(u.Hostname(), "-"):
		return nil
	case (u.Scheme == "http" || u.Scheme == "https") && u.Host != "":
		return nil
	case u.Scheme == "file" && file:
		return nil
	}
	return fmt.Errorf(
		"repository URL %q: scheme %q is not allowed; https, http and ssh are",
		redact(location),
		u.Scheme,
	)
}

// scp is how ssh is written without a scheme: user@host:path.
var scp = regexp.MustCompile(
	`^[A-Za-z0-9_.][\w.-]*@[A-Za-z0-9][\w.-]*:[^-/\s:][^\s:]*$|^[A-Za-z0-9_.][\w.-]*@[A-Za-z0-9][\w.-]*:/[^\s:]*$`,
)

func scpStyle(location string) bool { return scp.MatchString(location) }

// plainRef refuses names that git would take for an option or an expression.
func plainRef(name string) error {
	if name == "" || strings.HasPrefix(name, "-") || strings.ContainsAny(name, " \t\n:^~?*[\\") ||
		strings.Contains(name, "..") ||
		strings.Contains(name, "@{") {
		return fmt.Errorf("%q is not a branch, tag or commit", name)
	}
	return nil
}
